"""Rows that wait, in arrays that grow in place, and of which those before a moment are taken.

Rows that are added are only noted. Those taken stay where they were, with a time that is before no
moment, until room is made: to take a few of many costs a look at their times, not a copy of the
rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from edgestream.batch import Array, Column, Strings
from edgestream.window.kind import FAR, Times
from edgestream.window.lookup import Numbers

Part: TypeAlias = tuple[Sequence[Column | None], Times]
"""Columns and times of the same rows; None is a column that is not there."""


class Pile:
    """Rows with the columns, types and dictionaries of a first part, in the order they came."""

    __slots__ = ("_arrays", "_end", "_first", "_parts", "_times", "rows")

    def __init__(self, first: Sequence[Column | None]) -> None:
        """Take rows that are like these."""
        self._first = first
        self._parts: list[Part] = []
        self._arrays = [None if one is None else _array(one)[:0] for one in first]
        self._times: Times = np.zeros(0, np.int64)
        self._end = 0
        self.rows = 0

    def fits(self, columns: Sequence[Column | None]) -> bool:
        """Whether rows can be added without a look at them."""
        return all(map(_alike, self._first, columns))

    def add(self, columns: Sequence[Column | None], times: Times) -> None:
        """Note rows that fit."""
        self._parts.append((columns, times))
        self.rows += len(times)

    @property
    def nbytes(self) -> int:
        """The bytes held, those of rows that were taken and are still there as well."""
        gathered = [self._times, *self._arrays]
        held = [array for columns, times in self._parts for array in (times, *columns)]
        return sum(0 if one is None else _array(one).nbytes for one in (*gathered, *held))

    @property
    def low(self) -> int:
        """The first time, once rows were looked at."""
        return int(np.minimum.reduce(self._times[: self._end], initial=FAR))

    def before(self, moment: int) -> Numbers:
        """Where the rows before a moment are."""
        if self._parts:
            self._gather()
        return np.flatnonzero(self._times[: self._end] < moment)

    def take(self, at: Numbers) -> Part:
        """Rows, which then no longer wait."""
        taken = self._rows(at)
        self._times[at] = FAR
        self.rows -= len(at)
        return taken

    def all(self) -> Part:
        """All rows; nothing may be asked of the pile after that."""
        if not self._end and len(self._parts) == 1:
            return self._parts[0]
        if self._end:
            return self._rows(self.before(FAR))
        times = np.concatenate([times for _, times in self._parts])
        columns = zip(*(columns for columns, _ in self._parts), strict=True)
        return [_joined(first, of) for first, of in zip(self._first, columns, strict=True)], times

    def newest(self, rows: int) -> Iterator[Part]:
        """At least so many of the rows that came last, the newest first."""
        for part in reversed(self._parts):
            if rows <= 0:
                return
            yield part
            rows -= len(part[1])
        if rows > 0 and self._end:
            yield self._rows(self._left()[-rows:])

    def _gather(self) -> None:
        """Move the rows that were noted into the arrays."""
        parts, self._parts = self._parts, []
        more = sum(len(times) for _, times in parts)
        if self._end + more > len(self._times):
            self._make_room(more)
        for columns, times in parts:
            end = self._end + len(times)
            self._times[self._end : end] = times
            for array, column in zip(self._arrays, columns, strict=True):
                if array is not None and column is not None:
                    array[self._end : end] = _array(column)
            self._end = end

    def _make_room(self, more: int) -> None:
        """Let go of the rows that were taken, and have as much room again as is needed."""
        kept = self._left()
        size = 2 * (len(kept) + more)
        for index, array in enumerate(self._arrays):
            if array is not None:
                self._arrays[index] = _moved(array, kept, size)
        self._times, self._end = _moved(self._times, kept, size), len(kept)

    def _left(self) -> Numbers:
        """Where the rows are that were not taken."""
        return np.flatnonzero(self._times[: self._end] != FAR)

    def _rows(self, at: Numbers) -> Part:
        columns = zip(self._first, self._arrays, strict=True)
        return [_of(first, array, at) for first, array in columns], self._times[at]


def _of(first: Column | None, array: Array | None, at: Numbers) -> Column | None:
    if array is None:
        return None
    return Strings(array[at], first.dictionary) if isinstance(first, Strings) else array[at]


def _array(column: Column) -> Array:
    return column.codes if isinstance(column, Strings) else column


def _moved(array: Array, kept: Numbers, size: int) -> Array:
    larger = np.empty(size, array.dtype)
    larger[: len(kept)] = array[kept]
    return larger


def _alike(one: Column | None, other: Column | None) -> bool:
    if isinstance(one, Strings):
        return isinstance(other, Strings) and one.dictionary is other.dictionary
    if one is None or other is None:
        return one is other
    return not isinstance(other, Strings) and one.dtype == other.dtype


def _joined(first: Column | None, columns: Sequence[Column | None]) -> Column | None:
    if first is None:
        return None
    joined: Array = np.concatenate([_array(column) for column in columns if column is not None])
    return Strings(joined, first.dictionary) if isinstance(first, Strings) else joined
