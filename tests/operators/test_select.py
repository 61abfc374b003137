import pytest

from edgestream.batch import Batch, empty, from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.select import Select
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator

BATCH = from_rows([{"a": 1, "b": "x", "c": 1.5}, {"a": 2, "b": None, "c": None}], [3, 4])
SCHEMA = Schema.of_kinds({"a": "int", "b": "string", "c": "float"})


def test_keeps_columns_in_the_order_given():
    assert check_operator(Select(["c", "a"]), [BATCH])[""] == [
        {"c": 1.5, "a": 1, "@time": 3},
        {"c": None, "a": 2, "@time": 4},
    ]
    ((_, batch),) = Select(["c", "a"]).process(BATCH)
    assert list(batch.columns) == ["c", "a"]


def test_a_column_that_did_not_come_stays_away():
    ((_, batch),) = Select(["a", "z"]).process(BATCH)
    assert list(batch.columns) == ["a"]
    ((_, batch),) = Select(["z"]).process(BATCH)
    assert (len(batch), list(batch.columns)) == (2, [])


@pytest.mark.parametrize(("names", "keys"), [(["a", "b", "c"], ("a", "b")), (["a", "c"], ())])
def test_keys_stay_whole_or_go(names, keys):
    batch = Batch(BATCH.columns, BATCH.times, ("a", "b"))
    ((_, left),) = Select(names).process(batch)
    assert left.keys == keys


def test_no_rows_give_no_output():
    assert Select(["a"]).process(empty(BATCH)) == []


def test_yaml_and_python_build_the_same():
    assert build(Select, {"columns": ["a", "b"]}) == Select(("a", "b"))
    assert Select("a") == Select(["a"])


def test_schema_is_what_is_named():
    assert Select(["c", "a"]).infer(SCHEMA) == Schema.of_kinds({"c": "float", "a": "int"})
    assert Select(["z"]).infer(Schema.unknown()) == Schema.of_kinds({"z": "any"})


def test_every_unknown_name_at_once():
    with pytest.raises(ConfigError) as caught:
        Select(["a", "y", "z"]).infer(SCHEMA)
    assert [problem.path for problem in caught.value.problems] == [("columns", 1), ("columns", 2)]
    assert "'y'" in str(caught.value)


@pytest.mark.parametrize(
    ("names", "words"), [([], "no column"), (["a", ""], "empty"), (["a", "b", "a"], "twice")]
)
def test_names_are_checked(names, words):
    with pytest.raises(ConfigError, match=words):
        Select(names)


def test_projection():
    select = Select(["a", "b"])
    assert select.passes(None) == {"a", "b"}
    assert select.passes(frozenset({"b", "z"})) == {"b"}
    assert select.uses() == {}
