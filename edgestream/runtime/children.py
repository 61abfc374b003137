"""The tasks of one pipeline: none outlives the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from edgestream.runtime.ending import ended


class Children:
    """Tasks that live and die together: the first failure ends all and is what is raised."""

    def __init__(self) -> None:
        """None yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Children:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all that are left."""
        await ended(self._tasks)

    def start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """One more."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        return task

    async def until(self, main: asyncio.Task[None]) -> None:
        """Wait for ``main``; whatever fails first is raised."""
        while True:
            for task in self._tasks:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    task.result()
            if main.done():
                return
            pending = {task for task in self._tasks if not task.done()}
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
