"""The rows of a batch by cell: for state in which a cell has a place for each of many values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Positions: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows sorted by cell, those of one cell in the order in which they came."""

    order: Positions
    """The rows."""
    cells: Positions
    """Their cells."""
    heads: Positions
    """Where the rows of each cell begin."""
    tails: Positions
    """Where they end: the last of them."""

    @property
    def ranks(self) -> Positions:
        """0, 1, 2, … for the rows of each cell."""
        counts = self.tails - self.heads + 1
        return np.arange(len(self.cells)) - np.repeat(self.heads, counts)


def grouped(cells: Positions) -> Groups:
    """The groups of rows that go into ``cells``; there is at least one."""
    small = cells.astype(np.uint16) if int(cells.max()) < 1 << 16 else cells
    order = np.argsort(small, kind="stable")  # by radix, where 16 bits are enough
    by_cell = cells[order]
    parted = np.flatnonzero(by_cell[1:] != by_cell[:-1])
    heads = np.concatenate([[0], parted + 1])
    tails = np.append(parted, len(cells) - 1)
    return Groups(order, by_cell, heads, tails)
