import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.errors import ConfigError
from edgestream.operators.interpolate import Interpolate
from edgestream.schema import Schema
from edgestream.testing.operators import TIME, check_operator
from tests.operators.streams import ANY, S, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float", "y": "int", "at": "time"})


def reference(events, every, gap, forget):
    def step(state, row, time):
        if row["x"] is None:
            return
        if state and time <= state["time"]:
            yield "late", row
            return
        start = math.floor(state["time"] / every) + 1 if state else math.ceil(time / every)
        for point in range(start, math.floor(time / every) + 1):
            at = point * every
            if at == time:
                value = row["x"]
            elif time - state["time"] > gap:
                continue
            else:
                share = (at - state["time"]) / (time - state["time"])
                value = state["x"] * (1 - share) + row["x"] * share
            moment = datetime.fromtimestamp(at / S, UTC)
            yield "", {"device": row["device"], "time": moment, "x": value, TIME: at}
        state.update(time=time, x=row["x"])

    return slowly(events, forget, dict, step)


@ANY
@given(streams(), st.integers(1, 4), st.integers(0, 12))
def test_any_stream(events, every, gap):
    step = Interpolate(f"{every}s", "x", by="device", max_gap=f"{gap}s", forget="15s")
    same(step, events, reference(events, every * S, gap * S, 15 * S))


def points(rows, times, *columns, **settings):
    step = Interpolate("1s", columns, **settings)
    left = check_operator(step, [from_rows(rows, [int(time * S) for time in times])])
    return [(row[TIME] / S, *(row[name] for name in columns)) for row in left.get("", [])]


def test_straight_lines_between_readings():
    rows = [{"x": 10}, {"x": 20}, {"x": 0}]
    assert points(rows, [0.5, 2.5, 4], "x") == [
        (1, 12.5),
        (2, 17.5),
        (3, pytest.approx(40 / 3)),
        (4, 0),
    ]


def test_nothing_across_a_gap_but_readings_on_the_grid():
    rows = [{"x": 1}, {"x": 2}, {"x": 3}]
    assert points(rows, [0, 2, 2.5], "x", max_gap="1s") == [(0, 1), (2, 2)]
    assert points(rows, [0, 2, 2.5], "x", max_gap="2s") == [(0, 1), (1, 1.5), (2, 2)]


def test_several_columns_of_which_some_are_missing():
    rows = [{"x": 0, "y": 0}, {"x": None, "y": 2}, {"x": None, "y": None}, {"x": 4, "y": 4}]
    assert points(rows, [0, 2, 3, 4], "x", "y") == [
        (0, 0, 0),
        (1, None, 1),
        (2, None, 2),
        (3, None, 3),
        (4, 4, 4),
    ]


def test_before_the_epoch():
    assert points([{"x": 0}, {"x": 3}], [-2.5, -1], "x") == [(-2, 1), (-1, 3)]


def test_points_are_identified_by_key_and_time():
    step = Interpolate("1s", "x", by="device")
    ((_, made),) = step.process(from_rows([{"device": "a", "x": 1}], [0]))
    assert made.keys == step.keys(("n",)) == ("device", "time")
    assert list(made.columns) == list(step.infer(SCHEMA).fields) == ["device", "time", "x"]


def test_schema():
    step = Interpolate("1s", ["x", "y"], by="device")
    assert dict(step.infer(SCHEMA).fields) == {
        "device": "string",
        "time": "time",
        "x": "float",
        "y": "float",
    }
    assert step.port_schema("late", SCHEMA) == SCHEMA
    assert step.uses() == {"device": "any", "x": "float", "y": "float"}
    assert step.passes(None) == frozenset()
    with pytest.raises(ConfigError) as caught:
        Interpolate("1s", ["x", "z", "at"], by="devise").infer(SCHEMA)
    assert [p.path for p in caught.value.problems] == [("columns", 1), ("columns", 2), ("by", 0)]


@pytest.mark.parametrize(
    "settings",
    [
        {"every": "0s"},
        {"every": "1500ns"},
        {"every": "1ms", "max_gap": "1h"},
        {"columns": []},
        {"columns": "time"},
        {"by": "time"},
        {"by": "x"},
    ],
)
def test_refused_when_made(settings):
    with pytest.raises(ConfigError):
        Interpolate(**{"every": "1s", "columns": "x", **settings})
