"""The keys that are missed: known from a window with rows on, until they are silent for too long.

What is remembered of a key is the start of its last window with rows among those that have left,
so that what is said of a window does not depend on rows that came after it.
"""

from __future__ import annotations

import numpy as np

from edgestream.window.grid import Grid
from edgestream.window.kind import UNKNOWN, Mask, Times
from edgestream.window.lookup import Numbers


class Silent:
    """The last window with rows of each key; ``forget`` is how long after it a key is missed."""

    def __init__(self, forget: int) -> None:
        """Start without keys."""
        self._forget = forget
        self._last = np.full(0, UNKNOWN)

    def __len__(self) -> int:
        """For how many slots there is room."""
        return len(self._last)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return int(self._last.nbytes)

    def windows(self, grid: Grid, live: Times, late: Times, low: int, high: int) -> Times:
        """The windows that have just ended, and have rows or miss a key.

        They begin from ``low`` on and before ``high``; ``live`` are those of them that have rows,
        ``late`` those of before that have more now.
        """
        known = self._last[self._last != UNKNOWN]
        newest = known[np.argmax(known) :][:1] if len(known) else known
        starts = np.unique(np.append(grid.starts(np.append(late, live)), newest))
        if not len(starts):
            return live
        # Each stretch begins where a window has rows and is as long as keys are missed.
        begins = np.append(0, np.flatnonzero(np.diff(starts) > self._forget) + 1)
        ends = np.append(begins[1:], len(starts)) - 1
        stretches = [live]
        for first, last in zip(starts[begins].tolist(), starts[ends].tolist(), strict=True):
            first, last = max(first, low), min(last + self._forget, high - 1)  # noqa: PLW2901
            if first <= last:
                stretches.append(grid.between(first, last))
        return np.unique(np.concatenate(stretches))

    def choose(self, starts: Times, slots: Numbers, held: Mask) -> Mask:
        """Where windows × slots have no rows and are missed; windows come in their order."""
        if len(slots) > len(self._last):
            more = np.full(len(slots) - len(self._last), UNKNOWN)
            self._last = np.concatenate([self._last, more])
        before = np.where(held, starts[:, None], UNKNOWN)
        before = np.maximum.accumulate(np.vstack([self._last[None, slots], before]), axis=0)
        self._last[slots] = before[-1]
        before = before[:-1]
        missed: Mask = ~held & (before != UNKNOWN)
        return missed & (
            starts[:, None] - np.where(missed, before, starts[:, None]) <= self._forget
        )

    def forget(self, begins: int) -> None:
        """Windows to come begin at ``begins`` or after: keys that they do not miss are unknown."""
        self._last[self._last < begins - self._forget] = UNKNOWN

    def known(self, slots: int) -> Mask:
        """Which of the slots are missed when they are silent."""
        known = np.zeros(slots, np.bool_)
        some = min(slots, len(self._last))
        known[:some] = self._last[:some] != UNKNOWN
        return known

    def keep(self, slots: Numbers) -> None:
        """All other slots are gone; those kept, ascending, become 0, 1, 2, …"""
        self._last = np.append(self._last, np.full(int(slots.max(initial=0)) + 1, UNKNOWN))[slots]

    def save(self) -> Times:
        """The last windows."""
        return self._last.copy()

    def load(self, last: Times) -> None:
        """Become what gave them."""
        self._last = np.array(last)
