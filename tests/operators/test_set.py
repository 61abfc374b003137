import pytest

from edgestream.batch import Batch, empty, from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.set import Set
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator

ROWS = [{"t": 10.0, "s": "a"}, {"t": None, "s": None}, {"t": -40.0, "s": "b"}]
SCHEMA = Schema.of_kinds({"t": "float", "s": "string"})


def made(columns, rows=ROWS):
    return check_operator(Set(columns), [from_rows(rows)])[""]


def test_adds_columns():
    rows = made({"f": "t * 9 / 5 + 32", "site": "'north'", "five": 5})
    assert [row["f"] for row in rows] == [50, None, -40]
    assert {row["site"] for row in rows} == {"north"}
    assert {row["five"] for row in rows} == {5}
    assert [row["s"] for row in rows] == ["a", None, "b"]


def test_later_ones_use_earlier_ones():
    rows = made({"a": "t + 1", "b": "a * 2", "t": "b", "c": "t"})
    assert [(row["a"], row["b"], row["t"], row["c"]) for row in rows] == [
        (11, 22, 22, 22),
        (None, None, None, None),
        (-39, -78, -78, -78),
    ]


def test_a_replaced_column_keeps_its_place():
    ((_, batch),) = Set({"t": "t + 1", "z": "1"}).process(from_rows(ROWS))
    assert list(batch.columns) == ["t", "s", "z"]


def test_keys_and_times_stay():
    batch = Batch(from_rows(ROWS).columns, from_rows(ROWS, [5, 6, 7]).times, ("s",))
    ((_, left),) = Set({"z": "1"}).process(batch)
    assert (left.keys, left.times.tolist()) == (("s",), [5, 6, 7])


def test_no_rows_give_no_output():
    assert Set({"z": "1"}).process(empty(from_rows(ROWS))) == []


def test_yaml_and_python_build_the_same():
    assert build(Set, {"columns": {"f": "t*2", "n": 1}}) == Set({"f": "t * 2", "n": "1"})


def test_schema_grows_in_order():
    schema = Set({"f": "t + 1", "t": "s", "flag": "f > 1"}).infer(SCHEMA)
    assert dict(schema.fields) == {"t": "string", "s": "string", "f": "float", "flag": "bool"}
    assert Set({"f": "t + 1"}).infer(Schema.unknown()).open


def test_every_problem_at_once():
    with pytest.raises(ConfigError) as caught:
        Set({"a": "u + 1", "b": "a + s", "c": "a + 1"}).infer(SCHEMA)
    found = [(problem.path, problem.column) for problem in caught.value.problems]
    assert found == [(("columns", "a"), 1), (("columns", "b"), 5)]


def test_every_bad_expression_at_once():
    with pytest.raises(ConfigError) as caught:
        Set({"a": "1 +", "b": "t", "c": None})
    assert [p.path for p in caught.value.problems] == [("columns", "a"), ("columns", "c")]


@pytest.mark.parametrize("columns", [{}, {"": "1"}])
def test_names_are_needed(columns):
    with pytest.raises(ConfigError, match="no name"):
        Set(columns)


def test_projection():
    step = Set({"a": "t + 1", "b": "a + u", "t": "lower(s)", "c": "t == 'x'"})
    assert step.uses() == {"t": "float", "u": "float", "s": "string"}
    assert step.passes(frozenset({"a", "b", "x"})) == {"x"}
    assert step.passes(None) is None
