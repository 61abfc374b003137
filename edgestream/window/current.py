"""The one open window of each key, for kinds that cut the rows of a key one window after another.

A window is identified by its key and ``window_start``, the time of its first row in microseconds.
Where two windows of a key would begin in the same one, the later is moved one on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.kind import FAR, UNKNOWN, Closed, Mask, Times
from edgestream.window.lookup import Numbers

MICRO = 1000


@dataclass(slots=True)
class Pieces:
    """Rows of a slot that follow each other and belong to one window, by slot and time."""

    slots: Numbers
    starts: Times
    lasts: Times
    joins: Mask
    """Whether it goes on with the open window of its slot; only the first of a slot may."""
    ends: Times
    """Where its window ends; FAR while that is not known."""


class Current:
    """The open windows, one position a slot, and those that have ended and not left yet."""

    def __init__(self, pool: Pool) -> None:
        """Start without windows."""
        self._pool = pool
        self.cell = np.zeros(16, np.intp)
        self.start = np.full(16, FAR)
        self.last = np.full(16, UNKNOWN)
        self._shown = np.full(16, UNKNOWN)
        self.ended: list[tuple[Numbers, Times, Times, Numbers]] = []

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        held = (self.cell, self.start, self.last, self._shown)
        return sum(array.nbytes for array in held)

    def fit(self, slots: int) -> None:
        """Make room for slots."""
        more = 2 * slots - len(self.cell)
        if slots > len(self.cell):
            self.cell = np.concatenate([self.cell, np.zeros(more, np.intp)])
            self.start = np.concatenate([self.start, np.full(more, FAR)])
            self.last = np.concatenate([self.last, np.full(more, UNKNOWN)])
            self._shown = np.concatenate([self._shown, np.full(more, UNKNOWN)])

    def settle(self, pieces: Pieces) -> Numbers:
        """The cell of each piece; windows with an end are over, the others are open."""
        slots, fresh = pieces.slots, ~pieces.joins
        cells = self.cell[slots]
        cells[fresh] = self._pool.lend(int(np.count_nonzero(fresh)))
        starts = np.where(fresh, pieces.starts, self.start[slots])
        shown = self._shown[slots]
        shown[fresh] = distinct(slots[fresh], pieces.starts[fresh], self._shown)
        over = pieces.ends != FAR
        self.cell[slots[over]] = 0
        self.start[slots[over]] = FAR
        # The last piece of a slot is the one that may be open.
        last = np.append(slots[1:] != slots[:-1], True) & ~over
        at = slots[last]
        self.cell[at], self.start[at], self.last[at] = cells[last], starts[last], pieces.lasts[last]
        newest = np.append(slots[1:] != slots[:-1], True)
        self._shown[slots[newest]] = shown[newest]
        if over.any():
            self._end(slots[over], shown[over], pieces.ends[over], cells[over])
        return cells

    def end(self, slots: Numbers, ends: Times) -> None:
        """The open windows of slots, each there once, are over."""
        self._end(slots, self._shown[slots], ends, self.cell[slots])
        self.cell[slots] = 0
        self.start[slots] = FAR

    def expire(self, slots: Numbers, most: int, moments: Times | int) -> None:
        """End the windows of slots that have been open for ``most`` at a moment."""
        over = (self.cell[slots] > 0) & (self.start[slots] + most <= moments)
        if over.any():
            self.end(slots[over], self.start[slots[over]] + most)

    def used(self, slots: int) -> Mask:
        """Which of the slots have an open window."""
        self.fit(slots)
        used: Mask = self.cell[:slots] > 0
        return used

    def leaving(self) -> Iterator[Closed]:
        """The windows that are over, by start and slot; their cells are then free."""
        if not self.ended:
            return
        slots, starts, ends, cells = (
            np.concatenate(part) for part in zip(*self.ended, strict=True)
        )
        self.ended = []
        order = np.lexsort((slots, starts))
        for some in self._pool.portions(order):
            state = self._pool.cells.take(cells[some])
            yield Closed(slots[some], starts[some], ends[some], state)
        self._pool.give_back(cells)

    def open(self, touched: Mask, ends: Times) -> Iterator[Closed]:
        """The open windows that changed, by start and slot; ``ends`` is for every slot."""
        slots = np.flatnonzero(self.cell)
        slots = slots[touched[self.cell[slots]]]
        slots = slots[np.argsort(self._shown[slots], kind="stable")]
        for some in self._pool.portions(slots):
            state = self._pool.cells.take(self.cell[some])
            yield Closed(some, self._shown[some], ends[some], state)

    def keep(self, slots: Numbers) -> None:
        """All other slots are gone; those kept, ascending, become 0, 1, 2, …"""
        self.fit(int(slots.max(initial=0)) + 1)
        cell, start, last, shown = self.cell, self.start, self.last, self._shown
        self.cell = np.append(cell[slots], np.zeros(16, np.intp))
        self.start = np.append(start[slots], np.full(16, FAR))
        self.last = np.append(last[slots], np.full(16, UNKNOWN))
        self._shown = np.append(shown[slots], np.full(16, UNKNOWN))

    def save(self) -> dict[str, Any]:
        """The open windows, and the starts shown of the last ones."""
        open_ = np.flatnonzero(self.cell)
        return {
            "cells": self.cell[open_],
            "slots": open_,
            "starts": self.start[open_],
            "lasts": self.last[open_],
            "shown": self._shown.copy(),
        }

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Become what gave these."""
        shown, slots = np.array(arrays["shown"]), arrays["slots"]
        self.fit(len(shown))
        self._shown[: len(shown)] = shown
        self.cell[slots] = cells
        self.start[slots], self.last[slots] = arrays["starts"], arrays["lasts"]

    def _end(self, slots: Numbers, starts: Times, ends: Times, cells: Numbers) -> None:
        self.ended.append((slots, starts, np.maximum(ends, starts + MICRO), cells))


def distinct(slots: Numbers, starts: Times, shown: Times) -> Times:
    """The starts by which windows are known, by slot and start; ``shown`` is the last of each slot.

    Each is a whole microsecond, and at least one more than the one before of its slot.
    """
    found = starts // MICRO * MICRO
    before = shown[slots]
    same = slots[1:] == slots[:-1]
    before[1:][same] = found[:-1][same]
    if (found > before).all():
        return found
    # The highest so far of what is left when a microsecond is taken off for each place.
    places = np.arange(len(slots)) * MICRO
    first = np.append(True, ~same)
    found[first] = np.maximum(found[first], shown[slots[first]] + MICRO)
    group = np.cumsum(first) - 1
    ranked, rank = np.unique(found - places, return_inverse=True)
    packed = np.maximum.accumulate(group * len(ranked) + rank)
    apart: Times = ranked[packed - group * len(ranked)] + places
    return apart


def heads(slots: Numbers) -> Numbers:
    """Where each slot begins, of slots that come in order."""
    return np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))


def just_after(times: Times) -> Times:
    """The first microsecond after each time."""
    return (times // MICRO + 1) * MICRO
