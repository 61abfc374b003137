import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import Strings, from_rows
from edgestream.sinks.cells import broken_text, cells, filled, iso_times, without_columns


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_795_514_400_000_000, "2026-11-24T10:00:00Z"),
        (1_795_514_400_500_000, "2026-11-24T10:00:00.500000Z"),
        (np.iinfo(np.int64).min, None),
        (400_000_000_000_000_000, "14645-06-30T15:06:40Z"),
    ],
)
def test_times_as_text(micros, text):
    assert iso_times(np.array([micros, micros], "datetime64[us]")) == [text, text]


@given(st.lists(st.datetimes()))
def test_times_as_text_are_what_python_reads(moments):
    texts = iso_times(np.array(moments, "datetime64[us]"))
    assert [f"{moment.isoformat()}Z" for moment in moments] == [
        text if "." in str(text) else str(text) for text in texts
    ]


def test_cells_and_where_they_are_filled():
    columns = [
        (Strings.of(["a", None]), ["a", None], [True, False]),
        (np.array([1, 2]), [1, 2], [True, True]),
        (np.array([True, False]), [True, False], [True, True]),
        (np.array([0, np.iinfo(np.int64).min], "datetime64[us]"), None, [True, False]),
        (np.array([0.5, np.nan]), None, [True, False]),
    ]
    for column, values, there in columns:
        if values is not None:
            assert cells(column) == values
        assert filled(column).tolist() == there


def test_rows_that_no_sink_can_take():
    batch = from_rows([{"a": "x", "b": 1.0}, {"a": "\udc00"}, {"a": None, "b": 2.0}, {"a": "ü"}])
    assert list(broken_text(batch)) == [1]
    assert without_columns(batch, {"b": "no b"}) == {0: "no b", 2: "no b"}
