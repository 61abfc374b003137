import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.component import State
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.eventtime import ENDED
from edgestream.operators.sort import Sort
from edgestream.schema import Schema
from edgestream.testing.operators import TIME, check_operator, run_operator
from tests.operators.streams import ANY, TEXTS, S, streams


def reference(events, within):
    held, limit, left = [], -(2**63), {}
    for event in events:
        if isinstance(event, int):
            limit = max(limit, event - within)
            held.sort(key=lambda row: row[TIME])
            ready = [row for row in held if row[TIME] < limit]
            held = held[len(ready) :]
            left.setdefault("", []).extend(ready)
            continue
        for row, time in zip(event.rows(), event.times.tolist(), strict=True):
            into = held if time >= limit else left.setdefault("late", [])
            into.append({**row, TIME: time})
    return {port: rows for port, rows in left.items() if rows}


@ANY
@given(streams(TEXTS), st.integers(0, 10))
def test_any_stream(events, seconds):
    events = [*events, ENDED]
    left = check_operator(Sort(f"{seconds}s"), events)
    assert left == reference(events, seconds * S)


def test_rows_leave_in_order_once_nothing_earlier_is_awaited():
    rows = from_rows([{"n": n} for n in range(5)], [30, 10, 20, 10, 40])
    left = run_operator(Sort(), [rows, 20])
    assert [row["n"] for row in left[""]] == [1, 3]
    late = from_rows([{"n": 9}, {"n": 8}], [19, 20])
    left = check_operator(Sort(), [rows, 20, late, 41])
    assert [row["n"] for row in left[""]] == [1, 3, 2, 8, 0, 4]
    assert [row["n"] for row in left["late"]] == [9]


def test_batches_with_other_columns():
    events = [from_rows([{"a": 1}], [2]), from_rows([{"b": "x"}], [1]), 5]
    left = check_operator(Sort(), events)[""]
    assert [(row["a"], row["b"]) for row in left] == [(None, "x"), (1, None)]


def test_the_memory_of_rows_that_left_is_not_in_the_snapshot():
    step = Sort()
    run_operator(step, [from_rows([{"n": n} for n in range(1000)], range(1000)), 990])
    assert len(step.snapshot().arrays["rows"]) < 500
    run_operator(step, [1000])
    assert step.snapshot().arrays == {}


def test_schema():
    schema = Schema.of_kinds({"x": "float"})
    assert Sort().infer(schema) == Sort().port_schema("late", schema) == schema
    assert Sort().uses() == {}
    assert Sort().passes(frozenset({"x"})) == {"x"}
    assert build(Sort, {"within": "5s"}) == Sort("5s")
    with pytest.raises(ConfigError, match="unknown version"):
        Sort().restore(State(7, {}, {}))
