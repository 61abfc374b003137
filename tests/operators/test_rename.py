import pytest

from edgestream.batch import Batch, empty, from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.rename import Rename
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator

BATCH = from_rows([{"a": 1, "b": "x", "c": 1.5}, {"a": 2, "b": None, "c": None}], [3, 4])
SCHEMA = Schema.of_kinds({"a": "int", "b": "string", "c": "float"})


def test_gives_other_names():
    assert check_operator(Rename({"a": "n", "c": "x"}), [BATCH])[""] == [
        {"n": 1, "b": "x", "x": 1.5, "@time": 3},
        {"n": 2, "b": None, "x": None, "@time": 4},
    ]


def test_two_change_places_and_order_stays():
    ((_, batch),) = Rename({"a": "b", "b": "a"}).process(BATCH)
    assert list(batch.columns) == ["b", "a", "c"]
    assert batch["b"].tolist() == [1, 2]
    assert batch["a"].to_list() == ["x", None]


def test_the_renamed_one_replaces_what_nobody_announced():
    ((_, batch),) = Rename({"a": "c"}).process(BATCH)
    assert list(batch.columns) == ["c", "b"]
    assert batch["c"].tolist() == [1, 2]


def test_a_column_that_did_not_come_changes_nothing():
    ((_, batch),) = Rename({"z": "c"}).process(BATCH)
    assert batch.rows() == BATCH.rows()


def test_keys_are_renamed():
    batch = Batch(BATCH.columns, BATCH.times, ("a", "b"))
    ((_, left),) = Rename({"a": "device"}).process(batch)
    assert left.keys == ("device", "b")


def test_no_rows_give_no_output():
    assert Rename({"a": "b"}).process(empty(BATCH)) == []


def test_yaml_and_python_build_the_same():
    assert build(Rename, {"columns": {"a": "z"}}) == Rename({"a": "z"})


def test_schema_is_renamed():
    schema = Rename({"a": "n"}).infer(SCHEMA)
    assert list(schema.fields.items()) == [("n", "int"), ("b", "string"), ("c", "float")]
    swapped = Rename({"a": "b", "b": "a"}).infer(SCHEMA)
    assert dict(swapped.fields) == {"b": "int", "a": "string", "c": "float"}
    assert Rename({"a": "n"}).infer(Schema.unknown()) == Schema({"n": "any"}, open=True)


def test_a_taken_name_is_refused():
    with pytest.raises(ConfigError) as caught:
        Rename({"a": "b"}).infer(SCHEMA)
    (problem,) = caught.value.problems
    assert problem.path == ("columns", "a")
    assert "there is a column 'b' already" in problem.message
    assert "drop 'b'" in problem.hint


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="there is no column 'z' here"):
        Rename({"z": "y"}).infer(SCHEMA)


@pytest.mark.parametrize(
    ("columns", "words"),
    [({}, "no column"), ({"a": "z", "b": "z"}, "both be called 'z'"), ({"a": ""}, "empty")],
)
def test_names_are_checked(columns, words):
    with pytest.raises(ConfigError, match=words):
        Rename(columns)


@pytest.mark.parametrize(
    ("columns", "wanted", "needed"),
    [
        ({"a": "n"}, {"n", "b"}, {"a", "b"}),
        ({"a": "n"}, {"b"}, {"b"}),
        ({"a": "n"}, {"a"}, set()),
        ({"a": "b", "b": "a"}, {"a"}, {"b"}),
        ({"a": "b", "b": "a"}, {"a", "b", "c"}, {"a", "b", "c"}),
        ({"a": "b"}, {"b"}, {"a"}),
    ],
)
def test_projection(columns, wanted, needed):
    assert Rename(columns).passes(frozenset(wanted)) == needed
    assert Rename(columns).passes(None) is None
