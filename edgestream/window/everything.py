"""One window over all of time: a running aggregate of each key, which leaves again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.kind import FAR, UNKNOWN, Closed, Kind, Mask, Placed, Rows
from edgestream.window.lookup import Numbers
from edgestream.window.ordered import finished


class Everything(Kind):
    """A window that begins in 1970 on paper, and never ends."""

    def __init__(self, pool: Pool) -> None:
        """Start without keys."""
        super().__init__(pool)
        self._cell = np.zeros(0, np.intp)

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
        return Placed(cells)

    def close(self) -> Iterator[Closed]:
        """Nothing: what changed has left early, also at the end of the stream."""
        if self.watermark == FAR:
            slots = finished(self, np.flatnonzero(self._cell))
            self.pool.give_back(self._cell[slots])
            self._cell[slots] = 0
        return iter(())

    def so_far(self, touched: Mask) -> Iterator[Closed]:
        """The keys that changed; on paper the window ends at the watermark."""
        slots = np.flatnonzero(self._cell)
        slots = slots[touched[self._cell[slots]]]
        for some in self.pool.portions(slots):
            state = self.pool.cells.take(self._cell[some])
            ends = np.zeros(len(some), np.int64) + self.mark(some)
            yield Closed(some, np.zeros(len(some), np.int64), ends, state)

    def used(self, slots: int) -> Mask:
        """All slots that ever had a row."""
        self._fit(slots)
        used: Mask = self._cell[:slots] > 0
        return used

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots."""
        self._fit(int(slots.max(initial=0)) + 1)
        self._cell = self._cell[slots]

    def save(self) -> dict[str, Any]:
        """The keys."""
        slots = np.flatnonzero(self._cell)
        return {"cells": self._cell[slots], "slots": slots}

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take the keys."""
        slots = arrays["slots"]
        self._fit(int(slots.max(initial=0)) + 1)
        self._cell[slots] = cells

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._cell.nbytes

    def _fit(self, slots: int) -> None:
        more = 2 * slots - len(self._cell)
        if slots > len(self._cell):
            self._cell = np.append(self._cell, np.zeros(more, np.intp))
