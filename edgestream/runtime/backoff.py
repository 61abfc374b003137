"""Waiting longer after each failure, with full jitter, on the injected clock.

Source: "Exponential Backoff And Jitter" (full jitter): a random time up to base · 2^n, capped.
"""

from __future__ import annotations

import random

from edgestream.clock import SECOND, Clock

BASE = SECOND // 5
CAP = 30 * SECOND


class Backoff:
    """The pauses between the tries of one component."""

    def __init__(self, clock: Clock, random_source: random.Random | None = None) -> None:
        """Wait on ``clock``."""
        self._clock = clock
        self._random = random_source or random.Random()  # noqa: S311 - jitter is no secret
        self.failures = 0

    def reset(self) -> None:
        """It works again: the next pause is a short one."""
        self.failures = 0

    async def wait(self) -> None:
        """Pause before the next try; never less than a twentieth of a second."""
        ceiling = min(CAP, BASE * 2 ** min(self.failures, 16))
        self.failures += 1
        await self._clock.sleep(max(SECOND // 20, int(self._random.uniform(0, ceiling))))
