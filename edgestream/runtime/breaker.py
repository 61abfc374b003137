"""A breaker for each step: a good stream is not drained into dead letters.

Rule: it opens when more than the tolerated share of the last rows of a step was bad, those before
the first row counting as good, so that the same rows always open it at the same row. While it is
open nothing more goes through; after a pause, which doubles up to an hour, one block is let
through on trial: if that is good, it closes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from edgestream.clock import SECOND, Clock
from edgestream.config.values import nanos
from edgestream.errors import EXIT_DATA, Fatal
from edgestream.graph import Graph
from edgestream.runtime.status import StepStatus
from edgestream.spec import DeadLetters
from edgestream.store.letters import DeadLetter

LONGEST = 3_600 * SECOND


class Breaker:
    """Counts the bad rows of one step."""

    def __init__(self, step: str, limits: DeadLetters, clock: Clock) -> None:
        """Closed."""
        self.step = step
        self.open = False
        self.why = ""
        self.until = 0
        self.opened = 0
        self.limits = limits
        self._clock = clock
        self._pause = int(nanos(limits.retry_after))
        self._trial = False
        self._last = np.zeros(limits.within, np.bool_)
        self._any = False

    def observe(self, rows: int, bad: Collection[int] = (), reason: str = "") -> None:
        """Count rows, of which those at ``bad`` were bad; ``reason`` is why one of them was."""
        if not rows or not (bad or self._any or self._trial):
            return
        within, tolerated = self.limits.within, self.limits.tolerance
        seen = np.concatenate((self._last, np.zeros(min(rows, 2 * within), np.bool_)))
        if bad:
            seen = np.concatenate((self._last, np.zeros(rows, np.bool_)))
            seen[within + np.fromiter(bad, np.int64, len(bad))] = True
        sums = np.concatenate(([0], np.cumsum(seen)))
        worst = int((sums[within:] - sums[:-within]).max())
        self._last = seen[-within:]
        self._any = bool(self._last.any())
        if self._trial:
            self._judge(rows, len(bad), tolerated, reason)
        elif worst > tolerated * within:
            words = f"{worst} of the last {within:,} rows were bad"
            self._trip(words, tolerated, reason)

    def again(self) -> None:
        """Let one block through on trial."""
        self.open, self._trial = False, True
        self._last = np.zeros_like(self._last)
        self._any = False

    async def closed(self, status: StepStatus, ending: Callable[[], bool | None]) -> bool:
        """Wait while it is open; False where the pipeline stops meanwhile.

        ``ending`` says True where it is stopping, False where its sources have ended: nothing
        better will come then, which is a `Fatal`.
        """
        while self.open:
            status.change("waiting", self.why)
            end = ending()
            if end:
                return False
            if self.limits.when_exceeded == "stop" or end is not None:
                raise Fatal(self.why, EXIT_DATA)
            left = self.until - self._clock.monotonic()
            if left <= 0:
                self.again()
                status.change("connected")
            else:
                await self._clock.sleep(min(left, SECOND // 10))
        return True

    def _judge(self, rows: int, bad: int, tolerated: float, reason: str) -> None:
        self._trial = False
        if bad > tolerated * rows:
            self._pause = min(2 * self._pause, LONGEST)
            self._trip(f"{bad} of {rows:,} rows on trial were bad", tolerated, reason)
        else:
            self._pause = int(nanos(self.limits.retry_after))
            self.why = ""

    def _trip(self, words: str, tolerated: float, reason: str) -> None:
        self.open = True
        self.opened += 1
        self.until = self._clock.monotonic() + self._pause
        self.why = (
            f"{self.step}: {words} (tolerated: {tolerated:.0%}); the last: {reason}; "
            "look at them with: edgestream dlq ls"
        )


class Breakers:
    """The breakers of a pipeline's sources and steps; those of sinks are with their writers."""

    def __init__(self, limits: DeadLetters, clock: Clock) -> None:
        """None yet: most steps never see a bad row."""
        self._limits = limits
        self._clock = clock
        self.paused = ""
        """Why nothing is processed now."""
        self._made: dict[str, Breaker] = {}
        self._seen: Counter[str] = Counter()

    @property
    def opened(self) -> Mapping[str, Breaker]:
        """Those that stand in the way."""
        return {name: breaker for name, breaker in self._made.items() if breaker.open}

    def made(self) -> Mapping[str, Breaker]:
        """All that ever saw a bad row."""
        return self._made

    async def wait(self, graph: Graph, ready: asyncio.Event, log: logging.Logger) -> None:
        """Wait a moment while some are open; raises `Fatal` where the pipeline shall not wait."""
        opened = self.opened
        why = "; ".join(breaker.why for breaker in opened.values())
        when = self._limits.when_exceeded
        ends = all(entry.component.total() is not None for entry in graph.entries.values())
        if when == "stop" or (when == "auto" and ends):
            raise Fatal(why, EXIT_DATA)
        if why != self.paused:
            log.error("%s; paused", why)
        self.paused = why
        ready.clear()
        await ready.wait()
        for breaker in opened.values():
            if breaker.until <= self._clock.monotonic():
                breaker.again()
        if not self.opened:
            self.paused = ""
            log.warning("going on with one block on trial")

    def payloads(self, source: str, count: int, rejected: Mapping[int, str]) -> None:
        """What a source gave, and which of it could not be read."""
        if rejected or source in self._made:
            last = list(rejected.values())[-1] if rejected else ""
            self._of(source).observe(count, rejected, last)

    def rows(self, graph: Graph, letters: Sequence[DeadLetter]) -> None:
        """Rows on which steps failed; those they took since the last time came before."""
        if not letters and not self._made:
            return
        failed = Counter(letter.step for letter in letters if letter.stage == "operator")
        steps = [name for name in (*failed, *self._made) if name in graph.nodes]
        for step in dict.fromkeys(steps):
            came = graph.nodes[step].rows_in - self._seen[step]
            self._seen[step] += came
            bad = failed[step]
            reason = next((x.reason for x in reversed(letters) if x.step == step), "")
            self._of(step).observe(
                max(came, bad), range(max(came, bad) - bad, max(came, bad)), reason
            )

    def _of(self, step: str) -> Breaker:
        if step not in self._made:
            self._made[step] = Breaker(step, self._limits, self._clock)
        return self._made[step]
