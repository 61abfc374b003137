"""One window over all of time: a running aggregate of each key, which leaves again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.kind import FAR, UNKNOWN, Closed, Kind, Mask, Placed, Rows
from edgestream.window.lookup import Numbers

_AT_ONCE = 1 << 16
"""How many keys one closed part holds at most."""


class Everything(Kind):
    """A window that begins in 1970 on paper and never ends; ``every`` is when it leaves."""

    def __init__(self, pool: Pool, every: int) -> None:
        """Start without keys."""
        super().__init__(pool)
        self.every = every
        self._cell = np.zeros(0, np.intp)
        self._last = np.zeros(0, np.int64)

    @property
    def safe(self) -> int:
        """No row is late."""
        return UNKNOWN

    def place(self, rows: Rows) -> Placed:
        """Each key has one cell."""
        self._fit(rows.count)
        cells = self._cell[rows.slots]
        if len(cells) and cells.min() == 0:
            fresh = np.unique(rows.slots[cells == 0])
            self._cell[fresh] = self.pool.lend(len(fresh))
            cells = self._cell[rows.slots]
        np.maximum.at(self._last, rows.slots, rows.times)
        return Placed(cells)

    def close(self) -> Iterator[Closed]:
        """Everything, once the stream has ended."""
        if self.watermark == FAR:
            slots = np.flatnonzero(self._cell)
            yield from self._closed(slots, (self._last[slots] // self.every + 1) * self.every)
            self.pool.give_back(self._cell[slots])
            self._cell[slots] = 0

    def so_far(self, touched: Mask) -> Iterator[Closed]:
        """The keys that changed; on paper the window ends at the watermark."""
        slots = np.flatnonzero(self._cell)
        slots = slots[touched[self._cell[slots]]]
        return self._closed(slots, np.full(len(slots), self.watermark))

    def used(self, slots: int) -> Mask:
        """All slots that ever had a row."""
        self._fit(slots)
        used: Mask = self._cell[:slots] > 0
        return used

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots."""
        self._fit(int(slots.max(initial=0)) + 1)
        self._cell, self._last = self._cell[slots], self._last[slots]

    def save(self) -> dict[str, Any]:
        """The keys and their last rows."""
        slots = np.flatnonzero(self._cell)
        return {"cells": self._cell[slots], "slots": slots, "lasts": self._last[slots]}

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take the keys."""
        slots = arrays["slots"]
        self._fit(int(slots.max(initial=0)) + 1)
        self._cell[slots], self._last[slots] = cells, arrays["lasts"]

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._cell.nbytes + self._last.nbytes

    def _fit(self, slots: int) -> None:
        more = 2 * slots - len(self._cell)
        if slots > len(self._cell):
            self._cell = np.append(self._cell, np.zeros(more, np.intp))
            self._last = np.append(self._last, np.full(more, UNKNOWN))

    def _closed(self, slots: Numbers, ends: Numbers) -> Iterator[Closed]:
        for begin in range(0, len(slots), _AT_ONCE):
            some = slots[begin : begin + _AT_ONCE]
            state = self.pool.cells.take(self._cell[some])
            starts = np.zeros(len(some), np.int64)
            yield Closed(some, starts, ends[begin : begin + _AT_ONCE], state)
