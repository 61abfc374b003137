"""Sliding windows: for every row the aggregate over the rows of its key up to it, ``size`` back.

Time is cut into blocks of ``size``, so a window is the end of one block and the beginning of the
next: what has come in a block so far is one running cell a key, and when a block is over, each of
its rows gets the aggregate from it to the end of the block. A window is then two cells merged,
however many rows it holds. Rows of a key in one microsecond are one event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.current import MICRO, heads
from edgestream.window.kind import UNKNOWN, Closed, Kind, Mask, Placed, Rows, Times
from edgestream.window.lookup import Numbers
from edgestream.window.ordered import Sorted, late

_AT_ONCE = 1 << 16
"""How many windows one closed part holds at most."""


@dataclass(slots=True)
class _Events:
    """Events by slot and time, each with a cell."""

    slots: Numbers
    times: Times
    cells: Numbers

    @classmethod
    def none(cls) -> _Events:
        return cls(np.zeros(0, np.intp), np.zeros(0, np.int64), np.zeros(0, np.intp))

    @classmethod
    def joined(cls, parts: list[_Events]) -> _Events:
        parts = [cls.none(), *parts]
        slots = np.concatenate([part.slots for part in parts])
        times = np.concatenate([part.times for part in parts])
        order = np.lexsort((times, slots))
        cells = np.concatenate([part.cells for part in parts])
        return cls(slots[order], times[order], cells[order])

    def take(self, some: Mask | Numbers) -> _Events:
        return _Events(self.slots[some], self.times[some], self.cells[some])


class Sliding(Kind):
    """Windows of ``size`` that end with each event and hold it."""

    ordered = True
    soonest = 0

    def __init__(self, pool: Pool, size: int) -> None:
        """Start without events."""
        super().__init__(pool)
        self.size = size
        self._came: list[_Events] = []
        self._block: list[_Events] = []  # of the block each slot is in
        self._before = _Events.none()  # of the block before, with all that follows in it
        self._number = np.zeros(0, np.int64)
        self._running = np.zeros(0, np.intp)
        self._swept = UNKNOWN

    def _fit(self, slots: int) -> None:
        more = 2 * slots - len(self._number)
        if slots > len(self._number):
            self._number = np.append(self._number, np.full(more, UNKNOWN))
            self._running = np.append(self._running, np.zeros(more, np.intp))

    @property
    def safe(self) -> int:
        """Rows from the watermark on are not late."""
        return self.watermark

    def place(self, rows: Rows) -> Placed:
        """A cell for each event; the windows are made once the rows are in their cells."""
        self._fit(rows.count)
        out = late(self, rows)
        came = Sorted(rows, out)
        if not len(came.slots):
            return Placed(np.zeros(0, np.intp), out)
        micros = came.times // MICRO
        fresh = np.append(True, (came.slots[1:] != came.slots[:-1]) | (micros[1:] != micros[:-1]))
        cells = self.pool.lend(int(np.count_nonzero(fresh)))
        self._came.append(_Events(came.slots[fresh], micros[fresh] * MICRO, cells))
        return Placed(came.back(cells[np.cumsum(fresh) - 1]), out)

    def close(self) -> Iterator[Closed]:
        """The windows of the events that came, by time and slot."""
        events = _Events.joined(self._came)
        self._came = []
        if len(events.slots):
            made = np.empty_like(events.cells)
            for some in self._rounds(events):
                made[some] = self._add(events.take(some))
            order = np.lexsort((events.slots, events.times))
            for begin in range(0, len(order), _AT_ONCE):
                part = order[begin : begin + _AT_ONCE]
                times, state = events.times[part], self.pool.cells.take(made[part])
                yield Closed(events.slots[part], times - self.size, times, state, times)
            self.pool.give_back(made)
        self._sweep()

    def used(self, slots: int) -> Mask:
        """Slots whose last events can be in a window to come."""
        self._fit(slots)
        used: Mask = self._number[:slots] != UNKNOWN
        return used

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots of events."""
        self._fit(int(slots.max(initial=0)) + 1)
        self._number, self._running = self._number[slots], self._running[slots]
        for events in (self._before, *self._block):
            events.slots = np.searchsorted(slots, events.slots)

    def save(self) -> dict[str, Any]:
        """The events of the last two blocks, and what has come in the last one."""
        block = _Events.joined(self._block)
        running = np.flatnonzero(self._running)
        return {
            "cells": np.concatenate([self._before.cells, block.cells, self._running[running]]),
            "before_slots": self._before.slots,
            "before_times": self._before.times,
            "block_slots": block.slots,
            "block_times": block.times,
            "running": running,
            "number": self._number.copy(),
        }

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take the events."""
        first, second = len(arrays["before_slots"]), len(arrays["block_slots"])
        before, block, running = np.split(cells, [first, first + second])
        self._before = _Events(
            np.array(arrays["before_slots"]), np.array(arrays["before_times"]), before
        )
        self._block = [
            _Events(np.array(arrays["block_slots"]), np.array(arrays["block_times"]), block)
        ]
        self._number = np.array(arrays["number"])
        self._running = np.zeros(len(self._number), np.intp)
        self._running[arrays["running"]] = running

    @property
    def nbytes(self) -> int:
        """The bytes held beside the cells."""
        events = len(self._before.slots) + sum(len(events.slots) for events in self._block)
        return 24 * events + self._number.nbytes + self._running.nbytes

    def _rounds(self, events: _Events) -> Iterator[Numbers]:
        """The events of the first block of each slot, then of its second, and so on."""
        blocks = events.times // self.size
        fresh = np.append(
            True, (events.slots[1:] != events.slots[:-1]) | (blocks[1:] != blocks[:-1])
        )
        nth = np.cumsum(fresh)
        first = heads(events.slots)
        nth -= np.repeat(nth[first], np.diff(np.append(first, len(nth))))
        order = np.argsort(nth, kind="stable")
        bounds = np.flatnonzero(np.diff(nth[order], prepend=-1))
        for begin, end in zip(bounds, np.append(bounds[1:], len(nth)), strict=True):
            yield np.sort(order[begin:end])

    def _add(self, events: _Events) -> Numbers:
        """Take the events of one block a slot; new cells with the window of each."""
        first = heads(events.slots)
        slots, blocks = events.slots[first], events.times[first] // self.size
        known = self._number[slots]
        behind = (known < blocks) & (known != UNKNOWN)
        if behind.any():
            self._roll(slots[behind], blocks[behind])
        self._number[slots] = blocks
        self._block.append(events)
        pool = self.pool
        sofar = pool.lend(len(events.slots))
        pool.cells.put(sofar, pool.cells.take(events.cells))
        self._put(sofar[first], self._running[slots], sofar[first])
        place = np.arange(len(sofar)) - np.repeat(first, np.diff(np.append(first, len(sofar))))
        ahead = 1
        while (some := np.flatnonzero(place >= ahead)).size:
            self._put(sofar[some], sofar[some - ahead], sofar[some])
            ahead *= 2
        made = pool.lend(len(sofar))
        self._put(made, self._older(events), sofar)
        last = np.append(first[1:], len(sofar)) - 1
        gone = self._running[slots]
        self._running[slots] = sofar[last]
        pool.give_back(np.concatenate([np.delete(sofar, last), gone[gone > 0]]))
        return made

    def _older(self, events: _Events) -> Numbers:
        """The cell with what a window holds of the block before; 0: nothing."""
        before = self._before
        if not len(before.slots):
            return np.zeros(len(events.slots), np.intp)
        ranks = np.unique(before.times)
        width = len(ranks) + 1
        known = before.slots * width + np.searchsorted(ranks, before.times)
        begin = np.searchsorted(ranks, events.times - self.size, "right")
        at = np.searchsorted(known, events.slots * width + begin)
        at[at == len(known)] = 0
        inside = (before.slots[at] == events.slots) & (before.times[at] > events.times - self.size)
        return np.where(inside, before.cells[at], 0)

    def _roll(self, slots: Numbers, blocks: Times) -> None:
        """Slots go on to later blocks: what they were in becomes the one before, or is gone."""
        mine = np.zeros(len(self._number), np.bool_)
        mine[slots] = True
        old = mine[self._before.slots]
        gone = [self._before.cells[old], self._running[slots]]
        block = _Events.joined(self._block)
        over = mine[block.slots]
        next_ = np.zeros(len(self._number), np.bool_)
        next_[slots] = self._number[slots] == blocks - 1
        near = over & next_[block.slots]
        gone.append(block.cells[over & ~near])
        closed = block.take(near)
        if len(closed.slots):
            self._accumulate(closed)
        self._before = _Events.joined([self._before.take(~old), closed])
        self._block = [block.take(~over)]
        self._running[slots] = 0
        self._number[slots] = blocks
        cells = np.concatenate(gone)
        self.pool.give_back(cells[cells > 0])

    def _accumulate(self, events: _Events) -> None:
        """Give each event of a block all that follows in it."""
        first = heads(events.slots)
        ends = np.append(first[1:], len(events.slots))
        left = np.repeat(ends, ends - first) - np.arange(len(events.slots))
        ahead = 1
        while (some := np.flatnonzero(left > ahead)).size:
            cells = events.cells
            self._put(cells[some], cells[some], cells[some + ahead])
            ahead *= 2

    def _put(self, into: Numbers, earlier: Numbers, later: Numbers) -> None:
        """Merge cells two by two."""
        cells = self.pool.cells
        cells.put(into, cells.take(np.stack([earlier, later])).merge())

    def _sweep(self) -> None:
        """Let go of what no window to come can hold."""
        if self.marks is None and self.watermark // self.size <= self._swept:
            return
        self._swept = self.watermark // self.size
        slots = np.flatnonzero(self._number != UNKNOWN)
        blocks = np.broadcast_to(np.asarray(self.mark(slots)) // self.size, slots.shape)
        over = blocks > self._number[slots]
        slots = slots[over]
        if len(slots):
            self._roll(slots, blocks[over])
            held = np.zeros(len(self._number), np.bool_)
            held[self._before.slots] = True
            self._number[slots[~held[slots]]] = UNKNOWN
