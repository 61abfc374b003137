"""Answers that are not right are told of."""

from __future__ import annotations

import pytest

from benchmarks.suites.case import Query, Row, last
from benchmarks.suites.compare import differences, plain

QUERY = Query("q", "means", ("device", "window_start"), ("mean",))
ROW: Row = {"device": "a", "window_start": "2026-01-01T00:00:00Z", "mean": 1.5, "n": 1}


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({}, True),
        ({"n": 2}, True),
        ({"mean": 1.5 + 1e-12}, True),
        ({"mean": 1.5001}, False),
        ({"mean": None}, False),
        ({"device": "b"}, False),
        ({"window_start": "2026-01-01T00:00:00.000Z"}, True),
        ({"window_start": "2026-01-01T00:00:01Z"}, False),
    ],
)
def test_a_changed_value(change: Row, right: bool) -> None:
    assert (differences(QUERY, [ROW], [{**ROW, **change}]) == []) is right


def test_order_does_not_matter_but_how_often_a_row_comes_does() -> None:
    other = {**ROW, "mean": 2.0}
    assert differences(QUERY, [ROW, other], [other, ROW]) == []
    assert differences(QUERY, [ROW, other], [ROW]) != []
    assert differences(QUERY, [ROW], [ROW, ROW]) != []
    assert differences(QUERY, [], [ROW]) != []
    assert differences(QUERY, [ROW], []) != []


def test_corrections_replace_what_left_before() -> None:
    query = Query("q", "means", ("device",), ("mean",), last("device"))
    early = {"device": "a", "mean": 1.0}
    assert differences(query, [{"device": "a", "mean": 2.0}], [early, {**early, "mean": 2.0}]) == []


def test_whole_floats_are_integers_and_nan_is_missing() -> None:
    assert [plain(value) for value in (2.0, 2.5, float("nan"), True, "x")] == [
        2,
        2.5,
        None,
        True,
        "x",
    ]
