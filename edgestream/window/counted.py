"""Windows of so many rows of a key, in the order of event time; rows of one time by arrival.

With ``most``, a window is over as well when it has been open that long.
"""

from __future__ import annotations

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.current import Pieces, heads, just_after
from edgestream.window.kind import FAR, Mask, Placed, Rows
from edgestream.window.lookup import Numbers
from edgestream.window.one_open import OneOpen
from edgestream.window.ordered import Sorted, expires, late


class Counted(OneOpen):
    """Windows of ``count`` rows, one after the other, open for ``most`` (0: no bound)."""

    def __init__(self, pool: Pool, count: int, most: int) -> None:
        """Start without windows."""
        super().__init__(pool, most)
        self.count = count

    def place(self, rows: Rows) -> Placed:
        """Cut the rows of each key into windows."""
        self._current.fit(rows.count)
        out = late(self, rows)
        came = Sorted(rows, out)
        if not len(came.slots):
            return Placed(np.zeros(0, np.intp), out)
        if self.most:
            first = heads(came.slots)
            self._current.expire(came.slots[first], self.most, came.times[first])
        cuts = self._cut_long(came) if self.most else self._cut(came)
        cells = self._current.settle(self._pieces(came, cuts))
        self.due = expires(self._current, self.most)
        return Placed(came.back(cells[np.cumsum(cuts) - 1]), out)

    def _cut(self, came: Sorted) -> Mask:
        """Where a window begins: by the place of a row among those of its slot."""
        first = heads(came.slots)
        held = self._held(came.slots[first])
        lengths = np.diff(np.append(first, len(came.slots)))
        place = np.arange(len(came.slots)) - np.repeat(first - held, lengths)
        cuts: Mask = place % self.count == 0
        cuts[first] = True
        return cuts

    def _cut_long(self, came: Sorted) -> Mask:
        """The same with a bound in time: all first windows of the slots, then all second ones."""
        cuts = np.zeros(len(came.slots), np.bool_)
        at = heads(came.slots)
        ends = np.append(at[1:], len(cuts))
        slots = came.slots[at]
        room = self.count - self._held(slots)
        starts = np.where(room < self.count, self._current.start[slots], came.times[at])
        while len(at):
            cuts[at] = True
            at = np.minimum(at + room, came.search(came.slots[at], starts + self.most))
            inside = at < ends
            at, ends = at[inside], ends[inside]
            starts, room = came.times[at], np.full(len(at), self.count)
        return cuts

    def _pieces(self, came: Sorted, cuts: Mask) -> Pieces:
        first = np.flatnonzero(cuts)
        last = np.append(first[1:], len(cuts)) - 1
        slots = came.slots[first]
        head = np.append(True, slots[1:] != slots[:-1])
        joins = head & (self._current.cell[slots] > 0)
        rows = last - first + 1 + np.where(joins, self._held(slots), 0)
        lasts = came.times[last]
        full = rows == self.count
        ends = np.where(full, just_after(lasts), FAR)
        if self.most:
            # Whatever is cut short of its count and is not the last of its slot was open too long.
            starts = np.where(joins, self._current.start[slots], came.times[first])
            more = np.append(~head[1:], False)
            ends = np.where(more & ~full, starts + self.most, ends)
        return Pieces(slots, came.times[first], lasts, joins, ends)

    def _held(self, slots: Numbers) -> Numbers:
        """How many rows the open windows of slots have."""
        held: Numbers = self.pool.cells.rows[self._current.cell[slots]]
        return held
