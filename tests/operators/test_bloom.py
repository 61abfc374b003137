import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, from_rows
from edgestream.errors import ConfigError
from edgestream.eventtime import ENDED
from edgestream.operators.bits import sized
from edgestream.operators.bloom import Bloom
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator, run_operator

S = 1_000_000_000


def rows(*given):
    return from_rows(
        [{"device": device, "frame": frame} for _, device, frame in given],
        [time * S for time, *_ in given],
    )


def reference(events, by, reset):
    """With sets instead of filters, one row at a time."""
    fresh, seen, now, ahead, period = [], [], set(), set(), None
    for event in events:
        if not isinstance(event, Batch):
            if reset is not None:
                if period is not None and event // reset > period:
                    now, ahead = ahead, set()
                period = max(event // reset, event // reset if period is None else period)
            continue
        for row, time in zip(event.rows(), event.times.tolist(), strict=True):
            key = tuple(row.get(name) for name in by)
            later = period is not None and time // reset > period
            keys = ahead if later else now
            left = fresh if None in key or key not in keys else seen
            left.append({**row, "@time": time})
            if None not in key:
                keys.add(key)
    return fresh, seen


def test_a_key_passes_once():
    batch = rows((0, "a", 1), (1, "a", 1), (2, "a", 2), (3, "b", 1), (4, "a", 2))
    left = check_operator(Bloom(by=["device", "frame"], capacity=100), [batch])
    assert [row["@time"] // S for row in left[""]] == [0, 2, 3]
    assert [row["@time"] // S for row in left["seen"]] == [1, 4]


def test_a_period_starts_empty():
    events = [
        rows((0, "a", 1), (9, "a", 1)),
        9 * S,
        rows((10, "a", 1), (8, "a", 1), (11, "a", 1)),
        10 * S,
        rows((12, "a", 1), (9, "a", 1), (20, "a", 1)),
        25 * S,
        rows((21, "a", 1)),
        40 * S,
        rows((41, "a", 1)),
    ]
    left = check_operator(Bloom(by="device", capacity=100, reset="10s"), events)
    assert [row["@time"] // S for row in left[""]] == [0, 10, 20, 41]


def test_rows_without_a_key_pass():
    batch = rows((0, None, 1), (0, None, 1))
    assert len(check_operator(Bloom(by="device", capacity=9), [batch])[""]) == 2
    assert len(check_operator(Bloom(by="nowhere", capacity=9), [batch])[""]) == 2


EVENTS = st.lists(
    st.one_of(
        st.lists(
            st.tuples(st.integers(-30, 60), st.sampled_from(["a", "b", None]), st.integers(0, 2)),
            min_size=1,
            max_size=12,
        ).map(lambda given: rows(*given)),
        st.integers(-30, 60).map(lambda second: second * S),
        st.just(ENDED),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=50)
@given(EVENTS, st.sampled_from([["device"], ["device", "frame"]]), st.sampled_from([None, 10]))
def test_as_one_row_at_a_time(events, by, reset):
    bloom = Bloom(by=by, capacity=10_000, error=0.00001, reset=reset and f"{reset}s")
    left = check_operator(bloom, events)
    fresh, seen = reference(events, by, reset and reset * S)
    assert left.get("", []) == fresh
    assert left.get("seen", []) == seen


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_cuts_do_not_matter_where_keys_are_mistaken_for_each_other(ids):
    batch = Batch({"id": np.array(ids)}, np.zeros(len(ids), np.int64))
    check_operator(Bloom(by="id", capacity=4, error=0.5), [batch, batch])


@pytest.mark.parametrize("error", [0.1, 0.01, 0.001])
def test_the_error_is_what_was_asked_for(error):
    bloom = Bloom(by="id", capacity=20_000, error=error)
    ids = np.arange(80_000)
    run_operator(bloom, [Batch({"id": ids[:20_000]}, np.zeros(20_000, np.int64))])
    saved = bloom.snapshot()
    wrong = 0
    for part in ids[20_000:].reshape(-1, 1000):
        bloom.restore(saved)
        left = run_operator(bloom, [Batch({"id": part}, np.zeros(1000, np.int64))])
        wrong += len(left.get("seen", []))
    assert wrong < 1.6 * error * 60_000


def test_memory_is_what_the_manual_says():
    for error, bits in ((0.01, 12), (0.001, 24), (0.0001, 44)):
        words, each = sized(1e6, error)
        assert words * 64 / 1e6 <= bits
        assert 1 <= each <= 10
    assert Bloom(by="id", capacity=1, error=0.5).process(rows((0, "a", 1)))


def test_names_are_checked():
    schema = Schema.of_kinds({"device": "string"})
    assert Bloom(by="device", capacity=9).infer(schema) == schema
    with pytest.raises(ConfigError, match=r"by\.0: there is no column 'devise'"):
        Bloom(by="devise", capacity=9).infer(schema)
    assert Bloom(by="a", capacity=9).uses() == {"a": "any"}
    assert Bloom(by="a", capacity=9).passes(frozenset({"b"})) == {"b"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": [], "capacity": 1}, "no column is named"),
        ({"by": "a", "capacity": 0}, "at least 1"),
        ({"by": "a", "capacity": 9, "error": 0.9}, r"at most 0\.5"),
        ({"by": "a", "capacity": 9, "reset": "0s"}, "longer than nothing"),
    ],
)
def test_fields_are_checked(given, message):
    with pytest.raises(ConfigError, match=message):
        Bloom(**given)


def test_a_snapshot_of_another_filter_is_refused():
    saved = Bloom(by="a", capacity=9).snapshot()
    with pytest.raises(ConfigError, match="of the keys a"):
        Bloom(by="b", capacity=9).restore(saved)
    with pytest.raises(ConfigError, match="another capacity or error"):
        Bloom(by="a", capacity=9000).restore(saved)
