"""What operators need from outside the stream, read again from time to time."""

from __future__ import annotations

import asyncio
import logging

from edgestream.clock import Clock
from edgestream.errors import Retry
from edgestream.operators.protocols import Refreshed


class Refresher:
    """Keeps one operator fresh."""

    def __init__(self, name: str, operator: Refreshed, clock: Clock, log: logging.Logger) -> None:
        """Take the step's id with its component's name, and the operator."""
        self.step = name.partition(" ")[0]
        self.failures = 0
        """Times that it could not be read, or that what was read could not be taken."""
        self._name = name
        self._operator = operator
        self._clock = clock
        self._log = log
        self._failed = False

    async def once(self) -> None:
        """Load beside the stream, take between two batches; a failure is logged the first time."""
        try:
            self._operator.take(await asyncio.to_thread(self._operator.load))
        except Retry as error:
            self.failures += 1
            if not self._failed:
                self._log.warning("%s: %s; what was read before stays", self._name, error)
            self._failed = True
        else:
            if self._failed:
                self._log.warning("%s: read again", self._name)
            self._failed = False

    async def run(self) -> None:
        """Again and again."""
        while every := self._operator.refresh_every():
            await self._clock.sleep(every)
            await self.once()
