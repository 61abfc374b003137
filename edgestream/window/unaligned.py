"""Tumbling, hopping and calendar windows that each key closes by a watermark of its own.

Rows go to panes as in `Aligned`. A closing looks at the cells of those keys whose watermark has
passed the end of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.grid import Grid, distinct_pairs, over, ramps, within
from edgestream.window.kind import FAR, UNKNOWN, Closed, Kind, Mask, Placed, Rows, Times
from edgestream.window.lookup import Numbers
from edgestream.window.missing import Missing
from edgestream.window.panes import Panes


class Unaligned(Kind):
    """Windows of a grid; ``late`` is how long they stay, ``missing`` reports keys without rows."""

    soonest = 0

    def __init__(self, pool: Pool, grid: Grid, late: int, missing: Missing | None = None) -> None:
        """Start without windows."""
        super().__init__(pool)
        self.grid, self.late = grid, late
        self._panes = Panes(pool)
        self._missing = missing
        self._before: Times = np.zeros(0, np.int64)
        self._corrected: list[tuple[Times, Numbers]] = []

    @property
    def safe(self) -> int:
        """What is safe for the slot that has got the furthest is safe for all."""
        closed = self.grid.bounds(self.watermark)
        return closed.covered if self.late else closed.begins

    def place(self, rows: Rows) -> Placed:
        """Add rows to their panes; mark the closed windows that they correct."""
        self.due = UNKNOWN
        slots, times = rows.slots, rows.times
        first, last, panes = self.grid.panes(times, rows.low, rows.high)
        if first == last:
            panes = np.full(len(times), first)
        newest = over(self.grid, panes)[1]
        late = newest <= self._gone(slots)
        if late.any():
            slots, panes, newest = slots[~late], panes[~late], newest[~late]
        if not len(slots):
            return Placed(np.zeros(0, np.intp), late)
        low, high = int(panes.min()), int(panes.max())
        cells = self._panes.locate(panes, low, high, slots, rows.count)
        closed = self._ended(slots)
        oldest = np.maximum(over(self.grid, panes)[0], self._gone(slots) + 1)
        counts = np.maximum(np.minimum(newest, closed) - oldest + 1, 0)
        if counts.any():
            windows = np.repeat(oldest, counts) + ramps(counts)
            self._corrected.append(distinct_pairs([(windows, np.repeat(slots, counts))]))
        return Placed(cells, late if late.any() else None)

    def follow(self, marks: Times) -> None:
        """Remember where slots come from: the windows between have just ended."""
        assert self.marks is not None
        self._before = self.marks.of
        super().follow(marks)

    def first_end(self, low: int) -> int:
        """The end of the first window that a row from ``low`` on can be in."""
        return self.grid.bounds(low).due

    def next_end(self) -> int:
        """The end of the next window of the slot that has got the furthest."""
        far = self.watermark in (FAR, UNKNOWN)
        return FAR if far else self.grid.bounds(self.watermark).due

    def close(self) -> Iterator[Closed]:
        """Windows that end at the watermark of their key or before, and those corrected."""
        assert self.marks is not None
        before = self.grid.ended(within(self._before))
        ended = self.grid.ended(within(self.marks.of))
        corrected, self._corrected = distinct_pairs(self._corrected), []
        live = self._panes.cells(self._panes.panes())
        mine = ended[live[1]] > before[live[1]]
        fresh = self._windows(live[0][mine], live[1][mine], before, ended)
        fresh = distinct_pairs([fresh])
        empty = (np.zeros(0, np.int64), np.zeros(0, np.intp))
        if self._missing is not None:
            final = self.marks.of == FAR
            empty = self._missing.windows(self.grid, fresh, corrected, before, ended, final)
        pairs = [fresh, *([corrected] if len(corrected[0]) else [])]
        held = len(empty[0])
        yield from self._leaving(live, *distinct_pairs([*pairs, *([empty] if held else [])]))
        gone = over(self.grid, live[0])[1] <= self._gone(live[1])
        self._panes.release(live[0][gone], live[1][gone])
        self._set_due(live[0][~gone], live[1][~gone], ended)

    def so_far(self, touched: Mask) -> Iterator[Closed]:
        """The windows that have begun and not ended."""
        assert self.marks is not None
        live = self._panes.cells(self._panes.panes())
        mine = touched[live[2]]
        ended = self.grid.ended(within(self.marks.of))
        last = np.full(len(ended), np.iinfo(np.int64).max)
        windows, slots = distinct_pairs([self._windows(live[0][mine], live[1][mine], ended, last)])
        begun = self.grid.starts(windows) < self.marks.of[slots]
        yield from self._leaving(live, windows[begun], slots[begun])

    def used(self, slots: int) -> Mask:
        """Slots with a cell in any pane, or missed when they are silent."""
        used = self._panes.used(slots)
        return used if self._missing is None else used | self._missing.known(slots)

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots of panes; corrections name slots only between two closings."""
        self._panes.keep(slots)
        if self._missing is not None:
            self._missing.keep(slots)

    def save(self) -> dict[str, Any]:
        """Panes, slots and cells, and the corrections that have not left yet."""
        panes, slots, cells = self._panes.cells(self._panes.panes())
        windows, corrected = distinct_pairs(self._corrected)
        return {
            "panes": panes,
            "slots": slots,
            "cells": cells,
            "corrected_windows": windows,
            "corrected_slots": corrected,
            **({} if self._missing is None else {"silent": self._missing.save()}),
        }

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take panes and corrections."""
        self.due = UNKNOWN
        self._panes.load(np.array(arrays["panes"]), np.array(arrays["slots"]), cells)
        windows, slots = arrays["corrected_windows"], arrays["corrected_slots"]
        if len(windows):
            self._corrected = [(np.array(windows), np.array(slots))]
        if self._missing is not None and "silent" in arrays:
            self._missing.load(arrays["silent"])

    @property
    def nbytes(self) -> int:
        """The bytes of the panes."""
        missing = 0 if self._missing is None else self._missing.nbytes
        return self._panes.nbytes + self._before.nbytes + missing

    def _ended(self, slots: Numbers) -> Times:
        """The last window of each of some slots that has ended."""
        assert self.marks is not None
        return self.grid.ended(within(self.marks.of[slots]))

    def _gone(self, slots: Numbers) -> Times:
        """The last window of each of some slots that takes no more rows."""
        assert self.marks is not None
        return self.grid.ended(within(self.marks.of[slots]) - self.late)

    def _set_due(self, panes: Times, slots: Numbers, ended: Times) -> None:
        """The least watermark that ends a window of what is held or missed, or lets go of it."""
        self.due = FAR
        if self._missing is not None:
            known = ended[self._missing.known(len(ended))]
            self.due = int(self.grid.ends(known + 1).min(initial=FAR))
        if len(panes):
            first, newest = over(self.grid, panes)
            open_ = newest > ended[slots]
            soon = np.maximum(first, ended[slots] + 1)[open_]
            ends = [self.grid.ends(soon), self.grid.ends(newest[~open_]) + self.late]
            self.due = min(self.due, *(int(some.min(initial=FAR)) for some in ends))

    def _windows(
        self, panes: Times, slots: Numbers, after: Times, until: Times
    ) -> tuple[Times, Numbers]:
        """The (window, slot) pairs that hold panes, after and until a window of each slot."""
        first, last = over(self.grid, panes)
        first, last = np.maximum(first, after[slots] + 1), np.minimum(last, until[slots])
        counts = np.maximum(last - first + 1, 0)
        return np.repeat(first, counts) + ramps(counts), np.repeat(slots, counts)

    def _leaving(
        self, live: tuple[Times, Numbers, Numbers], windows: Times, slots: Numbers
    ) -> Iterator[Closed]:
        """Windows of slots, with their panes merged."""
        span, find = self.grid.span, _Cells(live)
        for part in self.pool.portions(np.arange(len(windows)), span):
            of, some = windows[part], slots[part]
            layers = find.cells(of * self.grid.step + np.arange(span)[:, None], some)
            take = self.pool.cells.take
            state = take(layers[0]) if span == 1 else take(layers).merge()
            yield Closed(some, self.grid.starts(of), self.grid.ends(of), state)


class _Cells:
    """Finds the cells of (pane, slot) pairs, given all there are by pane and slot."""

    def __init__(self, live: tuple[Times, Numbers, Numbers]) -> None:
        panes, slots, self._cells = live
        self._panes, rank = np.unique(panes, return_inverse=True)
        self._width = int(slots.max(initial=0)) + 1
        self._packed = rank * self._width + slots

    def cells(self, panes: Times, slots: Numbers) -> Numbers:
        """The cell of each pair, 0 where it has none."""
        if not len(self._packed):
            return np.zeros(panes.shape, np.intp)
        rank = np.searchsorted(self._panes, panes)
        rank[rank == len(self._panes)] = 0
        wanted = rank * self._width + slots
        at = np.searchsorted(self._packed, wanted)
        at[at == len(self._packed)] = 0
        there = (self._panes[rank] == panes) & (self._packed[at] == wanted)
        return np.where(there & (slots < self._width), self._cells[at], 0)
