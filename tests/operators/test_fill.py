import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.fill import Fill
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator
from tests.operators.streams import ANY, NUMBERS, TEXTS, WHOLE, S, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float", "n": "int", "on": "bool", "at": "time"})


def reference(events, age, forget):
    def step(state, row, time):
        if row["x"] is not None:
            state.update(x=row["x"], time=time)
        held = state.get("x") if time - state.get("time", time) <= age else None
        yield "", {**row, "x": held}

    return slowly(events, forget, dict, step)


@ANY
@given(st.data(), st.sampled_from([NUMBERS, TEXTS, WHOLE]), st.none() | st.integers(1, 10))
def test_the_last_value_is_held(data, values, age):
    events = data.draw(streams(values))
    step = Fill("x", by="device", max_age=age and f"{age}s", forget="15s")
    same(step, events, reference(events, age * S if age else math.inf, 15 * S))


def filled(rows, *columns, **settings):
    left = check_operator(Fill(list(columns), **settings), [from_rows(rows)])[""]
    return [tuple(row.get(name) for name in columns) for row in left]


def test_several_columns():
    rows = [{"a": 1, "b": "x"}, {"a": None, "b": None}, {"a": 3, "b": None}, {"a": None, "b": "y"}]
    assert filled(rows, "a", "b") == [(1, "x"), (1, "x"), (3, "x"), (3, "y")]
    assert filled([{"c": 1}], "a", "b") == [(None, None)]


@pytest.mark.parametrize(
    ("value", "rows", "wanted"),
    [
        (0, [1.5, None], [1.5, 0]),
        (0.5, [1, None], [1, 0.5]),
        (-1, [None, None], [-1, -1]),
        ("none", ["a", None], ["a", "none"]),
        (True, [None, 0], [1, 0]),
    ],
)
def test_a_constant(value, rows, wanted):
    left = filled([{"x": x} for x in rows], "x", how="constant", value=value)
    assert [x for (x,) in left] == wanted
    assert filled([{"y": 1}], "x", how="constant", value=value) == [(value,)]


def test_a_batch_that_is_whole_goes_through():
    whole = from_rows([{"x": 1}, {"x": 2}])
    ((_, left),) = Fill("x").process(whole)
    assert left is whole
    assert Fill("x", how="constant", value=0).snapshot() is None


def test_texts_of_a_constant_stay_in_one_dictionary():
    step = Fill("x", how="constant", value="none")
    batches = [step.process(from_rows([{"x": None}, {"x": "a"}]))[0][1] for _ in range(2)]
    assert batches[0]["x"].dictionary is batches[1]["x"].dictionary


def test_schema():
    step = Fill(["x", "n"], by="device")
    assert step.infer(SCHEMA) == SCHEMA
    assert step.uses() == dict.fromkeys(("x", "n", "device"), "any")
    assert step.passes(frozenset({"at"})) == {"at"}
    assert build(Fill, {"columns": "x", "how": "constant", "value": 0}).value == 0
    with pytest.raises(ConfigError) as caught:
        Fill(["x", "y"], by="devise").infer(SCHEMA)
    assert [p.path for p in caught.value.problems] == [("columns", 1), ("by", 0)]


@pytest.mark.parametrize(
    ("column", "value"), [("device", 0), ("x", "a"), ("at", "a"), ("at", 0), ("on", "a")]
)
def test_a_constant_is_of_the_kind_of_its_column(column, value):
    with pytest.raises(ConfigError) as caught:
        Fill(column, how="constant", value=value).infer(SCHEMA)
    assert [p.path for p in caught.value.problems] == [("columns", 0)]


@pytest.mark.parametrize(
    "settings",
    [
        {"columns": []},
        {"columns": ["x", "x"]},
        {"how": "constant"},
        {"value": 0},
        {"how": "constant", "value": 0, "max_age": "1s"},
        {"how": "linear"},
    ],
)
def test_refused_when_made(settings):
    with pytest.raises(ConfigError):
        Fill(**{"columns": "x", **settings})
