"""Intervals of keys: for each key a chain of disjoint sessions, newest first.

A chain is linked by cell numbers (0: none), so that a batch touches the sessions of its own keys
only, and of those only the ones that reach its times.
"""

from __future__ import annotations

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.kind import Mask, Times
from edgestream.window.lookup import Numbers

NEVER = np.iinfo(np.int64).max


class Chains:
    """The sessions: slot, start, last row, end, and links, one position a cell."""

    def __init__(self, pool: Pool) -> None:
        """Follow the size of ``pool``."""
        self._pool = pool
        size = len(pool)
        self.slot = np.full(size, -1, np.intp)
        self.start = np.full(size, NEVER, np.int64)
        self.last = np.full(size, -NEVER // 2, np.int64)
        self.end = np.full(size, NEVER, np.int64)
        self.fresh = np.zeros(size, np.bool_)
        self.older = np.zeros(size, np.intp)
        """The session before, of the same slot."""
        self._newer = np.zeros(size, np.intp)
        self.newest = np.zeros(16, np.intp)
        """The newest session of each slot; the last stands for slots that are not known."""
        self._mark = np.zeros(16, np.intp)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        held = (self.slot, self.start, self.last, self.end, self.fresh, self.older, self._newer)
        return sum(array.nbytes for array in (*held, self.newest, self._mark))

    def fit(self, slots: int) -> None:
        """Make room for slots, and for the cells the pool has by now."""
        if slots >= len(self.newest):
            more = 2 * slots - len(self.newest)
            self.newest = np.concatenate([self.newest, np.zeros(more, np.intp)])
            self._mark = np.zeros(len(self.newest), np.intp)
        more = len(self._pool) - len(self.slot)
        if more:
            self.slot = np.concatenate([self.slot, np.full(more, -1, np.intp)])
            self.start = np.concatenate([self.start, np.zeros(more, np.int64)])
            self.last = np.concatenate([self.last, np.zeros(more, np.int64)])
            self.end = np.concatenate([self.end, np.full(more, NEVER, np.int64)])
            self.fresh = np.concatenate([self.fresh, np.zeros(more, np.bool_)])
            self.older = np.concatenate([self.older, np.zeros(more, np.intp)])
            self._newer = np.concatenate([self._newer, np.zeros(more, np.intp)])

    def begin(self, slots: Numbers, cells: Numbers) -> None:
        """Make cells the only sessions of slots, each there once; their bounds are left to set."""
        self.newest[slots] = cells
        self.older[cells] = self._newer[cells] = 0
        self.slot[cells], self.start[cells] = slots, NEVER

    def distinct(self, slots: Numbers) -> Numbers:
        """Each slot once."""
        order = np.arange(len(slots))
        self._mark[slots] = order
        chosen: Numbers = slots[self._mark[slots] == order]
        return chosen

    def reach(self, slots: Numbers, low: int, gap: int) -> tuple[Numbers, Numbers]:
        """(cells, tails): sessions of distinct slots that rows from ``low`` on could touch.

        ``tails`` is the first session of each slot that is out of reach (0: none).
        """
        cursor = self.newest[slots]
        found: list[Numbers] = []
        active = np.flatnonzero(cursor)
        while len(active):
            cells = cursor[active]
            near = self.last[cells] > low - gap
            active, cells = active[near], cells[near]
            found.append(cells)
            cursor[active] = self.older[cells]
            # Whatever is older than a session that begins before the rows is out of their reach.
            active = active[(self.start[cells] > low) & (self.older[cells] > 0)]
        return np.concatenate([np.zeros(0, np.intp), *found]), cursor

    def touches(self, slots: Numbers, times: Times, gap: int, most: int) -> Mask:
        """Whether a single row belongs to a session of its slot; ``most`` bounds its length."""
        touched = np.zeros(len(slots), np.bool_)
        cursor = self.newest[slots]
        active = np.flatnonzero(cursor)
        while len(active):
            cells, time = cursor[active], times[active]
            start, last = self.start[cells], self.last[cells]
            hit = (time > start - gap) & (time < last + gap)
            hit &= np.maximum(last, time) - np.minimum(start, time) < most
            touched[active] = hit
            cursor[active] = self.older[cells]
            active = active[~hit & (start > time) & (cursor[active] > 0)]
        return touched

    def link(self, slots: Numbers, tails: Numbers, owners: Numbers, cells: Numbers) -> None:
        """Make ``cells``, by owning slot and start, the chains of ``slots`` before their tails."""
        self._mark[slots] = tails
        same = owners[1:] == owners[:-1]
        older = np.zeros(len(cells), np.intp)
        older[1:][same] = cells[:-1][same]
        first = np.flatnonzero(np.append(True, ~same))
        rest = self._mark[owners[first]]
        older[first] = rest
        newer = np.zeros(len(cells), np.intp)
        newer[:-1][same] = cells[1:][same]
        self.older[cells], self._newer[cells] = older, newer
        self._newer[rest[rest > 0]] = cells[first[rest > 0]]
        newest = np.flatnonzero(np.append(~same, True))
        self.newest[owners[newest]] = cells[newest]

    def cut(self, cells: Numbers) -> None:
        """Take the oldest sessions of their slots away: whole ends of chains."""
        newer, slots = self._newer[cells], self.slot[cells]
        self.forget(cells)
        if newer.any():
            self.older[newer[self.slot[newer] >= 0]] = 0
            slots = slots[newer == 0]
        self.newest[slots] = 0

    def forget(self, cells: Numbers) -> None:
        """Mark cells as no sessions; nothing may link to them any more."""
        self.slot[cells] = -1
        self.end[cells] = NEVER
        self.fresh[cells] = False

    def used(self, slots: int) -> Mask:
        """Which of the slots have a session."""
        used = np.zeros(slots, np.bool_)
        used[: len(self.newest)] = self.newest[:slots] > 0
        return used

    def keep(self, slots: Numbers) -> None:
        """All other slots are gone; those kept, ascending, become 0, 1, 2, …"""
        live = self.slot >= 0
        self.slot[live] = np.searchsorted(slots, self.slot[live])
        self.newest = np.concatenate([self.newest[slots], np.zeros(16, np.intp)])
        self._mark = np.zeros(len(self.newest), np.intp)

    def sorted(self) -> Numbers:
        """The cells of all sessions, by slot and start."""
        cells = np.flatnonzero(self.slot >= 0)
        return cells[np.lexsort((self.start[cells], self.slot[cells]))]
