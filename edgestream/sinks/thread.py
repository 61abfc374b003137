"""A thread of its own for a sink that touches the disk: the event loop never waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class OneThread:
    """Runs one call after the other in one thread; a call that was begun is always finished."""

    def __init__(self, name: str) -> None:
        """The thread starts with the first call."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it in the thread and wait for the result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, partial(function, *args, **kwargs))

    def stop(self) -> None:
        """End the thread after the calls that were begun."""
        self._executor.shutdown(wait=False)
