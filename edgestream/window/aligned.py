"""Tumbling and hopping windows, aligned to the epoch: a row is added once, to its pane.

A pane is as long as what size and hop have in common, so every window is a run of whole panes.
Windows are numbered: window k begins at ``k * every``. When the watermark reaches its end, its
panes are merged, which costs keys × panes a hop and nothing a row. A pane lives until the last
window it belongs to is gone: closed, and older than ``late``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.pool import Pool
from edgestream.window.kind import UNKNOWN, Closed, Kind, Mask, Placed, Rows
from edgestream.window.lookup import Numbers
from edgestream.window.panes import Panes

_MOST_CELLS = 1 << 16
"""How many cells are gathered at once."""


class Aligned(Kind):
    """Windows of ``size``, one every ``every`` nanoseconds; ``late`` is how long they stay."""

    def __init__(self, pool: Pool, size: int, every: int, late: int) -> None:
        """Derive the pane."""
        super().__init__(pool)
        self.size, self.every, self.late = size, every, late
        self._pane = math.gcd(size, every)
        self._step = every // self._pane
        self._span = size // self._pane
        self._panes = Panes(pool)
        self._corrected: list[tuple[NDArray[np.int64], Numbers]] = []
        self._bounds()

    def place(self, rows: Rows) -> Placed:
        """Add rows to their panes; mark the closed windows that they correct."""
        slots, times, low, high = rows.slots, rows.times, rows.low, rows.high
        late: Mask | None = None
        if low < self._gone:
            late = times < self._gone
            if late.all():
                return Placed(np.zeros(0, np.intp), late)
            slots, times = slots[~late], times[~late]
            low = int(times.min())
        first, last = low // self._pane, high // self._pane
        panes = times if first == last else times // self._pane
        cells = self._panes.locate(panes, first, last, slots, rows.count)
        if low < self._open:
            old = np.flatnonzero(times < self._open)
            self._correct(times[old] // self._pane, slots[old])
            self.due = UNKNOWN
        return Placed(cells, late)

    @property
    def safe(self) -> int:
        """The end of the last window that has left, while windows stay; else the first open."""
        return self._open

    def close(self) -> Iterator[Closed]:
        """Windows that end at the watermark or before, and those corrected, by start."""
        first = self._last_closed + 1
        self._bounds()
        if self._last_closed < first and not self._corrected:
            return
        live = self._panes.panes()
        complete = windows = self._windows(live, first, self._last_closed)
        corrected = _pairs(self._corrected)
        if self._corrected:
            windows = np.union1d(complete, corrected[0])
            self._corrected = []
        at = 0
        while at < len(windows):
            some = windows[at : at + self._at_once()]
            at += len(some)
            yield from self._closed(live, some, complete, corrected)
        gone = live[live // self._step <= self._last_gone]
        if len(gone):
            self._panes.drop(gone.tolist())

    def used(self, slots: int) -> Mask:
        """Slots with a cell in any pane."""
        return self._panes.used(slots)

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots of panes; corrections name slots only between two closings."""
        self._panes.keep(slots)

    def save(self) -> dict[str, Any]:
        """Panes, slots and cells, and the corrections that have not left yet."""
        panes, slots, cells = self._panes.cells()
        windows, corrected = _pairs(self._corrected)
        return {
            "panes": panes,
            "slots": slots,
            "cells": cells,
            "corrected_windows": windows,
            "corrected_slots": corrected,
        }

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take panes and corrections; the watermark is set by the caller before."""
        self._bounds()
        self._panes.load(np.array(arrays["panes"]), np.array(arrays["slots"]), cells)
        windows, slots = arrays["corrected_windows"], arrays["corrected_slots"]
        if len(windows):
            self._corrected = [(np.array(windows), np.array(slots))]
            self.due = UNKNOWN

    @property
    def nbytes(self) -> int:
        """The bytes of the panes."""
        return self._panes.nbytes

    def _bounds(self) -> None:
        """What the watermark says of times, in whole numbers without bounds.

        A row before ``_gone`` is too late; a row before ``_open`` belongs to a closed window.
        """
        closed, gone = self.watermark - self.size, self.watermark - self.size - self.late
        self._last_closed, self._last_gone = closed // self.every, gone // self.every
        next_closed, next_gone = closed % self.every, gone % self.every
        self.due = self.watermark + self.every - max(next_closed, next_gone)
        self._gone = (self._last_gone + 1) * self.every
        self._open = self._last_closed * self.every + self.size if self.late else self._gone

    def _correct(self, panes: NDArray[np.int64], slots: Numbers) -> None:
        """Remember the closed windows, not yet gone, that hold these rows."""
        first = np.maximum(-((self._span - 1 - panes) // self._step), self._last_gone + 1)
        last = np.minimum(panes // self._step, self._last_closed)
        counts = np.maximum(last - first + 1, 0)
        windows = np.repeat(first, counts) + _ramps(counts)
        self._corrected.append(_pairs([(windows, np.repeat(slots, counts))]))

    def _windows(self, live: NDArray[np.int64], first: int, last: int) -> NDArray[np.int64]:
        """The windows from first to last that have a pane, ascending."""
        if not len(live) or last < first:
            return np.zeros(0, np.int64)
        if self._span == 1:
            return live[(live >= first) & (live <= last)]
        begin = -((self._span - 1 - live) // self._step)
        end = live // self._step
        first, last = max(first, int(begin[0])), min(last, int(end[-1]))
        end = np.minimum(end, last)
        # Panes ascend, so do their windows: each pane adds those that the one before did not.
        begin = np.maximum(np.maximum(begin, first), np.concatenate([[first], end[:-1] + 1]))
        counts = np.maximum(end - begin + 1, 0)
        return np.repeat(begin, counts) + _ramps(counts)

    def _at_once(self) -> int:
        """How many windows are closed together."""
        return max(1, _MOST_CELLS // (self._panes.width * self._span))

    def _closed(
        self,
        live: NDArray[np.int64],
        windows: NDArray[np.int64],
        complete: NDArray[np.int64],
        corrected: tuple[NDArray[np.int64], Numbers],
    ) -> Iterator[Closed]:
        slots, cells = self._gather(live, windows)
        wanted = cells.max(axis=1) > 0
        if len(corrected[0]):
            chosen = np.zeros_like(wanted)
            mine = np.isin(corrected[0], windows)
            window = np.searchsorted(windows, corrected[0][mine])
            chosen[window, np.searchsorted(slots, corrected[1][mine])] = True
            wanted &= chosen | np.isin(windows, complete)[:, None]
        rows = np.flatnonzero(wanted)
        layers = cells.swapaxes(0, 1).reshape(self._span, -1)
        most = max(1, _MOST_CELLS // self._span)
        for begin in range(0, len(rows), most):
            some = rows[begin : begin + most]
            window, slot = np.divmod(some, len(slots))
            # np.take gives rows in one piece, which sums four times faster than columns.
            found = np.take(layers, some, axis=1)
            take = self.pool.cells.take
            state = take(found[0]) if self._span == 1 else take(found).merge()
            starts = windows[window] * self.every
            yield Closed(slots[slot], starts, starts + self.size, state)

    def _gather(
        self, live: NDArray[np.int64], windows: NDArray[np.int64]
    ) -> tuple[Numbers, NDArray[np.intp]]:
        """(slots, cells): cells by window, pane of the window, and slot."""
        if self._span == 1:
            slots, block = self._panes.block(windows)
            return slots, block[:-1, None, :]
        panes = windows[:, None] * self._step + np.arange(self._span)
        at = np.searchsorted(live, panes)
        at[at == len(live)] = 0
        there = live[at] == panes
        used = np.unique(at[there])
        slots, block = self._panes.block(live[used])
        if len(used) == panes.size:
            return slots, block[None, :-1, :]
        return slots, block[np.where(there, np.searchsorted(used, at), len(used))]


def _ramps(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, … up to each count, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)


def _pairs(
    parts: list[tuple[NDArray[np.int64], Numbers]],
) -> tuple[NDArray[np.int64], Numbers]:
    """All different (window, slot) pairs, by window and slot."""
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.intp)
    windows = np.concatenate([windows for windows, _ in parts])
    slots = np.concatenate([slots for _, slots in parts])
    order = np.lexsort((slots, windows))
    windows, slots = windows[order], slots[order]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (windows[1:] != windows[:-1]) | (slots[1:] != slots[:-1])
    return windows[fresh], slots[fresh]
