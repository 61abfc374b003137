import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.smooth import Smooth
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator, run_operator
from tests.operators.streams import FEW, S, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float"})


def ewma(weight):
    def step(state, x, time):
        gap = max(0, time - state.get("time", time))
        state["time"] = max(time, state.get("time", time))
        state["level"] = state.get("level", x) + weight(gap) * (x - state.get("level", x))
        return state["level"]

    return step


def median(window):
    def step(state, x, time):
        state.setdefault("values", []).append(x)
        return statistics.median(state["values"][-window:])

    return step


def kalman(drift, noise):
    def step(state, x, time):
        if not state:
            state.update(level=x, variance=noise)
        else:
            predicted = state["variance"] + drift
            gain = predicted / (predicted + noise)
            state["level"] += gain * (x - state["level"])
            state["variance"] = (1 - gain) * predicted
        return state["level"]

    return step


METHODS = [
    ({"alpha": 0.25}, ewma(lambda gap: 0.25)),
    ({"alpha": 1}, ewma(lambda gap: 1)),
    ({"half_life": "4s"}, ewma(lambda gap: 1 - 2 ** (-gap / (4 * S)))),
    ({"method": "median", "window": 3}, median(3)),
    ({"method": "median", "window": 4}, median(4)),
    ({"method": "kalman", "drift": 0.5, "noise": 2}, kalman(0.5, 2)),
    ({"method": "kalman", "drift": 0, "noise": 1}, kalman(0, 1)),
]


def reference(events, smooth, forget):
    def step(state, row, time):
        smoothed = None if row["x"] is None else smooth(state, row["x"], time)
        yield "", {**row, "smoothed": smoothed}

    return slowly(events, forget, dict, step)


@pytest.mark.parametrize(("settings", "smooth"), METHODS)
def test_any_stream(settings, smooth):
    @FEW
    @given(streams())
    def check(events):
        step = Smooth("x", by="device", forget="15s", **settings)
        same(step, events, reference(events, smooth, 15 * S))

    check()


@pytest.mark.parametrize(("settings", "smooth"), METHODS)
@FEW
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_one_long_key(settings, smooth, values):
    events = [
        from_rows([{"device": None, "x": x} for x in values], [n * S for n in range(len(values))])
    ]
    found = run_operator(Smooth("x", **settings), events)[""]
    wanted = reference(events, smooth, math.inf)[""]
    for row, other in zip(found, wanted, strict=True):
        assert abs(row["smoothed"] - other["smoothed"]) < 1e-8


def smoothed(values, **settings):
    left = check_operator(Smooth("x", **settings), [from_rows([{"x": x} for x in values])])
    return [row["smoothed"] for row in left[""]]


def test_missing_and_infinite_values_change_nothing():
    assert smoothed([1, None, math.inf, 3], alpha=0.5) == [1, None, None, 2]
    assert smoothed([4, None, 1, 2], method="median", window=3) == [4, None, 2.5, 2]


def test_a_spike_vanishes_in_the_median_and_a_step_stays():
    spike, step = [1, 1, 9, 1, 1], [1, 1, 1, 5, 5]
    assert smoothed(spike, method="median", window=3) == [1, 1, 1, 1, 1]
    assert smoothed(step, method="median", window=3) == [1, 1, 1, 1, 5]


def test_without_drift_the_kalman_filter_is_the_mean():
    assert smoothed([1, 3, 5, 11], method="kalman", drift=0, noise=1) == [1, 2, 3, 5]


def test_a_half_life_is_one():
    rows = from_rows([{"x": 0}, {"x": 8}, {"x": 8}], [0, 10 * S, 30 * S])
    left = check_operator(Smooth("x", half_life="10s", as_="s"), [rows])
    assert [row["s"] for row in left[""]] == pytest.approx([0, 4, 7])


def test_schema():
    step = Smooth("x", by="device", alpha=0.5, as_="y")
    assert step.infer(SCHEMA).fields["y"] == "float"
    assert step.uses() == {"device": "any", "x": "float"}
    assert step.passes(frozenset({"y", "x"})) == {"x"}
    assert build(Smooth, {"column": "x", "alpha": 0.5, "by": "device", "as": "y"}) == step
    for column in ("device", "z"):
        with pytest.raises(ConfigError):
            Smooth(column, alpha=0.5).infer(SCHEMA)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"alpha": 0.5, "half_life": "1s"},
        {"alpha": 0},
        {"alpha": 2},
        {"method": "median"},
        {"method": "median", "window": 3, "alpha": 0.5},
        {"method": "kalman", "drift": 1},
        {"method": "kalman", "drift": 1, "noise": 0},
        {"method": "kalman", "drift": -1, "noise": 1},
        {"alpha": 0.5, "as_": ""},
        {"alpha": 0.5, "as_": "d"},
    ],
)
def test_refused_when_made(settings):
    with pytest.raises(ConfigError):
        Smooth("x", by="d", **settings)
