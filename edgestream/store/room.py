"""Waiting for room on the disk: the ballast first, then patience, until the pipeline stops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edgestream.store.space import Space, is_full

T = TypeVar("T")
PAUSE = 0.5
"""Seconds between two looks at a full disk."""


class Room:
    """Whether the disk of a state file is full; asked by the loop, found out by the thread."""

    def __init__(
        self, path: Path, tell: Callable[..., None], notice: Callable[[str], None]
    ) -> None:
        """Of the file ``path``; ``tell`` calls in the loop, ``notice`` takes the news there."""
        self.free = asyncio.Event()
        self.free.set()
        self.full = False
        self._path = path
        self._tell = tell
        self._notice = notice
        self._space = Space(path)
        self._hurry = threading.Event()

    def hurry(self) -> None:
        """Wait no more: what finds the disk full fails (called in the loop)."""
        self._hurry.set()
        self.free.set()

    def keep_ballast(self) -> None:
        """Make sure of the room for a bad day."""
        self._space.keep()

    def until_written(self, call: Callable[[], T]) -> T:
        """Call until the disk has room for it; raises what else it raises."""
        while True:
            try:
                return call()
            except Exception as error:
                if not is_full(error):
                    raise
                if not self.full:
                    self.full = True
                    self._tell(self.free.clear)
                    self._tell(self._notice, full_disk(self._path))
                if not self._space.release() and self._hurry.wait(PAUSE):
                    raise

    def look(self) -> None:
        """See whether there is room again."""
        if self._space.enough():
            self.full = False
            self._space.keep()
            self._tell(self.free.set)
            self._tell(self._notice, "")


def full_disk(path: Path) -> str:
    """What is said while the disk is full."""
    return f"the disk is full: {path} cannot grow, reading pauses (nothing acknowledged is lost)"
