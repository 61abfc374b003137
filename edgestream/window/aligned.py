"""Windows that lie the same for all keys (tumbling, hopping, calendar): a row goes to its pane.

Every window is a run of whole panes. When the watermark reaches its end, its panes are merged,
many of them ahead (`Nodes`), which costs nothing a row. A pane lives until the last window it
belongs to is gone: closed, and older than ``late``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.pool import MOST_CELLS, Pool
from edgestream.window.grid import Grid, distinct_pairs, over, ramps
from edgestream.window.kind import FAR, UNKNOWN, Closed, Kind, Mask, Placed, Rows, Times
from edgestream.window.lookup import Numbers
from edgestream.window.nodes import MadeOf, Nodes
from edgestream.window.panes import Panes
from edgestream.window.silent import Silent

_Choose: TypeAlias = Callable[[Times, Numbers, NDArray[np.intp]], Mask]
"""Which of the windows leave for which of the slots, given the cells they are made of."""


class Aligned(Kind):
    """Windows of a grid; ``late`` is how long they stay, ``silent`` reports keys without rows."""

    def __init__(self, pool: Pool, grid: Grid, late: int, silent: Silent | None = None) -> None:
        """Start without windows."""
        super().__init__(pool)
        pool.beside = grid.span == 1
        self.grid, self.late = grid, late
        self._panes = Panes(pool)
        self._nodes = Nodes(pool, self._panes, grid)
        self._silent = silent
        self._corrected: list[tuple[Times, Numbers]] = []
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
        first, last, panes = self.grid.panes(times, low, high)
        cells = self._panes.locate(panes, first, last, slots, rows.count)
        if low < self._covered:
            self._nodes.spoil(panes if first != last else np.array([first]))
        if low < self._open:
            old = np.flatnonzero(times < self._open)
            of = panes[old] if first != last else np.full(len(old), first)
            self._correct(of, slots[old])
            self.due = UNKNOWN
        return Placed(cells, late)

    @property
    def safe(self) -> int:
        """The end of the last window that has left, while windows stay; else the first open."""
        return self._open

    def close(self) -> Iterator[Closed]:
        """Windows that end at the watermark or before, and those corrected, by start."""
        first, began = self._last_closed + 1, self._begins
        self._bounds()
        if self._last_closed < first and not self._corrected:
            return
        self._nodes.merge(self._last_closed * self.grid.step + self.grid.span)
        live = self._nodes.panes()
        complete = self._windows(live, first, self._last_closed)
        corrected = distinct_pairs(self._corrected)
        self._corrected = []
        if self._silent is not None:
            until = self._begins
            if self.watermark == FAR:  # the end of a stream is no silence
                until = int(self.grid.starts(complete[-1:])[0]) if len(complete) else began
            held = (complete, np.unique(corrected[0]))
            complete = self._silent.windows(self.grid, *held, began, until)
        windows = np.union1d(complete, corrected[0]) if len(corrected[0]) else complete

        def choose(some: Times, slots: Numbers, cells: NDArray[np.intp]) -> Mask:
            wanted: Mask = cells.max(axis=1) > 0
            missed = None
            if self._silent is not None:
                missed = self._silent.choose(self.grid.starts(some), slots, wanted)
            if len(corrected[0]):
                fresh = np.isin(some, complete)[:, None]
                np.logical_and(wanted, fresh | _among(corrected, some, slots), out=wanted)
                missed = None if missed is None else missed & fresh
            return wanted if missed is None else np.logical_or(wanted, missed, out=wanted)

        yield from self._leaving(windows, self._nodes.cover, choose)
        self._nodes.drop(self._last_gone)
        if self._silent is not None:
            self._silent.forget(self._begins)

    def so_far(self, touched: Mask) -> Iterator[Closed]:
        """The windows that have begun and not ended."""
        live = self._nodes.panes()
        windows = self._windows(live, self._last_closed + 1, self.grid.begun(self.watermark))

        def changed(_: Times, __: Numbers, cells: NDArray[np.intp]) -> Mask:
            return np.asarray(touched[cells].any(axis=1), np.bool_)

        yield from self._leaving(windows, self._nodes.panes_only, changed)

    def used(self, slots: int) -> Mask:
        """Slots with a cell in any pane, or missed when they are silent."""
        used = self._panes.used(slots)
        return used if self._silent is None else used | self._silent.known(slots)

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots of panes; corrections name slots only between two closings."""
        self._panes.keep(slots)
        if self._silent is not None:
            self._silent.keep(slots)

    def save(self) -> dict[str, Any]:
        """Panes, slots and cells, and the corrections that have not left yet."""
        panes, slots, cells = self._panes.cells(self._nodes.panes())
        windows, corrected = distinct_pairs(self._corrected)
        return {
            "panes": panes,
            "slots": slots,
            "cells": cells,
            "corrected_windows": windows,
            "corrected_slots": corrected,
            **({} if self._silent is None else {"silent": self._silent.save()}),
        }

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take panes and corrections; the watermark is set by the caller before."""
        self._bounds()
        self._panes.load(np.array(arrays["panes"]), np.array(arrays["slots"]), cells)
        windows, slots = arrays["corrected_windows"], arrays["corrected_slots"]
        if len(windows):
            self._corrected = [(np.array(windows), np.array(slots))]
            self.due = UNKNOWN
        if self._silent is not None and "silent" in arrays:
            self._silent.load(arrays["silent"])

    @property
    def nbytes(self) -> int:
        """The bytes of the panes."""
        return self._panes.nbytes + (0 if self._silent is None else self._silent.nbytes)

    def _bounds(self) -> None:
        """What the watermark says of times, in whole numbers without bounds.

        A row before ``_gone`` is too late; a row before ``_open`` belongs to a closed window.
        """
        closed = self.grid.bounds(self.watermark)
        gone = self.grid.bounds(self.watermark - self.late) if self.late else closed
        self._last_closed, self._last_gone = closed.last, gone.last
        self._begins, self._covered = closed.begins, closed.covered
        self.due = min(closed.due, gone.due + self.late)
        self._gone = gone.begins
        self._open = closed.covered if self.late else self._gone

    def _correct(self, panes: Times, slots: Numbers) -> None:
        """Remember the closed windows, not yet gone, that hold these rows."""
        first, last = over(self.grid, panes)
        first = np.maximum(first, self._last_gone + 1)
        counts = np.maximum(np.minimum(last, self._last_closed) - first + 1, 0)
        windows = np.repeat(first, counts) + ramps(counts)
        self._corrected.append(distinct_pairs([(windows, np.repeat(slots, counts))]))

    def _windows(self, live: Times, first: int, last: int) -> Times:
        """The windows from first to last that have a pane, ascending."""
        if not len(live) or last < first:
            return np.zeros(0, np.int64)
        if self.grid.span == 1:
            return live[(live >= first) & (live <= last)]
        begin, end = over(self.grid, live)
        first, last = max(first, int(begin[0])), min(last, int(end[-1]))
        end = np.minimum(end, last)
        # Panes ascend, so do their windows: each pane adds those that the one before did not.
        begin = np.maximum(np.maximum(begin, first), np.concatenate([[first], end[:-1] + 1]))
        counts = np.maximum(end - begin + 1, 0)
        return np.repeat(begin, counts) + ramps(counts)

    def _leaving(self, windows: Times, made_of: MadeOf, choose: _Choose) -> Iterator[Closed]:
        """The chosen among windows and slots, some windows at a time, merged of their layers."""
        wide = self._panes.width
        if self._silent is not None:
            wide = max(wide, len(self._silent))
        at_once = max(1, MOST_CELLS // (wide * made_of.layers))
        for at in range(0, len(windows), at_once):
            some = windows[at : at + at_once]
            slots, cells = self._nodes.gather(made_of.numbers(some))
            if self._silent is not None:
                slots, cells = _widened(slots, cells, wide)
            rows = np.flatnonzero(choose(some, slots, cells))
            layers = cells.swapaxes(0, 1).reshape(cells.shape[1], -1)
            for part in self.pool.portions(rows, len(layers)):
                window, slot = np.divmod(part, len(slots))
                # np.take gives rows in one piece, which sums four times faster than columns.
                found = np.take(layers, part, axis=1)
                take = self.pool.cells.take
                state = take(found[0]) if len(layers) == 1 else take(found).merge()
                of = some[window]
                yield Closed(slots[slot], self.grid.starts(of), self.grid.ends(of), state)


def _among(pairs: tuple[Times, Numbers], windows: Times, slots: Numbers) -> Mask:
    """Where windows × slots are among (window, slot) pairs."""
    chosen = np.zeros((len(windows), len(slots)), np.bool_)
    mine = np.isin(pairs[0], windows)
    window = np.searchsorted(windows, pairs[0][mine])
    chosen[window, np.searchsorted(slots, pairs[1][mine])] = True
    return chosen


def _widened(
    slots: Numbers, cells: NDArray[np.intp], wide: int
) -> tuple[Numbers, NDArray[np.intp]]:
    """The same for all slots there are."""
    wider = np.zeros((*cells.shape[:2], wide), np.intp)
    wider[:, :, slots] = cells
    return np.arange(wide), wider
