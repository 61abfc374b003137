"""Every second row of each key, and the window a row belongs to: what the spool asks of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import NAT, Batch, Column, Strings


def thinned(batch: Batch, by: Sequence[str] = ()) -> Batch:
    """The first, third, fifth … row of each key, in their order.

    A key is what the columns ``by`` hold; without them, the columns that identify a row apart
    from times: the device of a window's row. Where there are none, all rows have one key.
    """
    named = by or [name for name in batch.keys if not _is_time(batch.columns.get(name))]
    groups = _groups([batch.columns[name] for name in named if name in batch.columns], len(batch))
    order = np.argsort(groups, kind="stable")
    first = np.flatnonzero(np.diff(groups[order], prepend=-1))
    lengths = np.diff(first, append=len(batch))
    ordinals = np.empty(len(batch), np.int64)
    ordinals[order] = np.arange(len(batch)) - np.repeat(first, lengths)
    return batch.take(ordinals % 2 == 0)


def _groups(columns: Sequence[Column], rows: int) -> NDArray[np.int64]:
    """One number for each row: equal where all columns are."""
    groups = np.zeros(rows, np.int64)
    for column in columns:
        values = column.codes if isinstance(column, Strings) else column
        _, codes = np.unique(values, return_inverse=True)
        _, groups = np.unique(groups * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)
    return groups


def window_times(batch: Batch) -> NDArray[np.int64] | None:
    """The first time among the columns that identify a row, in µs; None where there is none."""
    for name in batch.keys:
        column = batch.columns.get(name)
        if column is not None and not isinstance(column, Strings) and column.dtype.kind == "M":
            return column.astype("datetime64[us]").astype(np.int64)
    return None


def newest_window(batch: Batch) -> int | None:
    """The newest time by which rows are identified, in µs; None where there is none."""
    times = window_times(batch)
    if times is None or not len(times):
        return None
    newest = int(times.max())
    return None if newest == NAT else newest


def _is_time(column: Column | None) -> bool:
    return column is not None and not isinstance(column, Strings) and column.dtype.kind == "M"
