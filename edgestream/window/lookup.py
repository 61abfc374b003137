"""Whole numbers to dense numbers, in the order in which they first came, a batch at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.textcodes import TextCodes, Words, distinct

Numbers = NDArray[np.intp]
_TABLE = 1 << 16
"""Values from 0 up to here are looked up in a table, all others as texts of one word."""


class Lookup:
    """A mapping int64 → 0, 1, 2, … that grows as values come, and its inverse."""

    __slots__ = ("_apart", "_apart_numbers", "_codes", "_count", "_table", "_values")

    def __init__(self, values: NDArray[np.int64] | None = None) -> None:
        """Start with ``values``, all different, as 0, 1, 2, …"""
        self._values = np.zeros(0, np.int64)
        self._count = 0
        self._codes = TextCodes()
        # Those that it does not hold, in order.
        self._apart = np.zeros(0, np.int64)
        self._apart_numbers = np.zeros(0, np.intp)
        self._table = np.full(0, -1, np.intp)
        if values is not None:
            self._append(np.array(values, np.int64))

    def __len__(self) -> int:
        """How many different values there are."""
        return self._count

    @property
    def values(self) -> NDArray[np.int64]:
        """Dense number → value."""
        return self._values[: self._count]

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        held = (self._values, self._apart, self._apart_numbers, self._table)
        return self._codes.nbytes + sum(array.nbytes for array in held)

    def numbers(self, values: NDArray[np.int64]) -> Numbers:
        """The dense number of each value, adding those that are new."""
        if not len(values):
            return np.zeros(0, np.intp)
        found = self._find(values)
        if np.minimum.reduce(found) < 0:
            unknown = values[found < 0]
            firsts, _ = distinct(_words(unknown))
            self._append(unknown[firsts])
            found = self._find(values)
        return found

    def find(self, values: NDArray[np.int64]) -> Numbers:
        """The dense number of each value, −1 for those that never came; adds none."""
        return self._find(values) if len(values) else np.zeros(0, np.intp)

    def _find(self, values: NDArray[np.int64]) -> Numbers:
        if np.minimum.reduce(values) >= 0 and np.maximum.reduce(values) < len(self._table):
            return self._table[values]
        found = self._codes.look_up(_words(values)).astype(np.intp)
        if len(self._apart):
            left = np.flatnonzero(found < 0)
            at = np.searchsorted(self._apart, values[left])
            at[at == len(self._apart)] = 0
            there = self._apart[at] == values[left]
            found[left[there]] = self._apart_numbers[at[there]]
        return found

    def _append(self, fresh: NDArray[np.int64]) -> None:
        """Take values that are new, each there once."""
        begin, self._count = self._count, self._count + len(fresh)
        if self._count > len(self._values):
            larger = np.zeros(max(64, 2 * self._count), np.int64)
            larger[:begin] = self._values[:begin]
            self._values = larger
        self._values[begin : self._count] = fresh
        apart = self._codes.add_words(_words(fresh))
        if len(apart):
            apart = np.union1d(self._apart_numbers, apart)
            order = np.argsort(self._values[apart])
            self._apart_numbers = apart[order]
            self._apart = self._values[self._apart_numbers]
        self._tabulate(fresh, np.arange(begin, self._count))

    def _tabulate(self, values: NDArray[np.int64], dense: Numbers) -> None:
        small = (values >= 0) & (values < _TABLE)
        if small.any():
            top = int(values[small].max())
            if top >= len(self._table):
                larger = np.full(min(_TABLE, max(256, 2 * (top + 1))), -1, np.intp)
                larger[: len(self._table)] = self._table
                self._table = larger
            self._table[values[small]] = dense[small]


def _words(values: NDArray[np.int64]) -> Words:
    return np.ascontiguousarray(values).view(np.uint64).reshape(-1, 1)
