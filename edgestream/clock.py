"""Time is an object: the runtime asks a clock, tests turn one by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol

SECOND = 1_000_000_000


def until_next(every: int, now: int) -> int:
    """Nanoseconds to the next multiple of ``every``, later than ``now``.

    What wakes up now and then does so at such moments, so that all of it wakes together: a machine
    that slept has lost its caches, and each wake costs as much as a hundred messages.
    """
    return every - now % every


class Clock(Protocol):
    """Wall time for stamps, monotonic time for timers, and a way to wait."""

    def wall(self) -> int:
        """Nanoseconds since the Unix epoch; may jump."""

    def monotonic(self) -> int:
        """Nanoseconds that never go back."""

    async def sleep(self, nanos: int) -> None:
        """Wait for ``nanos`` nanoseconds."""


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic(self) -> int:
        """Nanoseconds that never go back."""
        return time.monotonic_ns()

    async def sleep(self, nanos: int) -> None:
        """Wait in the running event loop."""
        await asyncio.sleep(nanos / SECOND)


class ManualClock:
    """A clock that moves only when told to; sleepers wake in the order of their times."""

    def __init__(self, start: int = 0) -> None:
        """Start at ``start`` nanoseconds."""
        self._now = start
        self._sleepers: list[tuple[int, int, asyncio.Event]] = []
        self._order = itertools.count()

    def wall(self) -> int:
        """The time it was last moved to."""
        return self._now

    def monotonic(self) -> int:
        """The time it was last moved to."""
        return self._now

    async def sleep(self, nanos: int) -> None:
        """Wait until the clock has been moved past now + ``nanos``."""
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self._now + nanos, next(self._order), woken))
        await woken.wait()

    async def advance(self, nanos: int) -> None:
        """Move on by ``nanos``, letting each sleeper run at its own time."""
        target = self._now + nanos
        while self._sleepers and self._sleepers[0][0] <= target:
            self._now, _, woken = heapq.heappop(self._sleepers)
            woken.set()
            await asyncio.sleep(0)
        self._now = target
        await asyncio.sleep(0)
