"""What windows are merged from: their panes, and where these are many, panes merged ahead.

Four panes in a row, from each number on that four divides, are merged into a node, four nodes into
a larger one, and so on: a window is then a few nodes, and a few panes at its ends, instead of all
its panes. Which ones depends on its number alone, so every bit of a result is the same however the
stream was cut. A node is made when the watermark has passed it, and again if a late row falls into
it; it is gone with its first pane, and no part of what is saved.

This is the aggregate tree of Tangwongsan et al., "General Incremental Sliding-Window Aggregation"
(VLDB 2015), over panes with numbers instead of a ring.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.pool import MOST_CELLS, Pool
from edgestream.window.grid import Grid
from edgestream.window.kind import Times
from edgestream.window.lookup import Numbers
from edgestream.window.panes import Panes

FEW = 16
"""Windows of fewer panes are merged from these as fast."""
_FOUR = 4
_LEVEL = 56
_ZERO = 1 << (_LEVEL - 2)
"""Numbers of panes are nearer to 0 than this: a pane is a microsecond or longer."""
_NONE = 1 << 62
"""A number that neither a pane nor a node has."""


class MadeOf(NamedTuple):
    """How windows are put together."""

    numbers: Callable[[Times], Times]
    """The nodes and panes of windows, a row a window, in the order of time."""
    layers: int
    """How many these are at most."""


class Nodes:
    """The nodes of a grid; they stand among its panes, with numbers that no pane has."""

    def __init__(self, pool: Pool, panes: Panes, grid: Grid) -> None:
        """Merge ``panes`` into cells from ``pool``."""
        self._pool, self._panes, self._grid = pool, panes, grid
        sizes = [1]
        while grid.span >= FEW and sizes[-1] * _FOUR <= grid.span:
            sizes.append(sizes[-1] * _FOUR)
        self._sizes = np.array(sizes)
        """How many panes there are in a node of each level; a pane is of level 0."""
        self._zeros = (np.arange(len(sizes)) << _LEVEL) + _ZERO
        self._zeros[0] = 0
        self._up = list(zip(sizes, self._zeros.tolist(), strict=True))
        self._until: int | None = None
        few = 2 * (_FOUR - 1) * (len(sizes) - 1) + grid.span // sizes[-1]
        self.panes_only = MadeOf(self._all_panes, grid.span)
        self.cover = self.panes_only if len(sizes) == 1 else MadeOf(self._largest, few)

    def panes(self) -> Times:
        """The panes that hold rows, ascending."""
        numbers = self._panes.panes()
        return numbers[: np.searchsorted(numbers, _ZERO)]

    def gather(self, numbers: Times) -> tuple[Numbers, NDArray[np.intp]]:
        """(slots, cells): the cells of nodes and panes of shape (windows, layers), by slot."""
        live = self._panes.panes()
        at = np.searchsorted(live, numbers)
        at[at == len(live)] = 0
        there = live[at] == numbers if len(live) else np.zeros(numbers.shape, np.bool_)
        used = np.unique(at[there])
        if not len(used):
            return np.zeros(0, np.intp), np.zeros((*numbers.shape, 0), np.intp)
        slots, block = self._panes.block(live[used])
        if len(used) == numbers.size and (at.ravel() == used).all():
            return slots, block[:-1].reshape(*numbers.shape, len(slots))
        return slots, block[np.where(there, np.searchsorted(used, at), len(used))]

    def merge(self, until: int) -> None:
        """Make the nodes of panes before ``until``: only late rows can still fall into these."""
        until = min(max(until, -_ZERO), _ZERO)
        before, self._until = self._until, until
        for level, size in enumerate(self._sizes.tolist()[1:], 1):
            if before is not None and until // size <= before // size:
                return  # nor is any larger one complete
            live = self._panes.panes()
            parts = live[self._levels(live) == level - 1] - self._zeros[level - 1]
            nodes = np.unique(parts // _FOUR)
            nodes = nodes[nodes < until // size]
            nodes = nodes[~np.isin(nodes + self._zeros[level], live)]
            at_once = max(1, MOST_CELLS // (self._panes.width * _FOUR))
            for begin in range(0, len(nodes), at_once):
                self._make(nodes[begin : begin + at_once], level)

    def spoil(self, panes: Times) -> None:
        """Late rows fell into these panes."""
        if len(self._sizes) > 1:
            panes = np.unique(panes)
            stale = (panes // self._sizes[1:, None] + self._zeros[1:, None]).ravel()
            self._panes.drop(np.intersect1d(stale, self._panes.panes()).tolist())
            self._until = None

    def drop(self, last: int) -> None:
        """Let go of what belongs to no window after the last one that is gone."""
        live = self._panes.panes()
        levels = self._levels(live)
        begin = (live - self._zeros[levels]) * self._sizes[levels]
        gone = live[begin // self._grid.step <= last]
        if len(gone):
            self._panes.drop(gone.tolist())

    def _all_panes(self, windows: Times) -> Times:
        panes: Times = windows[:, None] * self._grid.step + np.arange(self._grid.span)
        return panes

    def _largest(self, windows: Times) -> Times:
        """The largest nodes within, and the panes at both ends that are in none."""
        rows = [self._cover(window * self._grid.step) for window in windows.tolist()]
        most = max(map(len, rows))
        return np.array([row + [_NONE] * (most - len(row)) for row in rows], np.int64)

    def _levels(self, numbers: Times) -> Numbers:
        levels: Numbers = (numbers + _ZERO) >> _LEVEL
        return levels

    def _cover(self, first: int) -> list[int]:
        """The same of the window that begins with a pane."""
        at, end = first, first + self._grid.span
        numbers: list[int] = []
        for (size, zero), (larger, _) in pairwise(self._up):
            while at % larger and at + size <= end:
                numbers.append(zero + at // size)
                at += size
        for size, zero in reversed(self._up):
            while at + size <= end:
                numbers.append(zero + at // size)
                at += size
        return numbers

    def _make(self, nodes: Times, level: int) -> None:
        """Merge what nodes are made of."""
        parts = nodes[:, None] * _FOUR + np.arange(_FOUR) + self._zeros[level - 1]
        slots, cells = self.gather(parts)
        layers = cells.swapaxes(0, 1).reshape(_FOUR, -1)
        numbers = nodes + self._zeros[level]
        low, high = int(numbers[0]), int(numbers[-1])
        for some in self._pool.portions(np.flatnonzero(layers.any(axis=0)), _FOUR):
            node, slot = np.divmod(some, len(slots))
            state = self._pool.cells.take(np.take(layers, some, axis=1)).merge()
            made = self._panes.locate(numbers[node], low, high, slots[slot], self._panes.width)
            self._pool.cells.put(made, state)
