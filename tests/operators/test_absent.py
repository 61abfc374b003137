from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.eventtime import ENDED
from edgestream.operators.absent import Absent
from edgestream.schema import Schema
from edgestream.testing.operators import TIME, check_operator, run_operator
from tests.operators.streams import ANY, S, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float"})


def reference(events, wait, forget):
    last, seen, absent, mark, left = {}, {}, set(), -(2**63), []

    def tell(key, state, since, time):
        moments = [datetime.fromtimestamp(moment / S, UTC) for moment in (since, time)]
        event = {"device": key, "state": state, "since": moments[0], "time": moments[1]}
        left.append({**event, TIME: time})

    for event in events:
        if isinstance(event, int):
            mark = max(mark, event)
            silent = [k for k in last if k not in absent and last[k] + wait <= mark]
            for key in sorted(silent, key=last.__getitem__):
                tell(key, "absent", last[key], last[key] + wait)
                absent.add(key)
            for key in [key for key in seen if seen[key] + forget <= mark]:
                del seen[key], last[key]
                absent.discard(key)
            continue
        for row, time in zip(event.rows(), event.times.tolist(), strict=True):
            key = row["device"]
            seen[key] = max(seen.get(key, time), time, mark)
            if key in last and time > last[key]:
                if key not in absent and time - last[key] >= wait:
                    tell(key, "absent", last[key], last[key] + wait)
                    absent.add(key)
                if key in absent:
                    tell(key, "back", last[key], time)
                    absent.discard(key)
            last[key] = max(last.get(key, time), time)
    return left


def order(rows):
    return [sorted(row.items(), key=str) for row in rows]


@ANY
@given(streams(), st.integers(1, 8))
def test_any_stream(events, seconds):
    left = check_operator(Absent(f"{seconds}s", by="device", forget="20s"), events)
    wanted = reference(events, seconds * S, 20 * S)
    # Keys that fell silent at the same time come by their first rows, which slots stand for.
    found = left.get("", [])
    assert sorted(order(found), key=str) == sorted(order(wanted), key=str)
    assert [row[TIME] for row in found] == [row[TIME] for row in wanted]
    batches = [event for event in events if not isinstance(event, int)]
    assert [row["n"] for row in left.get("rows", [])] == [n for b in batches for n in b["n"]]


def told(*events, **settings):
    left = check_operator(Absent("10s", by="d", **settings), events)
    return [
        (row["d"], row["state"], row["since"].timestamp(), row[TIME] / S)
        for row in left.get("", [])
    ]


def row(device, second):
    return from_rows([{"d": device}], [second * S])


def test_silent_and_back():
    assert told(row("a", 0), row("b", 5), 10 * S, 11 * S, 15 * S, row("a", 30), 31 * S) == [
        ("a", "absent", 0, 10),
        ("b", "absent", 5, 15),
        ("a", "back", 0, 30),
    ]


def test_a_file_tells_the_same_as_having_listened():
    heard = told(row("a", 0), 12 * S, row("a", 30), 30 * S)
    assert told(row("a", 0), row("a", 30), 30 * S) == heard
    assert [state for _, state, _, _ in heard] == ["absent", "back"]


def test_older_rows_change_nothing():
    assert told(row("a", 20), row("a", 5), 29 * S) == []
    assert told(row("a", 20), 30 * S, row("a", 5), 31 * S) == [("a", "absent", 20, 30)]


def test_a_late_row_is_a_sign_of_life_all_the_same():
    assert told(row("a", 0), 30 * S, row("a", 8), 31 * S) == [
        ("a", "absent", 0, 10),
        ("a", "back", 0, 8),
        ("a", "absent", 8, 18),
    ]


def test_the_end_of_a_stream_is_no_silence():
    assert told(row("a", 0), 5 * S, ENDED) == []


def test_a_forgotten_key_is_new():
    assert told(row("a", 0), 25 * S, row("a", 30), 31 * S, forget="20s") == [("a", "absent", 0, 10)]


def test_without_keys():
    left = run_operator(Absent("10s"), [from_rows([{"x": 1}], [0]), 10 * S])
    assert [row["state"] for row in left[""]] == ["absent"]


def test_schema():
    step = Absent("10m", by="device")
    assert dict(step.infer(SCHEMA).fields) == {
        "device": "string",
        "state": "string",
        "since": "time",
        "time": "time",
    }
    assert step.port_schema("rows", SCHEMA) == SCHEMA
    assert step.keys(("x",)) == ("device", "since", "state")
    assert step.uses() == {"device": "any"}
    assert step.passes(None) == frozenset()
    assert build(Absent, {"for": "10m", "by": "device"}) == step
    with pytest.raises(ConfigError, match="did you mean 'device'"):
        Absent("1s", by="devise").infer(SCHEMA)


@pytest.mark.parametrize(
    "settings", [{"for_": "0s"}, {"forget": "10s"}, {"by": "state"}, {"by": ["d", "d"]}]
)
def test_refused_when_made(settings):
    with pytest.raises(ConfigError):
        Absent(**{"for_": "10s", **settings})
