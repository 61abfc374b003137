from datetime import UTC, datetime

import numpy as np
import pytest

from edgestream.batch import Batch, Dictionary, Strings, as_column, concat, empty, from_rows


def test_rows_become_columns_and_come_back() -> None:
    moment = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    rows = [
        {"device": "a", "n": 1, "x": 1.5, "ok": True, "at": moment},
        {"device": None, "n": 2, "x": None, "ok": False, "at": None},
    ]
    batch = from_rows(rows)
    assert batch.rows() == rows
    assert {name: getattr(column, "dtype", "text") for name, column in batch.columns.items()} == {
        "device": "text",
        "n": np.int64,
        "x": np.float64,
        "ok": np.bool_,
        "at": np.dtype("datetime64[us]"),
    }


def test_an_integer_that_is_missing_somewhere_becomes_a_float() -> None:
    batch = from_rows([{"n": 1}, {}])
    assert batch["n"].dtype == np.float64
    assert batch.rows() == [{"n": 1.0}, {"n": None}]


def test_arrays_are_read_only() -> None:
    batch = from_rows([{"x": 1.0}])
    with pytest.raises(ValueError, match="read-only"):
        batch["x"][0] = 2.0


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="'x' has 2 rows, times has 1"):
        Batch({"x": np.zeros(2)}, np.zeros(1, np.int64))


def test_codes_keep_their_meaning() -> None:
    dictionary = Dictionary()
    first = dictionary.encode(["a", "b", None, "a"])
    second = dictionary.encode(["c", "b"])
    assert first.tolist() == [0, 1, -1, 0]
    assert second.tolist() == [2, 1]
    assert list(dictionary.values) == ["a", "b", "c"]
    assert dictionary.code("nowhere") == -1
    assert len(dictionary) == 3


def test_text_compares_row_by_row_and_missing_equals_nothing() -> None:
    text = Strings.of(["a", None, "b"])
    assert (text == "a").tolist() == [True, False, False]
    assert (text == Strings.of(["a", None, "c"])).tolist() == [True, False, False]


def test_map_calls_the_function_once_a_string() -> None:
    calls: list[str] = []

    def length(text: str) -> int:
        calls.append(text)
        return len(text)

    column = Strings.of(["aa", "b", "aa", None])
    assert column.map(length, -1, np.int64).tolist() == [2, 1, 2, -1]
    assert sorted(calls) == ["aa", "b"]


def test_with_columns_takes_lists_and_arrays() -> None:
    batch = from_rows([{"x": 1.0}, {"x": 2.0}]).with_columns(y=[1, 2], z=["p", "q"])
    assert batch.rows() == [{"x": 1.0, "y": 1, "z": "p"}, {"x": 2.0, "y": 2, "z": "q"}]


@pytest.mark.parametrize(
    ("given", "dtype"),
    [([1, 2], "int64"), ([1.0], "float64"), ([True], "bool"), ([None, 1.0], "float64")],
)
def test_as_column_settles_the_type(given: list[object], dtype: str) -> None:
    column = as_column(given)
    assert not isinstance(column, Strings)
    assert column.dtype == dtype


def test_as_column_refuses_what_no_column_holds() -> None:
    with pytest.raises(TypeError, match="complex128"):
        as_column(np.zeros(1, complex))


def test_concat_fills_what_is_missing() -> None:
    joined = concat(
        [
            from_rows([{"a": 1, "t": "x"}]),
            from_rows([{"b": 2.5, "t": "y"}]),
            from_rows([{"t": "x"}]),
        ]
    )
    assert joined.rows() == [
        {"a": 1.0, "t": "x", "b": None},
        {"a": None, "t": "y", "b": 2.5},
        {"a": None, "t": "x", "b": None},
    ]


def test_concat_keeps_a_shared_dictionary() -> None:
    dictionary = Dictionary()
    batches = [
        Batch({"d": Strings(dictionary.encode(names), dictionary)}, np.zeros(len(names), np.int64))
        for names in (["a"], ["b", "a"])
    ]
    assert concat(batches)["d"].dictionary is dictionary
    assert concat(batches)["d"].to_list() == ["a", "b", "a"]


def test_take_select_and_empty() -> None:
    batch = Batch({"a": np.arange(3), "b": np.arange(3.0)}, np.arange(3), ("a", "b"))
    assert batch.take(batch["a"] > 0).rows() == [{"a": 1, "b": 1.0}, {"a": 2, "b": 2.0}]
    assert batch.select(["b"]).keys == ("b",)
    assert len(empty(batch)) == 0
    assert list(empty(batch).columns) == ["a", "b"]
