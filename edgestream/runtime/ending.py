"""The end of a pipeline, in time: what sources and sinks may take of the grace.

Rules: rows that are in the state file are safe, so a stop waits for no sink that is away; one that
answers is waited for, a hung one at most to the end of the grace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence

from edgestream.runtime.writer import Writer

CLOSING = 1.0
"""Seconds in which a connection that is told to close has to do it."""
OPENING = 1.0
"""Seconds for a sink that has never been reached: it may be just about to be."""
_LOOK = 0.1


class Grace:
    """The time that a stop may take, from the moment it was asked for."""

    def __init__(self) -> None:
        """Not asked for yet."""
        self.seconds = 25.0
        self._asked: float | None = None

    def begin(self) -> None:
        """The stop was asked for (again does not begin anew)."""
        self._asked = self._asked or time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since then."""
        return 0.0 if self._asked is None else time.monotonic() - self._asked

    @property
    def left(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self.seconds - self.spent)


async def written(
    writers: Sequence[Writer], writing: Sequence[asyncio.Task[None]], grace: Grace, *, durable: bool
) -> None:
    """Wait until the sinks have taken their rows, or those that have not are away or hang.

    Raises what a writer failed with.
    """
    pairs = list(zip(writers, writing, strict=True))
    while grace.left:
        for task in writing:
            if task.done():
                task.result()
        pending = [
            task
            for writer, task in pairs
            if not task.done() and not (durable and _away(writer, grace))
        ]
        if not pending:
            return
        await asyncio.wait(pending, timeout=min(_LOOK, grace.left))


def _away(writer: Writer, grace: Grace) -> bool:
    return writer.down or (writer.status.state == "connecting" and grace.spent > OPENING)


async def ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have closed what they hold; not for ever.

    What they fail with on the way out concerns nobody any more.
    """
    for task in tasks:
        task.cancel()
    if tasks:
        done, _ = await asyncio.wait(tasks, timeout=CLOSING)
        for task in done:
            if not task.cancelled():
                task.exception()
