"""Windows of the last so many rows of a key, one every few rows: hopping by count.

A pane is as many rows as count and hop have in common; every window is the last few panes of its
key. Those that windows to come need are kept in a ring for each key, the newest last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.pool import Pool
from edgestream.window.current import distinct, heads, just_after
from edgestream.window.grid import ramps
from edgestream.window.kind import UNKNOWN, Closed, Kind, Mask, Placed, Rows, Times
from edgestream.window.lookup import Numbers
from edgestream.window.ordered import Sorted, finished, late


class Recounted(Kind):
    """The last ``count`` rows every ``every`` rows: at first fewer, at the end what is left."""

    ordered = True
    soonest = 0

    def __init__(self, pool: Pool, count: int, every: int) -> None:
        """Derive the pane."""
        super().__init__(pool)
        self.pane = math.gcd(count, every)
        self.step, self.span = every // self.pane, count // self.pane
        self._ring = np.zeros((0, self.span), np.intp)
        self._starts = np.zeros((0, self.span), np.int64)
        self._last = np.zeros(0, np.int64)
        self._since = np.zeros(0, np.int64)  # panes filled since the last window
        self._shown = np.zeros(0, np.int64)
        self._leaving: list[tuple[Numbers, Times, Times, NDArray[np.intp]]] = []
        self._gone: list[Numbers] = []

    @property
    def safe(self) -> int:
        """Rows from the watermark on are not late."""
        return self.watermark

    def place(self, rows: Rows) -> Placed:
        """Cut the rows of each key into panes, and note the windows that these complete."""
        self._fit(rows.count)
        out = late(self, rows)
        came = Sorted(rows, out)
        if not len(came.slots):
            return Placed(np.zeros(0, np.intp), out)
        first = heads(came.slots)
        slots = came.slots[first]
        held = self.pool.cells.rows[self._ring[slots, -1]] % self.pane
        lengths = np.diff(np.append(first, len(came.slots)))
        place = np.arange(len(came.slots)) - np.repeat(first - held, lengths)
        # Counted from the newest pane of before, if that takes more rows; else from after it.
        pane = place // self.pane + np.repeat((held == 0).astype(np.intp), lengths)
        news = pane[first + lengths - 1]
        begins = np.cumsum(self.span + news) - (self.span + news)
        cells, starts = self._longer(slots, begins, news)
        fresh = np.flatnonzero((place % self.pane == 0) & (pane > 0))
        at = np.repeat(begins, lengths) + self.span - 1 + pane
        cells[at[fresh]] = self.pool.lend(len(fresh))
        starts[at[fresh]] = came.times[fresh]
        full = np.flatnonzero(place % self.pane == self.pane - 1)
        self._complete(came, full, at[full], cells, starts)
        self._remember(slots, begins, news, cells, starts)
        self._last[slots] = came.times[first + lengths - 1]
        return Placed(came.back(cells[at]), out)

    def close(self) -> Iterator[Closed]:
        """The windows that are complete, and of streams that have ended what is left."""
        slots = finished(self, np.flatnonzero(self._ring[:, -1]))
        if len(slots):
            begun = self.pool.cells.rows[self._ring[slots, -1]] % self.pane > 0
            rest = slots[begun | (self._since[slots] > 0)]
            self._leave(rest, self._ring[rest], self._starts[rest], just_after(self._last[rest]))
            self._gone.append(self._ring[slots].ravel())
            self._ring[slots] = self._since[slots] = 0
        yield from self._merged()
        for gone in self._gone:
            self.pool.give_back(gone[gone > 0])
        self._gone = []

    def used(self, slots: int) -> Mask:
        """Slots with a pane."""
        self._fit(slots)
        used: Mask = self._ring[:slots, -1] > 0
        return used

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots of rings."""
        self._fit(int(slots.max(initial=0)) + 1)
        self._ring, self._starts = self._ring[slots], self._starts[slots]
        self._last, self._since = self._last[slots], self._since[slots]
        self._shown = self._shown[slots]

    def save(self) -> dict[str, Any]:
        """The rings, with empty places where a key has few panes."""
        held = self._ring > 0
        return {
            "cells": self._ring[held],
            "held": held,
            "starts": self._starts.copy(),
            "last": self._last.copy(),
            "since": self._since.copy(),
            "shown": self._shown.copy(),
        }

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take the rings."""
        held = np.array(arrays["held"]).reshape(-1, self.span)
        self._ring = np.zeros(held.shape, np.intp)
        self._ring[held] = cells
        self._starts = np.array(arrays["starts"]).reshape(-1, self.span)
        self._last, self._since = np.array(arrays["last"]), np.array(arrays["since"])
        self._shown = np.array(arrays["shown"])

    @property
    def nbytes(self) -> int:
        """The bytes of the rings."""
        return self._ring.nbytes + self._starts.nbytes + 3 * self._last.nbytes

    def _fit(self, slots: int) -> None:
        more = 2 * slots - len(self._last)
        if slots > len(self._last):
            self._ring = np.concatenate([self._ring, np.zeros((more, self.span), np.intp)])
            self._starts = np.concatenate([self._starts, np.zeros((more, self.span), np.int64)])
            self._last = np.append(self._last, np.zeros(more, np.int64))
            self._since = np.append(self._since, np.zeros(more, np.int64))
            self._shown = np.append(self._shown, np.full(more, UNKNOWN))

    def _longer(self, slots: Numbers, begins: Numbers, news: Numbers) -> tuple[Numbers, Times]:
        """The rings of slots one after the other, each with room for its new panes."""
        size = int(begins[-1] + self.span + news[-1])
        cells, starts = np.zeros(size, np.intp), np.zeros(size, np.int64)
        at = begins[:, None] + np.arange(self.span)
        cells[at], starts[at] = self._ring[slots], self._starts[slots]
        return cells, starts

    def _complete(
        self, came: Sorted, full: Numbers, at: Numbers, cells: Numbers, starts: Times
    ) -> None:
        """Note the windows that end with a full pane; ``full`` are the last rows of panes."""
        if not len(full):
            return
        slots = came.slots[full]
        first = heads(slots)
        counts = np.diff(np.append(first, len(full)))
        since = self._since[slots] + ramps(counts) + 1
        self._since[slots] = since % self.step  # the last one of each slot stays
        ends = since % self.step == 0
        panes = at[ends][:, None] + np.arange(1 - self.span, 1)
        self._leave(slots[ends], cells[panes], starts[panes], just_after(came.times[full[ends]]))

    def _remember(
        self, slots: Numbers, begins: Numbers, news: Numbers, cells: Numbers, starts: Times
    ) -> None:
        """Keep the newest panes of slots; those before are free once windows have left."""
        at = (begins + news)[:, None] + np.arange(self.span)
        self._ring[slots], self._starts[slots] = cells[at], starts[at]
        self._gone.append(cells[np.repeat(begins, news) + ramps(news)])

    def _leave(self, slots: Numbers, cells: NDArray[np.intp], starts: Any, ends: Times) -> None:
        """Note windows, by slot and end, with their panes."""
        if len(slots):
            oldest = starts[np.arange(len(slots)), (cells > 0).argmax(axis=1)]
            shown = distinct(slots, oldest, self._shown)
            self._shown[slots] = shown
            self._leaving.append((slots, shown, ends, cells))

    def _merged(self) -> Iterator[Closed]:
        """The windows that were noted, by start and slot."""
        if not self._leaving:
            return
        pairs = zip(*self._leaving, strict=True)
        slots, starts, ends, cells = (np.concatenate(part) for part in pairs)
        self._leaving = []
        order = np.lexsort((slots, starts))
        for some in self.pool.portions(order, self.span):
            state = self.pool.cells.take(np.ascontiguousarray(cells[some].T)).merge()
            ends_of = np.maximum(ends[some], starts[some] + 1000)
            yield Closed(slots[some], starts[some], ends_of, state)
