"""Columns as the plain values that databases and text files hold, and rows that no sink can take.

Times become ISO 8601 text in UTC with a Z, with microseconds only where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import MISSING, Batch, Column, Strings

_SECOND = 1_000_000


def cells(column: Column) -> list[Any]:
    """Python values: None where text or a time is missing, NaN where a number is."""
    if isinstance(column, Strings):
        return column.to_list()
    if column.dtype.kind == "M":
        return iso_times(column)
    return cast("list[Any]", column.tolist())


def iso_times(times: NDArray[Any]) -> list[str | None]:
    """``2026-11-24T10:00:00Z``, or with six decimals; None where the time is missing."""
    used, inverse = np.unique(times.astype("datetime64[us]"), return_inverse=True)
    whole = used.astype(np.int64) % _SECOND == 0
    plain = np.datetime_as_string(used, "s", casting="unsafe").tolist()
    exact = np.datetime_as_string(used, "us").tolist()
    texts = np.empty(len(used), object)
    texts[:] = [
        None if text == "NaT" else f"{short if is_whole else text}Z"
        for short, text, is_whole in zip(plain, exact, whole.tolist(), strict=True)
    ]
    return cast("list[str | None]", texts[inverse].tolist())


def filled(column: Column) -> NDArray[np.bool_]:
    """Where a column holds a value."""
    if isinstance(column, Strings):
        present: NDArray[np.bool_] = column.codes != MISSING
        return present
    if column.dtype.kind in "fM":
        present = column == column
        return present
    return np.ones(len(column), np.bool_)


def without_columns(batch: Batch, unfit: Mapping[str, str]) -> dict[int, str]:
    """The rows that hold a value in an unfit column (name → why), each with the reason."""
    reasons: dict[int, str] = {}
    for name, why in unfit.items():
        for row in np.flatnonzero(filled(batch.columns[name])).tolist():
            reasons.setdefault(row, why)
    return reasons


def broken_text(batch: Batch) -> dict[int, str]:
    """The rows with text that is no valid Unicode (lone surrogates), each with the reason."""
    reasons: dict[int, str] = {}
    for name, column in batch.columns.items():
        if isinstance(column, Strings):
            broken = column.map(has_surrogate, missing=False, dtype=np.bool_)
            for row in np.flatnonzero(broken).tolist():
                reasons.setdefault(row, f"the text in {name!r} is no valid Unicode")
    return reasons


def has_surrogate(text: str) -> bool:
    """Whether text cannot be written as UTF-8."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def good_rows(batch: Batch, refused: Mapping[int, str]) -> Batch:
    """The rows that were not refused."""
    if not refused:
        return batch
    keep = np.ones(len(batch), np.bool_)
    keep[list(refused)] = False
    return batch.take(keep)
