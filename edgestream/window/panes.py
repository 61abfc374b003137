"""Which cell a key has in which pane, for panes and keys that come and go.

A pane with many keys is *dense*: one row of a matrix, slot → cell. A pane with few is *sparse*:
its (pane, slot) pairs stand in sorted arrays. So a clock that runs wild makes many panes of one
key each, and costs what these keys cost, not what all keys would. Cell 0 means: no cell.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.pool import Pool
from edgestream.window.lookup import Numbers

_SHIFT = 32
_LOW = (1 << _SHIFT) - 1
_FEW = 64
"""A pane is dense once it has a cell for one in so many slots."""
_NEAR = 64
"""A batch whose panes lie within so many of each other is placed without sorting."""


class Panes:
    """A growing map (pane, slot) → cell."""

    def __init__(self, pool: Pool) -> None:
        """Take cells from ``pool``."""
        self._pool = pool
        self._matrix = np.zeros((4, 16), np.intp)
        self._row_of: dict[int, int] = {}
        self._free_rows = [3, 2, 1, 0]
        self._sparse_of: dict[int, int] = {}
        self._next_sparse = 0
        self._pairs = np.zeros(0, np.int64)
        self._pair_cells = np.zeros(0, np.intp)

    def __len__(self) -> int:
        """How many panes hold rows."""
        return len(self._row_of) + len(self._sparse_of)

    @property
    def width(self) -> int:
        """How many slots there is room for."""
        return int(self._matrix.shape[1])

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._matrix.nbytes + self._pairs.nbytes + self._pair_cells.nbytes

    def panes(self) -> NDArray[np.int64]:
        """The panes that hold rows, ascending."""
        return np.array(sorted((*self._row_of, *self._sparse_of)), np.int64)

    def locate(
        self, panes: NDArray[np.int64], low: int, high: int, slots: Numbers, count: int
    ) -> Numbers:
        """The cell of each row, lending new ones; ``low`` and ``high`` bound the panes."""
        self._widen(count)
        if low == high:
            row = self._row(low, len(slots))
            if row >= 0:
                return self._dense_cells(row * self.width + slots)
            cells = self._sparse_cells(np.full(len(slots), ~row), slots)
            self._settle([low])
            return cells
        known = [self._row_of.get(pane, -1) for pane in range(low, min(high, low + _NEAR) + 1)]
        if high - low < _NEAR and min(known) >= 0:
            starts = np.array(known) * self.width
            return self._dense_cells(starts[panes - low] + slots)
        return self._locate_new(panes, slots)

    def _locate_new(self, panes: NDArray[np.int64], slots: Numbers) -> Numbers:
        """`locate` where a pane is new, sparse, or far from the others."""
        low, high = int(panes.min()), int(panes.max())
        if high - low < _NEAR:
            which = panes - low
            counts = np.bincount(which)
            distinct = np.arange(low, high + 1)
        else:
            distinct, which, counts = np.unique(panes, return_inverse=True, return_counts=True)
        pairs = zip(distinct.tolist(), counts.tolist(), strict=True)
        rows = np.array([self._row(p, count) if count else 0 for p, count in pairs])[which]
        dense = rows >= 0
        if dense.all():
            return self._dense_cells(rows * self.width + slots)
        cells = np.empty(len(slots), np.intp)
        cells[dense] = self._dense_cells(rows[dense] * self.width + slots[dense])
        cells[~dense] = self._sparse_cells(~rows[~dense], slots[~dense])
        self._settle(distinct[counts > 0].tolist())
        return cells

    def block(self, panes: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
        """(slots, cells): a row of cells for each pane, and one of no cells at the end."""
        rows = [self._row_of.get(pane, -1) for pane in panes.tolist()]
        if max(rows) < 0:
            return self._sparse_block(panes)
        width = self._matrix.shape[1]
        cells = np.empty((len(rows) + 1, width), np.intp)
        np.take(self._matrix, rows, axis=0, out=cells[:-1], mode="wrap")
        cells[-1] = 0
        for at, row in enumerate(rows):
            if row < 0:
                cells[at] = 0
                slots, members = self._members(int(panes[at]))
                cells[at, slots] = members
        return np.arange(width), cells

    def drop(self, panes: Iterable[int]) -> None:
        """Forget panes and give their cells back."""
        rows: list[int] = []
        gone: list[int] = []
        for pane in panes:
            if pane in self._row_of:
                rows.append(self._row_of.pop(pane))
            else:
                gone.append(self._sparse_of.pop(pane))
        if rows:
            cells = self._matrix[rows].ravel()
            self._pool.give_back(cells[cells > 0])
            self._matrix[rows] = 0
            self._free_rows += reversed(rows)
        if gone:
            out = np.isin(self._pairs >> _SHIFT, gone)
            self._pool.give_back(self._pair_cells[out])
            self._pairs, self._pair_cells = self._pairs[~out], self._pair_cells[~out]

    def release(self, panes: NDArray[np.int64], slots: Numbers) -> None:
        """Give back cells of (pane, slot) pairs, by pane; panes without any are forgotten."""
        bounds = np.append(np.flatnonzero(np.diff(panes, prepend=panes[:1] - 1)), len(panes))
        sparse: list[Numbers] = []
        for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            pane, mine = int(panes[begin]), slots[begin:end]
            row = self._row_of.get(pane)
            if row is None:
                sparse.append((self._sparse_of[pane] << _SHIFT) | mine)
                low, high = self._bounds(self._sparse_of[pane])
                if high - low == len(mine):
                    del self._sparse_of[pane]
                continue
            self._pool.give_back(self._matrix[row, mine])
            self._matrix[row, mine] = 0
            if not self._matrix[row].any():
                self._free_rows.append(self._row_of.pop(pane))
        if sparse:
            at = np.searchsorted(self._pairs, np.concatenate(sparse))
            self._pool.give_back(self._pair_cells[at])
            self._pairs, self._pair_cells = (
                np.delete(self._pairs, at),
                np.delete(self._pair_cells, at),
            )

    def used(self, slots: int) -> NDArray[np.bool_]:
        """Which of the slots hold a cell."""
        used = np.zeros(slots, np.bool_)
        width = min(slots, self._matrix.shape[1])
        used[:width] = (self._matrix[:, :width] > 0).any(axis=0)
        used[self._pairs & _LOW] = True
        return used

    def keep(self, slots: Numbers) -> None:
        """All other slots are gone; those kept, ascending, become 0, 1, 2, …"""
        old = self._matrix
        live = np.array(list(self._row_of.values()), np.intp)
        height, width = _power(max(4, len(live))), _power(max(16, len(slots)))
        self._matrix = np.zeros((height, width), np.intp)
        inside = slots[slots < old.shape[1]]
        self._matrix[: len(live), : len(inside)] = old[np.ix_(live, inside)]
        self._row_of = {pane: row for row, pane in enumerate(self._row_of)}
        self._free_rows = list(range(height - 1, len(live) - 1, -1))
        self._pairs = (self._pairs & ~_LOW) | np.searchsorted(slots, self._pairs & _LOW)

    def cells(self, panes: NDArray[np.int64]) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        """(panes, slots, cells) of every cell of some panes, ascending: by pane and slot."""
        parts = [(pane, *self._members(pane)) for pane in panes.tolist()]
        none = np.zeros(0, np.intp)
        return (
            np.concatenate([none, *(np.full(len(slots), pane) for pane, slots, _ in parts)]),
            np.concatenate([none, *(slots for _, slots, _ in parts)]),
            np.concatenate([none, *(cells for _, _, cells in parts)]),
        )

    def load(self, panes: NDArray[np.int64], slots: Numbers, cells: Numbers) -> None:
        """Become a map that holds just these cells; (panes, slots) as `cells` gives them."""
        if not len(cells):
            return
        self._widen(int(slots.max()) + 1)
        bounds = np.append(np.flatnonzero(np.diff(panes, prepend=panes[0] - 1)), len(panes))
        for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            row = self._row(int(panes[begin]), end - begin)
            if row >= 0:
                self._matrix[row, slots[begin:end]] = cells[begin:end]
            else:
                self._insert((~row << _SHIFT) | slots[begin:end], cells[begin:end])

    def _row(self, pane: int, rows: int) -> int:
        """The matrix row of a pane, or the complement of its sparse number."""
        row = self._row_of.get(pane)
        if row is not None:
            return row
        # Beside a dense pane the next one will be dense too: time goes on.
        few = rows * _FEW < self._matrix.shape[1] and pane - 1 not in self._row_of
        if few or pane in self._sparse_of:
            if pane not in self._sparse_of:
                self._sparse_of[pane] = self._next_sparse
                self._next_sparse += 1
            return ~self._sparse_of[pane]
        return self._new_row(pane)

    def _new_row(self, pane: int) -> int:
        if not self._free_rows:
            height = len(self._matrix)
            self._matrix = np.concatenate([self._matrix, np.zeros_like(self._matrix)])
            self._free_rows = list(range(2 * height - 1, height - 1, -1))
        self._row_of[pane] = row = self._free_rows.pop()
        return row

    def _widen(self, slots: int) -> None:
        if slots > self._matrix.shape[1]:
            wider = np.zeros((len(self._matrix), _power(slots)), np.intp)
            wider[:, : self._matrix.shape[1]] = self._matrix
            self._matrix = wider

    def _dense_cells(self, at: Numbers) -> Numbers:
        flat = self._matrix.reshape(-1)
        cells: Numbers = flat[at]
        if len(cells) and np.minimum.reduce(cells) == 0:
            new = np.flatnonzero(cells == 0)
            places = at[new]
            # Of rows that want a cell in the same place, the one whose mark stays gets it for all.
            marks = np.arange(1, len(new) + 1)
            flat[places] = marks
            distinct = places[flat[places] == marks]
            flat[distinct] = self._pool.lend(len(distinct))
            cells[new] = flat[places]
        return cells

    def _sparse_cells(self, numbers: Numbers, slots: Numbers) -> Numbers:
        pairs = (numbers << _SHIFT) | slots
        at = np.searchsorted(self._pairs, pairs)
        at[at == len(self._pairs)] = 0
        known = self._pairs[at] == pairs if len(self._pairs) else np.zeros(len(pairs), np.bool_)
        if not known.all():
            fresh = np.unique(pairs[~known])
            self._insert(fresh, self._pool.lend(len(fresh)))
            at = np.searchsorted(self._pairs, pairs)
        return self._pair_cells[at]

    def _insert(self, pairs: NDArray[np.int64], cells: Numbers) -> None:
        at = np.searchsorted(self._pairs, pairs)
        self._pairs = np.insert(self._pairs, at, pairs)
        self._pair_cells = np.insert(self._pair_cells, at, cells)

    def _settle(self, panes: Iterable[int]) -> None:
        """Make those sparse panes dense that have become so."""
        for pane in panes:
            if pane in self._sparse_of:
                slots, cells = self._members(pane)
                if len(slots) * _FEW >= self._matrix.shape[1]:
                    number = self._sparse_of.pop(pane)
                    begin, end = self._bounds(number)
                    self._pairs = np.delete(self._pairs, np.s_[begin:end])
                    self._pair_cells = np.delete(self._pair_cells, np.s_[begin:end])
                    row = self._new_row(pane)  # may replace the matrix
                    self._matrix[row, slots] = cells

    def _members(self, pane: int) -> tuple[Numbers, Numbers]:
        """The slots of a pane, ascending, and their cells."""
        row = self._row_of.get(pane)
        if row is not None:
            slots = np.flatnonzero(self._matrix[row])
            return slots, self._matrix[row, slots]
        begin, end = self._bounds(self._sparse_of[pane])
        return self._pairs[begin:end] & _LOW, self._pair_cells[begin:end].copy()

    def _bounds(self, number: int) -> tuple[int, int]:
        ends = np.searchsorted(self._pairs, [number << _SHIFT, (number + 1) << _SHIFT])
        return int(ends[0]), int(ends[1])

    def _sparse_block(self, panes: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
        members = [self._members(pane) for pane in panes.tolist()]
        slots = np.unique(np.concatenate([found for found, _ in members]))
        block = np.zeros((len(members) + 1, len(slots)), np.intp)
        for at, (found, cells) in enumerate(members):
            block[at, np.searchsorted(slots, found)] = cells
        return slots, block


def _power(size: int) -> int:
    """The power of two that is not less."""
    return 1 << (size - 1).bit_length()
