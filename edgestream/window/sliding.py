"""Sliding windows: for every row the aggregate over the rows of its key up to it, ``size`` back.

Rows of a key in one microsecond are one event, with one cell and one window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.blocks import Blocks, Events
from edgestream.window.current import MICRO
from edgestream.window.kind import FAR, UNKNOWN, Closed, Kind, Mask, Placed, Rows
from edgestream.window.lookup import Numbers
from edgestream.window.ordered import Sorted, late


class Sliding(Kind):
    """Windows of ``size`` that end with each event and hold it."""

    ordered = True
    soonest = 0

    def __init__(self, pool: Pool, size: int) -> None:
        """Start without events."""
        super().__init__(pool)
        self.size = size
        self._came: list[Events] = []
        self._blocks = Blocks(pool, size)
        self._swept = UNKNOWN

    @property
    def safe(self) -> int:
        """Rows from the watermark on are not late."""
        return self.watermark

    def place(self, rows: Rows) -> Placed:
        """A cell for each event; the windows are made once the rows are in their cells."""
        self._blocks.fit(rows.count)
        out = late(self, rows)
        came = Sorted(rows, out)
        if not len(came.slots):
            return Placed(np.zeros(0, np.intp), out)
        micros = came.times // MICRO
        fresh = np.append(True, (came.slots[1:] != came.slots[:-1]) | (micros[1:] != micros[:-1]))
        cells = self.pool.lend(int(np.count_nonzero(fresh)))
        self._came.append(Events(came.slots[fresh], micros[fresh] * MICRO, cells))
        return Placed(came.back(cells[np.cumsum(fresh) - 1]), out)

    def next_end(self) -> int:
        """Not known: a row leaves with every row that comes; `due` only sweeps."""
        return FAR

    def close(self) -> Iterator[Closed]:
        """The windows of the events that came, by time and slot."""
        events = Events.joined(self._came)
        self._came = []
        if len(events.slots):
            made = self._blocks.add(events)
            order = np.lexsort((events.slots, events.times))
            for part in self.pool.portions(order):
                times, state = events.times[part], self.pool.cells.take(made[part])
                yield Closed(events.slots[part], times - self.size, times, state, times)
            self.pool.give_back(made)
        if self.marks is not None or self.watermark // self.size > self._swept:
            self._swept = self.watermark // self.size
            slots = self._blocks.slots
            # A key that sleeps may come back to windows that hold its last rows.
            marks = self.watermark if self.marks is None else self.marks.firm(slots)
            self._blocks.sweep(slots, np.zeros(len(slots), np.int64) + marks)
            self.due = (self._swept + 1) * self.size if len(self._blocks.slots) else FAR

    def used(self, slots: int) -> Mask:
        """Slots whose last events can be in a window to come."""
        return self._blocks.used(slots)

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots of events."""
        self._blocks.keep(slots)

    def save(self) -> dict[str, Any]:
        """The events of the last two blocks, and what has come in the last one."""
        return self._blocks.save()

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take the events."""
        self._blocks.load(arrays, cells)

    @property
    def nbytes(self) -> int:
        """The bytes held beside the cells."""
        return self._blocks.nbytes
