import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.errors import ConfigError
from edgestream.operators.deadband import Deadband
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator
from tests.operators.streams import ANY, S, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float", "at": "time"})


def reference(events, band, wait, forget):
    def step(state, row, time):
        if row["x"] is None:
            return
        still = "x" in state and abs(row["x"] - state["x"]) < band
        if not still or time - state["time"] >= wait:
            state.update(x=row["x"], time=time)
            yield "", row

    return slowly(events, forget, dict, step)


@ANY
@given(streams(), st.sampled_from([0, 0.5, 3]), st.none() | st.integers(1, 20))
def test_any_stream(events, band, wait):
    step = Deadband("x", band, by="device", at_least=wait and f"{wait}s", forget="15s")
    same(step, events, reference(events, band, wait * S if wait else math.inf, 15 * S))


def kept(values, times=None, **settings):
    rows = [{"x": x, "n": n} for n, x in enumerate(values)]
    left = check_operator(Deadband("x", 1, **settings), [from_rows(rows, times)])
    return [row["n"] for row in left.get("", [])]


def test_the_distance_is_to_what_was_kept():
    assert kept([20, 20.5, 21, 21.5, 20.25, 20, None, 30]) == [0, 2, 5, 7]


def test_a_row_now_and_then_in_any_case():
    times = [n * S for n in (0, 30, 59, 60, 90, 120)]
    assert kept([1] * 6, times, at_least="1m") == [0, 3, 5]
    assert kept([1] * 6, times) == [0]


def test_infinite_values_are_far_away():
    assert kept([1, math.inf, math.inf, 2]) == [0, 1, 2, 3]


def test_without_the_column_nothing_passes():
    assert check_operator(Deadband("x", 1), [from_rows([{"y": 1}])]) == {}


def test_schema():
    step = Deadband("x", 1, by="device")
    assert step.infer(SCHEMA) == SCHEMA
    assert step.uses() == {"device": "any", "x": "float"}
    assert step.passes(frozenset({"n"})) == {"n"}
    for column, words in (("device", "holds text"), ("at", "holds times"), ("y", "no column 'y'")):
        with pytest.raises(ConfigError, match=words) as caught:
            Deadband(column, 1).infer(SCHEMA)
        assert caught.value.problems[0].path == ("column",)
    with pytest.raises(ConfigError, match="at least 0"):
        Deadband("x", -1)
