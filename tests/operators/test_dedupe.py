import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Dictionary, Strings, concat, from_rows
from edgestream.codecs.json import Json
from edgestream.component import State
from edgestream.errors import ConfigError, DamagedState
from edgestream.eventtime import ENDED
from edgestream.graph import build
from edgestream.operators.dedupe import Dedupe
from edgestream.read import read_text
from edgestream.saved import restore, snapshot
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator, run_operator

S = 1_000_000_000
SCHEMA = Schema.of_kinds({"device": "string", "frame": "int", "value": "float"})


def rows(*given, names=("device", "frame")):
    return from_rows(
        [dict(zip(names, row[1:], strict=True)) for row in given], [row[0] * S for row in given]
    )


def reference(events, by, within):
    """What `Dedupe` does, one row at a time."""
    kept, gone, latest, until, mark = [], [], {}, {}, -(10**30)
    for event in events:
        if not isinstance(event, Batch):
            mark = max(mark, event)
            continue
        for row, time in zip(event.rows(), event.times.tolist(), strict=True):
            key = tuple(row.get(name) for name in by)
            if None not in key:
                alive = until.get(key, -(10**30)) > mark
                if alive and abs(time - latest[key]) < within:
                    gone.append({**row, "@time": time})
                    continue
                latest[key] = max(latest[key], time) if alive else time
                until[key] = max(latest[key], mark) + within
            kept.append({**row, "@time": time})
    return kept, gone


def test_the_first_row_of_a_key_passes():
    batch = rows((0, "a", 1), (1, "a", 1), (1, "b", 1), (2, "a", 2), (9, "a", 1), (10, "a", 1))
    left = check_operator(Dedupe(by=["device", "frame"], within="10s"), [batch])
    assert [row["@time"] // S for row in left[""]] == [0, 1, 2, 10]
    assert [row["@time"] // S for row in left["duplicates"]] == [1, 9]


def test_a_key_that_keeps_coming_passes_once_every_within():
    batch = rows(*((second, "a", 1) for second in range(0, 50, 3)))
    left = check_operator(Dedupe(by="device", within="10s"), [batch])
    assert [row["@time"] // S for row in left[""]] == [0, 12, 24, 36, 48]


def test_the_first_to_arrive_wins_whatever_its_time():
    left = check_operator(
        Dedupe(by="device", within="10s"), [rows((5, "a", 1), (0, "a", 2), (-5, "a", 3))]
    )
    assert [row["frame"] for row in left[""]] == [1, 3]


def test_a_key_is_forgotten_by_the_watermark():
    events = [rows((0, "a", 1)), 10 * S - 1, rows((1, "a", 2)), 10 * S, rows((1, "a", 3))]
    left = check_operator(Dedupe(by="device", within="10s"), events)
    assert [row["frame"] for row in left[""]] == [1, 3]


def test_a_late_row_is_remembered_from_where_the_watermark_stood():
    events = [100 * S, rows((0, "a", 1)), 109 * S, rows((0, "a", 2)), 110 * S, rows((0, "a", 3))]
    left = check_operator(Dedupe(by="device", within="10s"), events)
    assert [row["frame"] for row in left[""]] == [1, 3]


def test_rows_without_a_key_pass():
    batch = rows((0, None, 1), (0, None, 1), (0, "a", None), (0, "a", None))
    left = check_operator(Dedupe(by=["device", "frame"], within="1d"), [batch])
    assert len(left[""]) == 4
    left = check_operator(Dedupe(by="nowhere", within="1d"), [batch])
    assert len(left[""]) == 4


def test_whole_numbers_and_floats_are_one_key_and_minus_zero_is_zero():
    one = Batch({"id": np.array([1, 0, 2**62, 2**62 + 1])}, np.zeros(4, np.int64))
    other = Batch({"id": np.array([1.0, -0.0, 2.0**62, np.nan])}, np.zeros(4, np.int64))
    left = run_operator(Dedupe(by="id", within="1d"), [one, other])
    assert len(left[""]) == 5
    assert [row["id"] for row in left["duplicates"]] == [1.0, 0.0, 2.0**62]


def test_text_is_compared_across_dictionaries():
    batches = [
        Batch({"id": Strings.of(texts)}, np.zeros(len(texts), np.int64))
        for texts in (["a", "b"], ["b", "c", None], ["c", "a"], ["d"], ["e"], ["f"], ["b", "d"])
    ]
    left = run_operator(Dedupe(by="id", within="1d"), batches)
    assert [row["id"] for row in left[""]] == ["a", "b", "c", None, "d", "e", "f"]


def test_columns_are_not_interchangeable():
    batch = rows((0, 1, 2), (0, 2, 1), (0, 1, 1), (0, 2, 2))
    assert len(check_operator(Dedupe(by=["device", "frame"], within="1d"), [batch])[""]) == 4


def test_a_growing_dictionary_keeps_its_fingerprints():
    dictionary, dedupe = Dictionary(), Dedupe(by="id", within="1d")
    passed = []
    for texts in (["a", None], ["b", "a"], ["c", "b", "a", None]):
        batch = Batch(
            {"id": Strings(dictionary.encode(texts), dictionary)}, np.zeros(len(texts), np.int64)
        )
        passed += [row["id"] for row in run_operator(dedupe, [batch]).get("", [])]
    assert passed == ["a", None, "b", "c", None]


EVENTS = st.lists(
    st.one_of(
        st.lists(
            st.tuples(st.integers(-30, 60), st.sampled_from(["a", "b", None]), st.integers(0, 2)),
            min_size=1,
            max_size=12,
        ).map(lambda given: rows(*given)),
        st.integers(-30, 60).map(lambda second: second * S),
        st.sampled_from([ENDED]),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=50)
@given(EVENTS, st.sampled_from([["device"], ["device", "frame"], ["frame"]]))
def test_as_one_row_at_a_time(events, by):
    left = check_operator(Dedupe(by=by, within="10s"), events)
    kept, gone = reference(events, by, 10 * S)
    assert left.get("", []) == kept
    assert left.get("duplicates", []) == gone


def test_many_keys_in_many_batches():
    random = np.random.default_rng(5)
    events = []
    for at in range(20):
        frames = random.integers(0, 4000, 1500)
        events += [
            Batch({"frame": frames}, np.sort(random.integers(0, 40, 1500)) * S + at * 20 * S)
        ]
        events += [at * 20 * S]
    left = run_operator(Dedupe(by="frame", within="30s"), events)
    kept, gone = reference(events, ["frame"], 30 * S)
    assert (left[""], left["duplicates"]) == (kept, gone)


def test_what_is_held_is_bounded_by_the_watermark():
    dedupe = Dedupe(by="frame", within="10s")
    for at in range(50):
        frames = np.arange(at * 1000, at * 1000 + 1000)
        dedupe.process(Batch({"frame": frames}, np.full(1000, at * S)))
        dedupe.advance(at * S)
    assert dedupe.state_bytes() < 4_000_000
    assert len(dedupe.snapshot().arrays["one"]) == 10_000


def test_times_far_out_do_no_harm():
    times = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max] * 2)
    batch = Batch({"id": np.array([1, 2, 1, 2])}, times)
    left = run_operator(Dedupe(by="id", within="3650d"), [ENDED, batch])
    assert len(left[""]) == len(left["duplicates"]) == 2


def test_names_are_checked():
    assert Dedupe(by="device", within="1s").infer(SCHEMA) == SCHEMA
    with pytest.raises(ConfigError, match=r"there is no column 'devise'.*did you mean 'device'"):
        Dedupe(by=["frame", "devise"], within="1s").infer(SCHEMA)
    assert Dedupe(by=["device", "frame"], within="1s").uses() == {"device": "any", "frame": "any"}
    assert Dedupe(by="a", within="1s").passes(frozenset({"b"})) == {"b"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": [], "within": "1s"}, "no column is named"),
        ({"by": ["a", "a"], "within": "1s"}, "'a' is named twice"),
        ({"by": "a", "within": "0s"}, "longer than nothing"),
        ({"by": "a", "within": "4000d"}, "at most 3650d"),
    ],
)
def test_fields_are_checked(given, message):
    with pytest.raises(ConfigError, match=message):
        Dedupe(**given)


def test_a_snapshot_of_other_keys_is_refused():
    saved = Dedupe(by="a", within="1s").snapshot()
    with pytest.raises(ConfigError, match="of the keys a"):
        Dedupe(by="b", within="1s").restore(saved)
    with pytest.raises(ConfigError, match="unknown version 9"):
        Dedupe(by="a", within="1s").restore(State(9, saved.meta, saved.arrays))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("one", lambda one: one[:1], "an array is uint64 of shape"),
        ("one", lambda one: one.view(np.int64), "an array is int64 of shape"),
        ("two", lambda two: two.reshape(1, -1), "an array is uint64 of shape"),
        ("latest", lambda latest: latest[:1], "an array is int64 of shape"),
        ("until", lambda until: until[:1], "an array is int64 of shape"),
        ("until", lambda until: until.astype(np.float64), "an array is float64 of shape"),
        ("latest", lambda latest: latest - 8 * 10**18, "times of latest from -"),
        ("until", lambda until: until + 2**62 + 2**61, "times of until from "),
        ("watermark", lambda _: "soon", "the watermark 'soon' is none"),
        ("watermark", lambda _: True, "the watermark True is none"),
        ("watermark", lambda _: 2**63, "the watermark 9223372036854775808 is none"),
    ],
)
def test_damaged_state_is_told_at_once(name, damage, message):
    """Some of it numpy would spread over all keys without a word."""
    text = (
        "name: p\nsource: {file: x.ndjson}\nsteps: [{dedupe: {by: a, within: 1d}}]\nsink: stdout\n"
    )
    graph = build(read_text(text.encode(), "x.yaml"), Json())
    graph.push("source", from_rows([{"a": 1}, {"a": 2}, {"a": 3}], [1e18, 1e18, 1e18]))
    states = snapshot(graph)
    (step,) = [step for step in states if "dedupe" in step]
    saved = states[step]
    if name == "watermark":
        damaged = State(saved.version, {**saved.meta, name: damage(None)}, saved.arrays)
    else:
        arrays = {**saved.arrays, name: damage(saved.arrays[name])}
        damaged = State(saved.version, saved.meta, arrays)
    with pytest.raises(DamagedState, match=r"the saved state of \S+ cannot be") as caught:
        restore(graph, {**states, step: damaged})
    assert message in str(caught.value)
    restore(graph, states)


def test_the_number_0_is_known_from_the_first_states():
    batch = Batch({"id": np.array([0, 7])}, np.zeros(2, np.int64))
    first = Dedupe(by="id", within="1d")
    first.process(batch)
    saved = first.snapshot()
    one = saved.arrays["one"]
    assert 0 in one
    arrays = {**saved.arrays, "one": np.where(one == 0, np.uint64(1), one)}
    second = Dedupe(by="id", within="1d")
    second.restore(State(saved.version, saved.meta, arrays))
    assert list(run_operator(second, [batch])) == ["duplicates"]


def test_keys_are_counted_once_whatever_comes_twice():
    dedupe = Dedupe(by="id", within="10s")
    for at in range(20):
        ids = np.repeat(np.arange(at * 10, at * 10 + 10), 40)
        dedupe.process(Batch({"id": ids}, np.full(400, at * S)))
        assert dedupe.state_keys() <= 10 * (at + 1)
        dedupe.advance(at * S)
    assert dedupe.state_keys() < 200
    assert dedupe.state_bytes() < 200_000


def test_joined_batches_of_unlike_kinds_are_the_same_keys():
    one = from_rows([{"id": 1}, {"id": 2}])
    other = from_rows([{"id": None}, {"id": 2}])
    events = [one, other]
    left = check_operator(Dedupe(by="id", within="1d"), events)
    assert left == run_operator(Dedupe(by="id", within="1d"), [concat(events)])
