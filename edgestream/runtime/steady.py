"""A wall clock that jumps: noticed, counted, and never taken for the time that rows arrived.

Rules: timers go by the monotonic clock and notice nothing. Rows without a time of their own are
stamped by a clock that follows the wall clock but never goes back: where the wall clock is set
back, it runs on from where it was, because earlier windows are closed and would take no more rows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from edgestream.clock import SECOND, Clock

JUMP = 5 * SECOND
"""A clock that is set by less is being steered, as NTP does all day."""
SANE = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * SECOND
"""No machine runs this before it was written: a clock that says so has not been set yet."""
PATIENCE = 300 * SECOND
"""So long a start waits for a clock to be set; there are places where nobody ever sets it."""


class SteadyClock:
    """A clock whose wall time follows another's, but never goes back."""

    def __init__(self, clock: Clock) -> None:
        """Follow ``clock``."""
        self._clock = clock
        self._wall = clock.wall()
        self._at = clock.monotonic()

    def wall(self) -> int:
        """Nanoseconds since the epoch, or more where the clock was set back."""
        wall, at = self._clock.wall(), self._clock.monotonic()
        steady = self._wall + at - self._at
        # Steered a little, it stands still until it fits; set back, it runs on.
        self._wall = steady if wall < steady - JUMP else max(wall, self._wall)
        self._at = at
        return self._wall

    def not_before(self, wall: int) -> None:
        """Go on from ``wall`` at least: what was saved is further than the clock now says."""
        self._wall = max(self.wall(), wall)

    def monotonic(self) -> int:
        """Nanoseconds that never go back."""
        return self._clock.monotonic()

    async def sleep(self, nanos: int) -> None:
        """Wait for ``nanos`` nanoseconds."""
        await self._clock.sleep(nanos)


class Jumps:
    """Watches wall and monotonic clock part: each jump is counted, and told of once."""

    def __init__(self, clock: Clock, log: logging.Logger) -> None:
        """Begin to watch."""
        self.count = 0
        self._clock = clock
        self._log = log
        self._offset = clock.wall() - clock.monotonic()

    def look(self) -> None:
        """Compare them."""
        offset = self._clock.wall() - self._clock.monotonic()
        jump = offset - self._offset
        if abs(jump) > JUMP:
            self.count += 1
            way = "forward" if jump > 0 else "back"
            self._log.warning(
                "the clock was set %s by %.0f s; watermarks stay where they are, and timers go on",
                way,
                abs(jump) / SECOND,
            )
        self._offset = offset if abs(jump) > JUMP else self._offset + jump


async def until_set(clock: Clock, told: asyncio.Event, notice: Callable[[str], None]) -> None:
    """Wait while the clock was not set yet (no RTC), not for ever, and no longer than ``told``."""
    if clock.wall() >= SANE:
        return
    year = datetime.fromtimestamp(clock.wall() // SECOND, UTC).year
    notice(f"the clock says {year}: waiting until it is set, up to {PATIENCE // SECOND} s")
    end = clock.monotonic() + PATIENCE
    while clock.wall() < SANE and clock.monotonic() < end and not told.is_set():
        await clock.sleep(SECOND // 2)
    notice("")
