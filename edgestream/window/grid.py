"""Where windows lie that are the same for all keys: a grid of numbered windows and their panes.

A pane is the piece of time that windows have in common; a row is added once, to its pane. Window
``k`` is made of the ``span`` panes from ``k * step`` on. Numbers grow with time, and need not
follow each other. `Even` is the grid of windows of one length; a calendar is another.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from edgestream.window.kind import Times
from edgestream.window.lookup import Numbers

Pairs: TypeAlias = tuple[Times, Numbers]
"""Windows and slots, pair by pair."""

EARLIEST = -6_857_222_400_000_000_000  # 1752-09-14
LATEST = 7_258_118_400_000_000_000  # 2200-01-01
"""Times outside have no room for a window in 64 bits of nanoseconds."""
_ROOM = 800 * 86_400_000_000_000
"""Beyond the last row by so much, every window of a calendar has ended."""
_TWELVE_YEARS = 4383 * 86_400_000_000_000


class Bounds(NamedTuple):
    """What a watermark says of the windows of a grid."""

    last: int
    """The last window that has ended."""
    begins: int
    """Where the first begins that has not."""
    covered: int
    """A row before belongs to a window that has ended."""
    due: int
    """The end of the first that has not."""


class Grid(ABC):
    """Numbered windows over all of time."""

    step = 1
    span = 1

    @abstractmethod
    def panes(self, times: Times, low: int, high: int) -> tuple[int, int, Times]:
        """(first, last, panes) of rows between ``low`` and ``high``; of one pane, any panes."""

    @abstractmethod
    def bounds(self, watermark: int) -> Bounds:
        """What a watermark says."""

    @abstractmethod
    def ended(self, marks: Times) -> Times:
        """For each of many watermarks the last window that has ended."""

    @abstractmethod
    def begun(self, moment: int) -> int:
        """The last window that begins before a moment."""

    @abstractmethod
    def starts(self, windows: Times) -> Times:
        """Where windows begin."""

    @abstractmethod
    def ends(self, windows: Times) -> Times:
        """Where windows end."""

    @abstractmethod
    def between(self, low: int, high: int) -> Times:
        """The windows that begin from ``low`` on and not after ``high``, ascending."""


class Even(Grid):
    """Windows of ``size``, one every ``every`` nanoseconds, aligned to the epoch."""

    def __init__(self, size: int, every: int) -> None:
        """Derive the pane: what size and hop have in common."""
        self.size, self.every = size, every
        self._pane = math.gcd(size, every)
        self.step = every // self._pane
        self.span = size // self._pane

    def panes(self, times: Times, low: int, high: int) -> tuple[int, int, Times]:
        """By division, unless all rows lie in one pane."""
        first, last = low // self._pane, high // self._pane
        return first, last, times if first == last else times // self._pane

    def bounds(self, watermark: int) -> Bounds:
        """In whole numbers without bounds: the watermark may be anything."""
        last = (watermark - self.size) // self.every
        begins = (last + 1) * self.every
        return Bounds(last, begins, last * self.every + self.size, begins + self.size)

    def ended(self, marks: Times) -> Times:
        """By division."""
        return (within(marks) - self.size) // self.every

    def begun(self, moment: int) -> int:
        """By division."""
        return (moment - 1) // self.every

    def starts(self, windows: Times) -> Times:
        """By multiplication."""
        return windows * self.every

    def ends(self, windows: Times) -> Times:
        """By multiplication."""
        return windows * self.every + self.size

    def between(self, low: int, high: int) -> Times:
        """All numbers between."""
        return np.arange(-(-low // self.every), high // self.every + 1)


def within(marks: Times) -> Times:
    """Watermarks where windows of any length have room in 64 bits."""
    return np.clip(marks, EARLIEST - _ROOM, LATEST + _TWELVE_YEARS)


def over(grid: Grid, panes: Times) -> tuple[Times, Times]:
    """The first and the last window that hold each pane."""
    return -((grid.span - 1 - panes) // grid.step), panes // grid.step


def ramps(counts: Times) -> Times:
    """0, 1, … up to each count, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)


def distinct_pairs(parts: Sequence[Pairs]) -> Pairs:
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
