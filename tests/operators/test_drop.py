import pytest

from edgestream.batch import Batch, empty, from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.drop import Drop
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator

BATCH = from_rows([{"a": 1, "b": "x", "c": 1.5}, {"a": 2, "b": None, "c": None}], [3, 4])
SCHEMA = Schema.of_kinds({"a": "int", "b": "string", "c": "float"})


def test_leaves_columns_out():
    assert check_operator(Drop(["b", "c"]), [BATCH])[""] == [
        {"a": 1, "@time": 3},
        {"a": 2, "@time": 4},
    ]


def test_a_column_that_did_not_come_is_no_harm():
    ((_, batch),) = Drop(["z", "a"]).process(BATCH)
    assert list(batch.columns) == ["b", "c"]


@pytest.mark.parametrize(("names", "keys"), [(["c"], ("a", "b")), (["b"], ())])
def test_keys_stay_whole_or_go(names, keys):
    batch = Batch(BATCH.columns, BATCH.times, ("a", "b"))
    ((_, left),) = Drop(names).process(batch)
    assert left.keys == keys


def test_no_rows_give_no_output():
    assert Drop(["a"]).process(empty(BATCH)) == []


def test_yaml_and_python_build_the_same():
    assert build(Drop, {"columns": ["a"]}) == Drop(("a",)) == Drop("a")


def test_schema_loses_them():
    assert Drop(["b"]).infer(SCHEMA) == Schema.of_kinds({"a": "int", "c": "float"})
    left = Drop(["z"]).infer(Schema({"a": "int"}, open=True))
    assert left == Schema({"a": "int"}, open=True)


def test_every_unknown_name_at_once():
    with pytest.raises(ConfigError) as caught:
        Drop(["x", "a", "y"]).infer(SCHEMA)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(("names", "words"), [([], "no column"), (["a", "a"], "twice")])
def test_names_are_checked(names, words):
    with pytest.raises(ConfigError, match=words):
        Drop(names)


def test_projection():
    assert Drop(["a"]).passes(None) is None
    assert Drop(["a"]).passes(frozenset({"a", "b"})) == {"b"}
