"""Whole numbers to dense numbers, in the order in which they first came, a batch at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]
_TABLE = 1 << 16
"""Values from 0 up to here are looked up in a table, all others by bisection."""


class Lookup:
    """A mapping int64 → 0, 1, 2, … that grows as values come, and its inverse."""

    __slots__ = ("_count", "_dense", "_sorted", "_table", "_values")

    def __init__(self, values: NDArray[np.int64] | None = None) -> None:
        """Start with ``values``, all different, as 0, 1, 2, …"""
        self._values = np.array([] if values is None else values, np.int64)
        self._count = len(self._values)
        self._dense = np.argsort(self._values)
        self._sorted = self._values[self._dense]
        self._table = np.full(0, -1, np.intp)
        self._tabulate(self._values, np.arange(self._count))

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
        held = (self._values, self._dense, self._sorted, self._table)
        return sum(array.nbytes for array in held)

    def numbers(self, values: NDArray[np.int64]) -> Numbers:
        """The dense number of each value, adding those that are new."""
        if not len(values):
            return np.zeros(0, np.intp)
        found = self._find(values)
        if np.minimum.reduce(found) < 0:
            self._add(values[found < 0])
            found = self._find(values)
        return found

    def find(self, values: NDArray[np.int64]) -> Numbers:
        """The dense number of each value, −1 for those that never came; adds none."""
        return self._find(values) if len(values) else np.zeros(0, np.intp)

    def _find(self, values: NDArray[np.int64]) -> Numbers:
        if np.minimum.reduce(values) >= 0 and np.maximum.reduce(values) < len(self._table):
            return self._table[values]
        if not self._count:
            return np.full(len(values), -1, np.intp)
        at = np.searchsorted(self._sorted, values)
        at[at == self._count] = 0
        return np.where(self._sorted[at] == values, self._dense[at], -1)

    def _add(self, values: NDArray[np.int64]) -> None:
        fresh, came = np.unique(values, return_index=True)
        order = np.argsort(came)
        dense = np.empty(len(fresh), np.intp)
        dense[order] = np.arange(self._count, self._count + len(fresh))
        at = np.searchsorted(self._sorted, fresh)
        self._sorted = np.insert(self._sorted, at, fresh)
        self._dense = np.insert(self._dense, at, dense)
        total = self._count + len(fresh)
        if total > len(self._values):
            larger = np.zeros(max(64, 2 * total), np.int64)
            larger[: self._count] = self.values
            self._values = larger
        self._values[self._count : total] = fresh[order]
        self._count = total
        self._tabulate(fresh, dense)

    def _tabulate(self, values: NDArray[np.int64], dense: Numbers) -> None:
        small = (values >= 0) & (values < _TABLE)
        if small.any():
            top = int(values[small].max())
            if top >= len(self._table):
                larger = np.full(min(_TABLE, max(256, 2 * (top + 1))), -1, np.intp)
                larger[: len(self._table)] = self._table
                self._table = larger
            self._table[values[small]] = dense[small]
