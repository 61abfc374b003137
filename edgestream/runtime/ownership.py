"""Whether this worker is still the one that may write and acknowledge, asked of its sinks.

The sinks are the only place where two workers on copies of one state meet: whoever opened last has
claimed them. Rules: no source is opened before each sink has been claimed, or cannot be reached;
one that another process holds is waited for, however long, for that may be the worker that was
here before. A process that stood still (frozen, or its machine asleep) lets go of its sinks, so
that one which waits for them gets them, and acknowledges nothing before they are its own again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from edgestream.clock import SECOND, Clock, until_next

STILL = SECOND // 2
"""A pause that another worker could have used to start."""
SHARE = 4
"""A process that computes is no frozen one, though a busy machine may give it a quarter only."""
BEAT = SECOND // 5
"""Between two looks at the time."""
GIVE_WAY = 2 * SECOND
"""So long a worker that stood still leaves its sinks to whoever waits for them."""
ANSWER = 5.0
"""Seconds in which a sink has to say that it is ours; one that is away must not stop reading."""


def _elapsed() -> int:
    """Nanoseconds, those in which the machine slept among them where the system counts them."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Pulse:
    """Counts how often the process stood still: time went by in which it did nothing."""

    def __init__(
        self,
        elapsed: Callable[[], int] = _elapsed,
        computed: Callable[[], int] = time.process_time_ns,
    ) -> None:
        """Begin now; `run` has to run, for a process that nobody looks at seems to stand still."""
        self._elapsed = elapsed
        self._computed = computed
        self._pauses = 0
        self._last = elapsed(), computed()

    def look(self) -> int:
        """How often it has stood still so far."""
        now = self._elapsed(), self._computed()
        idle = now[0] - self._last[0] - SHARE * (now[1] - self._last[1])
        self._pauses += idle > STILL
        self._last = now
        return self._pauses

    async def run(self) -> None:
        """Look for as long as the pipeline runs."""
        while True:
            self.look()
            await asyncio.sleep(until_next(BEAT, time.monotonic_ns()) / SECOND)


class Guard:
    """One sink's word on whether this worker may write; those that keep nobody out have none."""

    def __init__(self, pulse: Pulse, ask: Callable[[], None], *, keeps: bool) -> None:
        """``keeps``: the sink keeps another worker out; ``ask`` makes its writer flush."""
        self.keeps = keeps
        self.held = False
        """Whether another process holds the sink: its last word was `Held`."""
        self.asked: list[asyncio.Future[None]] = []
        self.claimed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the sink was opened, which claims it, or could not be reached."""
        self._pulse = pulse
        self._ask = ask
        self._pauses = pulse.look()

    @property
    def stood_still(self) -> bool:
        """Whether the process stood still since the sink was opened."""
        return self.keeps and self._pulse.look() != self._pauses

    async def give_way(self, clock: Clock) -> None:
        """Before it is opened: leave it to whoever waits for it, where the process stood still."""
        if self.stood_still:
            await clock.sleep(GIVE_WAY)
        self._pauses = self._pulse.look()

    def verified(self) -> asyncio.Future[None]:
        """Done once the sink has said, by a flush, that this worker may still write."""
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asked.append(asked)
        self._ask()
        return asked

    def opened(self) -> None:
        """The sink was opened."""
        if not self.claimed.done():
            self.claimed.set_result(None)

    def away(self) -> None:
        """It could not be reached: nobody waits for one that is away."""
        self.held = False
        self.opened()

    def flushed(self, count: int) -> None:
        """Tell those who asked before the flush."""
        answered, self.asked = self.asked[:count], self.asked[count:]
        for asked in answered:
            if not asked.done():
                asked.set_result(None)


class Ownership:
    """What all sinks that keep another worker out say of this one."""

    def __init__(self, pulse: Pulse, guards: Iterable[Guard] = ()) -> None:
        """Ask those of ``guards`` that can tell."""
        self._pulse = pulse
        self._guards = [guard for guard in guards if guard.keeps]
        self._sure = pulse.look()

    async def claimed(self) -> None:
        """Return once the sinks are claimed, or cannot be reached."""
        await self._answered([(guard, guard.claimed) for guard in self._guards])

    async def verified(self) -> None:
        """Return once the sinks say that no other worker has taken over, or do not answer."""
        pauses = self._pulse.look()
        await self._answered([(guard, guard.verified()) for guard in self._guards])
        self._sure = pauses

    async def sure(self) -> None:
        """The same at once, unless the process stood still since they were last asked."""
        while self._guards and self._pulse.look() != self._sure:
            await self.verified()

    async def _answered(self, asked: list[tuple[Guard, asyncio.Future[None]]]) -> None:
        while asked:
            await asyncio.wait([answer for _, answer in asked], timeout=ANSWER)
            asked = [(guard, answer) for guard, answer in asked if not answer.done()]
            if not any(guard.held for guard, _ in asked):
                return
