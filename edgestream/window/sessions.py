"""Sessions: rows of a key that follow each other within less than a gap.

Most rows fall into the newest session of their key, or are the first ones of a key: these need no
sorting, only that session's bounds. Where a row of a key lies outside, the rows of that key are
sorted together with the sessions it has within reach (`parted.py`); whatever lies closer than the
gap becomes one session. Rows then go into the session's cell in the order in which they came. With
``most``, a session is cut where a row comes that long or longer after its start; rows must
then be taken in the order of time, or the cuts would depend on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.chains import NEVER, Chains
from edgestream.window.grid import within
from edgestream.window.kind import FAR, UNKNOWN, Closed, Kind, Mask, Placed, Rows, Times
from edgestream.window.lookup import Numbers
from edgestream.window.parted import Groups, parted
from edgestream.window.soon import Soon

_PARTS = 16
"""So often a gap all sessions are gone through."""


class Sessions(Kind):
    """Sessions with a gap, at most ``most`` long (0: no bound); ``late`` is how long they stay."""

    asks = True

    def __init__(self, pool: Pool, gap: int, most: int, late: int) -> None:
        """Start without sessions."""
        super().__init__(pool)
        self.gap, self.late = gap, late
        self.most = most or NEVER
        self.ordered = self.alone = bool(most)
        self.exact = False
        self.soonest = gap
        self._chains = Chains(pool)
        self._soon = Soon(pool)

    @property
    def safe(self) -> int:
        """The first time at which a row alone is a session that stays."""
        return self.watermark - self.gap - self.late + 1

    def place(self, rows: Rows) -> Placed:
        """Find or make the session of each row, joining those that turn out to be one."""
        self._chains.fit(rows.count)
        late = None if rows.accepted else self._late(rows)
        slots, times = rows.slots, rows.times
        if late is not None:
            if late.all():
                return Placed(np.zeros(0, np.intp), late)
            slots, times = slots[~late], times[~late]
        cells = self._begin(slots, times)
        outside = self._outside(cells, times)
        if outside.any():
            held = np.zeros(len(self.pool), np.bool_)
            held[cells[outside]] = True
            apart = held[cells]  # the newest session of a slot is the cell of all its rows
            cells[apart] = self._regroup(slots[apart], times[apart])
            self._extend(cells[~apart], times[~apart])
        else:
            self._extend(cells, times)
        return Placed(cells, late)

    def matters(self, slots: Numbers, count: int, times: Times) -> int:
        """The first end of a session that takes a row; at once where one before the newest may."""
        chains = self._chains
        chains.fit(count)
        cells = chains.newest[slots]
        behind = chains.older[cells] > 0
        if behind.any() and (times[behind] < chains.start[cells[behind]]).any():
            return UNKNOWN
        ends = chains.end[cells]
        return int(np.minimum.reduce(ends, where=times < ends, initial=NEVER))

    def next_end(self) -> int:
        """Where no session is known to end, `due` only says when to look again."""
        return FAR if self.due >= self._soon.until else self.due

    def close(self) -> Iterator[Closed]:
        """Sessions whose end has come and that changed since they last left, by start."""
        chains, soon = self._chains, self._soon
        if self.watermark > soon.until:
            self._look_ahead()
        near = soon.cells
        over = near[chains.end[near] <= np.minimum(self.mark(chains.slot[near]), NEVER - 1)]
        closing = over[chains.fresh[over]]
        closing = closing[np.lexsort((chains.slot[closing], chains.start[closing]))]
        chains.fresh[closing] = False
        for some in self.pool.portions(closing):
            state = self.pool.cells.take(some)
            yield Closed(chains.slot[some], chains.start[some], chains.end[some], state)
        gone = over
        if self.late:
            gone = over[chains.end[over] <= self.mark(chains.slot[over]) - self.late]
        if len(gone):
            chains.cut(gone)
            self.pool.give_back(gone)
        moments = self._moments(near)
        soon.keep(moments <= soon.until)
        self.due = int(np.minimum.reduce(moments, initial=soon.until))

    def so_far(self, touched: Mask) -> Iterator[Closed]:
        """The sessions that have not ended."""
        chains = self._chains
        chains.fit(0)
        ended = chains.end <= self.mark(chains.slot)
        open_ = np.flatnonzero((chains.end < NEVER) & ~ended)
        open_ = open_[touched[open_]]
        open_ = open_[np.lexsort((chains.slot[open_], chains.start[open_]))]
        for some in self.pool.portions(open_):
            state = self.pool.cells.take(some)
            yield Closed(chains.slot[some], chains.start[some], chains.end[some], state)

    def used(self, slots: int) -> Mask:
        """Slots with a session."""
        return self._chains.used(slots)

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots of sessions."""
        self._chains.keep(slots)

    def save(self) -> dict[str, Any]:
        """The sessions by slot and start."""
        chains = self._chains
        cells = chains.sorted()
        return {
            "cells": cells,
            "slots": chains.slot[cells],
            "starts": chains.start[cells],
            "lasts": chains.last[cells],
            "ends": chains.end[cells],
            "fresh": chains.fresh[cells],
        }

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take the sessions, linking them anew."""
        chains = self._chains = Chains(self.pool)
        self._soon = Soon(self.pool)
        slots = np.array(arrays["slots"], np.intp)
        if len(slots):
            chains.fit(int(slots.max()) + 1)
            chains.slot[cells] = slots
            chains.start[cells] = arrays["starts"]
            chains.last[cells] = arrays["lasts"]
            chains.end[cells] = arrays["ends"]
            chains.fresh[cells] = arrays["fresh"]
            owners = np.unique(slots)
            chains.link(owners, np.zeros(len(owners), np.intp), slots, cells)
            self._note(cells)

    @property
    def nbytes(self) -> int:
        """The bytes of the chains."""
        return self._chains.nbytes + self._soon.nbytes

    def _safe(self, slots: Numbers) -> Times | int:
        """As `safe`, of each slot."""
        if self.marks is None:
            return self.safe
        return within(self.marks.of[slots]) - self.gap - self.late + 1

    def _moments(self, cells: Numbers) -> Times:
        """When sessions end, or go if they have left; never, of cells that hold none."""
        ends = self._chains.end[cells]
        if not self.late:
            return ends
        gone = np.minimum(ends, NEVER - self.late) + self.late
        return np.where(self._chains.fresh[cells], ends, gone)

    def _look_ahead(self) -> None:
        """Go through all sessions for those that end, or go, in a part of the gap from now on."""
        soon = self._soon
        soon.until = until = min(self.watermark + max(1, self.gap // _PARTS), NEVER - 1)
        near = np.flatnonzero(self._chains.end <= until)
        soon.renew(near[self._moments(near) <= until])

    def _note(self, cells: Numbers) -> None:
        """Look at sessions in time whose end is new, or not later than it was."""
        moments = self._moments(cells)
        self._soon.note(cells, moments)
        # The next watermark that can change anything; ends else only grow, so never too late.
        self.due = min(self.due, int(np.minimum.reduce(moments)))

    def _late(self, rows: Rows) -> Mask | None:
        """Rows whose own window is gone and that no session takes in; None: none."""
        if rows.low >= self.safe:
            return None
        old = rows.times < self._safe(rows.slots)
        at = np.flatnonzero(old)
        old[at] = ~self._chains.touches(rows.slots[at], rows.times[at], self.gap, self.most)
        if not old.any():
            return None
        # A row that is old may join one of its own batch that came before it. The loop is over old
        # rows whose key has such a row only; each costs a few microseconds.
        accepted = ~old
        alive = np.zeros(rows.count, np.bool_)
        alive[rows.slots[accepted]] = True
        for row in np.flatnonzero(old & alive[rows.slots]).tolist():
            before = accepted[:row] & (rows.slots[:row] == rows.slots[row])
            near = np.abs(rows.times[:row][before] - rows.times[row]) < self.gap
            accepted[row] = near.any()
        return None if accepted.all() else ~accepted

    def _begin(self, slots: Numbers, times: Times) -> Numbers:
        """The newest session of each row's slot; one that has none gets the first of its rows."""
        chains = self._chains
        cells = chains.newest[slots]
        if np.minimum.reduce(cells) == 0:
            new = np.flatnonzero(cells == 0)
            owners = chains.distinct(slots[new])
            begun = self.pool.lend(len(owners))
            chains.fit(0)
            chains.begin(owners, begun)
            cells[new] = chains.newest[slots[new]]
            np.minimum.at(chains.start, cells[new], times[new])
            chains.last[begun] = chains.start[begun]
            chains.end[begun] = chains.start[begun] + self.gap
            chains.fresh[begun] = True
            self._note(begun)
        return cells

    def _outside(self, cells: Numbers, times: Times) -> Mask:
        """Rows that the session in their cell may not hold, or not alone."""
        chains = self._chains
        starts = chains.start[cells]
        early = times < starts
        outside = times >= chains.end[cells]
        if early.any():
            if self.most != NEVER:
                return early | outside
            at = np.flatnonzero(early)
            begins = np.maximum(
                starts[at] - self.gap + 1, chains.last[chains.older[cells[at]]] + self.gap
            )
            outside[at] = times[at] < begins
        return outside

    def _extend(self, cells: Numbers, times: Times) -> None:
        """Sessions take rows that lie inside of them, or less than the gap away."""
        if not len(cells):
            return
        chains = self._chains
        np.maximum.at(chains.last, cells, times)
        np.minimum.at(chains.start, cells, times)
        ends = chains.last[cells] + self.gap
        if self.most != NEVER:
            ends = np.minimum(ends, chains.start[cells] + self.most)
        chains.end[cells] = ends
        if self.late:
            left = np.unique(cells[~chains.fresh[cells]])
            chains.fresh[left] = True
            if len(left):
                self._note(left)

    def _regroup(self, slots: Numbers, times: Times) -> Numbers:
        """The cells of rows that begin, join or cut sessions: all rows there are of their slots."""
        chains = self._chains
        touched = chains.distinct(slots)
        known, tails = chains.reach(touched, int(times.min()), self.gap)
        # Sessions first: a row at the start of one belongs to it, not to the one before.
        groups = parted(
            np.concatenate([chains.slot[known], slots]),
            np.concatenate([chains.start[known], times]),
            np.concatenate([chains.last[known], times]),
            self.gap,
            self.most,
        )
        cells = self._settle(groups, known)
        chains.link(touched, tails, groups.slots, cells)
        regrouped: Numbers = cells[groups.of[len(known) :]]
        return regrouped

    def _settle(self, groups: Groups, known: Numbers) -> Numbers:
        """The cell of each group, with its state: an old one, several in one, or a new one."""
        chains = self._chains
        mine = groups.of[: len(known)]
        cells = np.zeros(len(groups.slots), np.intp)
        cells[mine[::-1]] = known[::-1]  # backwards: the first known session stays
        extra = known[cells[mine] != known]
        if len(extra):
            self._join(mine, known, cells)
            chains.forget(extra)
            self.pool.give_back(extra)
        new = np.flatnonzero(cells == 0)
        cells[new] = self.pool.lend(len(new))
        chains.fit(0)
        changed = np.zeros(len(cells), np.bool_)
        changed[groups.of[len(known) :]] = True
        chains.slot[cells] = groups.slots
        chains.start[cells], chains.last[cells] = groups.starts, groups.lasts
        ends = groups.lasts + self.gap
        if self.most != NEVER:
            ends = np.minimum(ends, groups.starts + self.most)
        chains.end[cells] = ends
        chains.fresh[cells] |= changed
        self._note(cells)
        return cells

    def _join(self, groups: Numbers, known: Numbers, cells: Numbers) -> None:
        """Merge the states of sessions that have become one into the cell of their group."""
        extra = np.flatnonzero(cells[groups] != known)
        while len(extra):  # as often as the largest number of sessions that one absorbs
            _, first = np.unique(groups[extra], return_index=True)
            some = extra[first]
            targets = cells[groups[some]]
            state = self.pool.cells.take(np.stack([targets, known[some]])).merge()
            self.pool.cells.put(targets, state)
            extra = np.delete(extra, first)
