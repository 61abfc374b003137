"""A pool of cells that grows by doubling: cells are lent, and given back to be used again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edgestream.aggregate.aggregate import Aggregate
from edgestream.aggregate.cells import Cells
from edgestream.aggregate.parts import Cells as Positions

_SMALLEST = 64
_FEW = 64
MOST_CELLS = 1 << 16
"""So many cells are gathered at once at most, and no more than take this many bytes:"""
_MOST_BYTES = 8 << 20


class Pool:
    """Cells with a stack of those that are free; cell 0 is never lent."""

    __slots__ = ("_free", "_left", "beside", "cells")

    def __init__(self, aggregates: Mapping[str, Aggregate]) -> None:
        """Start small."""
        self.cells = Cells(aggregates, _SMALLEST)
        self.beside = True
        """Whether the fields of a cell lie beside each other, from when there are more cells."""
        self._free = np.arange(_SMALLEST - 1, -1, -1)
        self._left = _SMALLEST - 1

    def __len__(self) -> int:
        """How many cells there are, lent or not, with cell 0."""
        return len(self.cells)

    @property
    def lent(self) -> int:
        """How many cells are lent."""
        return len(self.cells) - 1 - self._left

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self.cells.nbytes + int(self._free.nbytes)

    def portions(self, windows: Positions, layers: int = 1) -> Iterator[Positions]:
        """Windows of so many cells each, as many as are gathered at once: a sketch takes kilobytes.

        Few are not worth reckoning what a cell takes.
        """
        most = max(1, _FEW // layers)
        if len(windows) > most:
            cell = max(1, self.cells.nbytes // len(self.cells))
            most = max(1, min(MOST_CELLS, _MOST_BYTES // cell) // layers)
        for begin in range(0, len(windows), most):
            yield windows[begin : begin + most]

    def lend(self, count: int) -> Positions:
        """Cells without rows."""
        if count > self._left:
            self._grow(count)
        self._left -= count
        return self._free[self._left : self._left + count][::-1].copy()

    def give_back(self, cells: Positions) -> None:
        """Clear cells and have them free again."""
        self.cells.clear(cells)
        self._free[self._left : self._left + len(cells)] = cells[::-1]
        self._left += len(cells)

    def _grow(self, count: int) -> None:
        size = len(self.cells)
        larger = size
        while larger - size + self._left < count:
            larger *= 2
        self.cells.grow(larger, self.beside)
        free = np.zeros(larger, np.intp)
        fresh = larger - size
        free[:fresh] = np.arange(larger - 1, size - 1, -1)
        free[fresh : fresh + self._left] = self._free[: self._left]
        self._free = free
        self._left += fresh
