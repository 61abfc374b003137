import math
import random
import statistics

import pytest
from hypothesis import given

from edgestream.batch import from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.anomaly import Anomaly
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator, run_operator
from tests.operators.streams import FEW, S, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float"})


def windowed(center, spread):
    def judge(state, x, time, window, least):
        before = state.setdefault("values", [])[-window:]
        state["values"].append(x)
        if len(before) < least:
            return None, None
        middle = center(before)
        return x - middle, spread(before, middle)

    return judge


def mad(values, middle):
    return 1.4826 * statistics.median(abs(value - middle) for value in values)


def ewma(state, x, time, window, least):
    """Weights written out: the k-th value has 1/k at first, then 2 / (window + 1)."""
    values = state.setdefault("values", [])
    mean = variance = 0.0
    for k, value in enumerate(values, 1):
        weight = max(1 / k, 2 / (window + 1))
        before = mean
        mean = (1 - weight) * mean + weight * value
        variance = (1 - weight) * variance + weight * (value - before) * (value - mean)
    values.append(x)
    return (None, None) if len(values) <= least else (x - mean, math.sqrt(max(0, variance)))


def seasonal(state, x, time, window, least):
    return ewma(state.setdefault(time % (20 * S) // (5 * S), {}), x, time, window, least)


METHODS = {
    "zscore": windowed(statistics.fmean, lambda values, _: statistics.stdev(values)),
    "hampel": windowed(statistics.median, mad),
    "ewma": ewma,
    "seasonal": seasonal,
}


def reference(events, judge, window, least, floor, forget):
    def step(state, row, time):
        score = None
        if row["x"] is not None:
            distance, spread = judge(state, row["x"], time, window, least)
            if distance is not None:
                spread = max(spread, floor)
                score = 0 if not distance else distance / spread
        yield "", {**row, "score": score, "anomaly": score is not None and abs(score) > 1.5}

    return slowly(events, forget, dict, step)


@pytest.mark.parametrize("method", METHODS)
def test_any_stream(method):
    season = {"season": "20s", "buckets": 4} if method == "seasonal" else {}

    @FEW
    @given(streams())
    def check(events):
        # The floor keeps away from where rounding alone decides whether there is any spread.
        step = Anomaly(
            "x", by="device", method=method, threshold=1.5, window=4, least=2, floor=0.001,
            forget="15s", **season,
        )  # fmt: skip
        same(step, events, reference(events, METHODS[method], 4, 2, 0.001, 15 * S))

    check()


@pytest.mark.parametrize("method", METHODS)
def test_one_long_key_far_from_zero(method):
    numbers = random.Random(4)
    values = [1e9 + numbers.gauss(0, 1) for _ in range(400)]
    values[300] += 30
    events = [from_rows([{"device": None, "x": x} for x in values])]
    found = run_operator(Anomaly("x", method=method, window=50, threshold=6), events)[""]
    wanted = reference(events, METHODS[method], 50, 10, 0, math.inf)[""]
    for row, other in zip(found, wanted, strict=True):
        assert (row["score"] is None) == (other["score"] is None)
        assert row["score"] is None or abs(row["score"] - other["score"]) < 1e-4
    assert [index for index, row in enumerate(found) if row["anomaly"]] == [300]


def judged(values, **settings):
    rows = from_rows([{"x": x} for x in values])
    left = check_operator(Anomaly("x", least=2, **settings), [rows])
    return [(row["score"], row["anomaly"]) for row in left[""]]


def test_where_nothing_ever_varied():
    assert judged([5, 5, 5, 6]) == [(None, False), (None, False), (0, False), (math.inf, True)]
    assert judged([5, 5, 4], floor=0.5)[-1] == (-2, False)
    assert judged([5, 5, 4], method="hampel")[-1] == (-math.inf, True)


def test_missing_and_infinite_values_are_not_judged_and_teach_nothing():
    found = judged([1, None, 2, math.inf, 1.5])
    assert [score is None for score, _ in found] == [True, True, True, True, False]
    assert not any(anomaly for _, anomaly in found)


def test_a_column_that_is_not_there():
    left = check_operator(Anomaly("x"), [from_rows([{"y": 1}])])
    assert left[""] == [{"y": 1, "score": None, "anomaly": False, "@time": 0}]


def test_outliers_before_do_not_hide_the_next_one_from_hampel():
    values = [1, 2, 1, 2, 1, 2, 1, 2, 1, 100, 2, 1, 100]
    assert judged(values, method="hampel", window=10)[-1][1]
    assert not judged(values, method="zscore", window=10)[-1][1]


def test_schema():
    step = Anomaly("x", by="device")
    fields = step.infer(SCHEMA).fields
    assert (fields["score"], fields["anomaly"]) == ("float", "bool")
    assert step.uses() == {"device": "any", "x": "float"}
    assert step.passes(frozenset({"score", "anomaly", "n"})) == {"n"}
    assert build(Anomaly, {"column": "x", "by": "device"}) == step
    for column in ("device", "z"):
        with pytest.raises(ConfigError):
            Anomaly(column).infer(SCHEMA)


def test_a_snapshot_of_another_method_is_refused():
    saved = Anomaly("x").snapshot()
    with pytest.raises(ConfigError, match="the saved state is of method zscore"):
        Anomaly("x", method="hampel").restore(saved)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "magic"},
        {"window": 5},
        {"least": 1},
        {"threshold": -1},
        {"method": "seasonal", "season": "10ns"},
        {"by": "score"},
        {"by": ["d", "d"]},
    ],
)
def test_refused_when_made(settings):
    with pytest.raises(ConfigError):
        Anomaly("x", **settings)
