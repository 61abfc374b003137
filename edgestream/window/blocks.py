"""The events of the last two blocks of time of each key, for sliding windows.

Time is cut into blocks as long as a window, so a window is the end of one block and the beginning
of the next: what has come in a block so far is one running cell a key, and when a block is over,
each of its events gets all that follows in it. A window is then two cells merged, however many
rows it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.current import heads
from edgestream.window.kind import UNKNOWN, Mask, Times
from edgestream.window.lookup import Numbers
from edgestream.window.order import by_slot


@dataclass(slots=True)
class Events:
    """Events by slot and time, each with a cell."""

    slots: Numbers
    times: Times
    cells: Numbers

    @classmethod
    def none(cls) -> Events:
        """No events."""
        return cls(np.zeros(0, np.intp), np.zeros(0, np.int64), np.zeros(0, np.intp))

    @classmethod
    def joined(cls, parts: Sequence[Events]) -> Events:
        """All of them, sorted."""
        parts = [cls.none(), *parts]
        slots = np.concatenate([part.slots for part in parts])
        times = np.concatenate([part.times for part in parts])
        order = by_slot(slots, times)
        cells = np.concatenate([part.cells for part in parts])
        return cls(slots[order], times[order], cells[order])

    def take(self, some: Mask | Numbers) -> Events:
        """Some of them."""
        return Events(self.slots[some], self.times[some], self.cells[some])


class Ranked:
    """Events by slot and time that are looked up: packed once, as long as they stay the same."""

    def __init__(self, events: Events) -> None:
        """Pack slots and the ranks of times."""
        self._events = events
        self._ranks = np.unique(events.times)
        self._width = len(self._ranks) + 1
        self._packed = events.slots * self._width + np.searchsorted(self._ranks, events.times)

    def after(self, slots: Numbers, times: Times) -> Numbers:
        """The cell of the first event of each slot after a time; 0: there is none."""
        events = self._events
        if not len(events.slots):
            return np.zeros(len(slots), np.intp)
        begin = np.searchsorted(self._ranks, times, "right")
        at = np.searchsorted(self._packed, slots * self._width + begin)
        at[at == len(self._packed)] = 0
        inside = (events.slots[at] == slots) & (events.times[at] > times)
        return np.where(inside, events.cells[at], 0)


class Blocks:
    """The block each slot is in, and the one before."""

    def __init__(self, pool: Pool, size: int) -> None:
        """Start without events."""
        self._pool, self._size = pool, size
        self._block: list[Events] = []
        self._before = Events.none()
        """The block before of each slot; a cell holds all that follows in it as well."""
        self._found: Ranked | None = None
        """The same to look up, once that was asked for."""
        self._number = np.zeros(0, np.int64)
        self._running = np.zeros(0, np.intp)

    @property
    def nbytes(self) -> int:
        """The bytes held beside the cells."""
        events = len(self._before.slots) + sum(len(events.slots) for events in self._block)
        return 24 * events + self._number.nbytes + self._running.nbytes

    @property
    def slots(self) -> Numbers:
        """The slots that have events which a window to come can hold."""
        return np.flatnonzero(self._number != UNKNOWN)

    def fit(self, slots: int) -> None:
        """Make room for slots."""
        more = 2 * slots - len(self._number)
        if slots > len(self._number):
            self._number = np.append(self._number, np.full(more, UNKNOWN))
            self._running = np.append(self._running, np.zeros(more, np.intp))

    def add(self, events: Events) -> Numbers:
        """Take events, by slot and time; new cells with the window of each."""
        made = np.empty_like(events.cells)
        for some in _rounds(events, self._size):
            made[some] = self._add(events.take(some))
        return made

    def sweep(self, slots: Numbers, marks: Times) -> None:
        """Let go of what no window to come can hold, given the watermark of each slot."""
        blocks = marks // self._size
        over = blocks > self._number[slots]
        slots = slots[over]
        if len(slots):
            self._roll(slots, blocks[over])
            held = np.zeros(len(self._number), np.bool_)
            held[self._before.slots] = True
            self._number[slots[~held[slots]]] = UNKNOWN

    def used(self, slots: int) -> Mask:
        """Which of the slots have events that a window to come can hold."""
        self.fit(slots)
        used: Mask = self._number[:slots] != UNKNOWN
        return used

    def keep(self, slots: Numbers) -> None:
        """All other slots are gone; those kept, ascending, become 0, 1, 2, …"""
        self.fit(int(slots.max(initial=0)) + 1)
        self._number, self._running = self._number[slots], self._running[slots]
        for events in (self._before, *self._block):
            events.slots = np.searchsorted(slots, events.slots)
        self._found = None

    def save(self) -> dict[str, Any]:
        """The events of the last two blocks, and what has come in the last one."""
        block = Events.joined(self._block)
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
        self._before = Events(
            np.array(arrays["before_slots"]), np.array(arrays["before_times"]), before
        )
        self._found = None
        self._block = [
            Events(np.array(arrays["block_slots"]), np.array(arrays["block_times"]), block)
        ]
        self._number = np.array(arrays["number"])
        self._running = np.zeros(len(self._number), np.intp)
        self._running[arrays["running"]] = running

    def _add(self, events: Events) -> Numbers:
        """Take the events of one block a slot; new cells with the window of each."""
        first = heads(events.slots)
        slots, blocks = events.slots[first], events.times[first] // self._size
        known = self._number[slots]
        behind = (known < blocks) & (known != UNKNOWN)
        if behind.any():
            self._roll(slots[behind], blocks[behind])
        self._number[slots] = blocks
        self._block.append(events)
        pool = self._pool
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

    def _older(self, events: Events) -> Numbers:
        """The cell with what a window holds of the block before; 0: nothing."""
        if self._found is None:
            self._found = Ranked(self._before)
        return self._found.after(events.slots, events.times - self._size)

    def _roll(self, slots: Numbers, blocks: Times) -> None:
        """Slots go on to later blocks: what they were in becomes the one before, or is gone."""
        mine = np.zeros(len(self._number), np.bool_)
        mine[slots] = True
        old = mine[self._before.slots]
        gone = [self._before.cells[old], self._running[slots]]
        block = Events.joined(self._block)
        over = mine[block.slots]
        next_ = np.zeros(len(self._number), np.bool_)
        next_[slots] = self._number[slots] == blocks - 1
        near = over & next_[block.slots]
        gone.append(block.cells[over & ~near])
        closed = block.take(near)
        if len(closed.slots):
            self._accumulate(closed)
        self._before, self._found = Events.joined([self._before.take(~old), closed]), None
        self._block = [block.take(~over)]
        self._running[slots] = 0
        self._number[slots] = blocks
        cells = np.concatenate(gone)
        self._pool.give_back(cells[cells > 0])

    def _accumulate(self, events: Events) -> None:
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
        cells = self._pool.cells
        cells.put(into, cells.take(np.stack([earlier, later])).merge())


def _rounds(events: Events, size: int) -> Iterator[Numbers]:
    """The events of the first block of each slot, then of its second, and so on."""
    blocks = events.times // size
    fresh = np.append(True, (events.slots[1:] != events.slots[:-1]) | (blocks[1:] != blocks[:-1]))
    nth = np.cumsum(fresh)
    first = heads(events.slots)
    nth -= np.repeat(nth[first], np.diff(np.append(first, len(nth))))
    order = np.argsort(nth, kind="stable")
    bounds = np.flatnonzero(np.diff(nth[order], prepend=-1))
    for begin, end in zip(bounds, np.append(bounds[1:], len(nth)), strict=True):
        yield np.sort(order[begin:end])
