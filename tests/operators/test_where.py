import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import Batch, empty, from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.expr import Expr
from edgestream.operators.where import Where
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator

SCHEMA = Schema.of_kinds({"temperature": "float", "device": "string", "on": "bool"})
ROWS = [
    {"temperature": 21.5, "device": "attic", "on": True},
    {"temperature": None, "device": "attic", "on": False},
    {"temperature": -50.0, "device": None, "on": True},
    {"temperature": 90.0, "device": "kitchen", "on": False},
]


def kept(condition, rows=ROWS):
    left = check_operator(Where(condition), [from_rows(rows, range(len(rows)))])
    return [row["@time"] for row in left.get("", [])]


@pytest.mark.parametrize(
    ("condition", "times"),
    [
        ("temperature > -40 and temperature < 85", [0]),
        ("temperature is missing or temperature > 85", [1, 3]),
        ("temperature != 21.5", [2, 3]),
        ("not temperature > 0", [1, 2]),
        ("device in ('attic', 'cellar')", [0, 1]),
        ("device != 'attic'", [3]),
        ("on", [0, 2]),
        ("not on", [1, 3]),
        ("true", [0, 1, 2, 3]),
        ("false", []),
        ("nowhere > 1", []),
        ("nowhere is missing", [0, 1, 2, 3]),
        ("null", []),
    ],
)
def test_keeps_the_rows_for_which_it_is_true(condition, times):
    assert kept(condition) == times


def test_rows_that_all_stay_are_not_copied():
    batch = from_rows(ROWS)
    assert Where("true").process(batch) == [("", batch)]


def test_no_rows_give_no_output():
    batch = from_rows(ROWS)
    assert Where("false").process(batch) == []
    assert Where("true").process(empty(batch)) == []
    assert Where("true").process(Batch({}, np.zeros(0, np.int64))) == []


def test_keys_and_times_stay():
    batch = Batch({"a": np.array([1, 2])}, np.array([7, 8]), ("a",))
    ((_, left),) = Where("a > 1").process(batch)
    assert (left.keys, left.times.tolist(), left["a"].tolist()) == (("a",), [8], [2])


def test_yaml_and_python_build_the_same():
    assert build(Where, {"condition": "on"}) == Where("on") == Where(Expr(" on"))
    assert Where("on") != Where("not on")


def test_schema_stays():
    assert Where("temperature > 1").infer(SCHEMA) == SCHEMA
    assert Where("anything").infer(Schema.unknown()) == Schema.unknown()


@pytest.mark.parametrize(
    ("condition", "column", "words"),
    [
        ("temprature > 1", 1, "did you mean 'temperature'"),
        ("on and temperatur > 1", 8, "did you mean 'temperature'"),
        ("temperature", 1, "gives a number"),
        ("device", 1, "gives text"),
        ("temperature + 1", 1, "gives a number"),
        ("temperature == 'x'", 13, "one kind"),
    ],
)
def test_refused_when_the_columns_are_known(condition, column, words):
    with pytest.raises(ConfigError) as caught:
        Where(condition).infer(SCHEMA)
    (problem,) = caught.value.problems
    assert (problem.path, problem.column) == (("condition",), column)
    assert words in str(problem)


def test_refused_when_made():
    with pytest.raises(ConfigError) as caught:
        Where("temperature = 1")
    (problem,) = caught.value.problems
    assert (problem.path, problem.column) == (("condition",), 13)
    assert "use ==" in problem.hint


def test_projection():
    where = Where("temperature > 1 and device == 'x'")
    assert where.uses() == {"temperature": "float", "device": "string"}
    assert where.passes(frozenset({"a"})) == {"a"}
    assert where.passes(None) is None


@given(st.lists(st.none() | st.floats(-100, 100), max_size=12), st.integers(-100, 100))
def test_any_rows(numbers, limit):
    rows = [{"x": number, "n": index} for index, number in enumerate(numbers)]
    expected = [row["n"] for row in rows if row["x"] is not None and row["x"] > limit]
    assert kept(f"x > {limit}", rows) == expected
