"""What has been read and not yet processed: bounded in bytes, so that reading waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgestream.batch import Batch
from edgestream.component import Payloads

SEEN = 64
"""So many items of other sources are passed over in the search for one of the same."""
LIMIT = 4 * 1024 * 1024
"""Bytes read but not durable; reading stops beyond."""
ROOM = 1024 * 1024
"""Bytes read but not processed; reading stops beyond. Small messages, taken apart as they are here,
hold more than twice as much."""


@dataclass(frozen=True, slots=True)
class Part:
    """Payloads of an item from ``at`` on: they were those from ``row`` on of an earlier read."""

    at: int
    row: int
    position: Mapping[str, Any]
    received: int


@dataclass(frozen=True, slots=True)
class Item:
    """One read of a source.

    ``position`` is just after it; ``opening`` and ``index`` say which read of which connection it
    was, for `Source.commit`. ``parts`` says what it was made of, where it is not one read.
    """

    source: str
    data: Payloads | Batch
    position: Mapping[str, Any]
    size: int = 0
    opening: int = 0
    index: int = 0
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """A bounded source has nothing more to give."""

    source: str


class Inbox:
    """A queue in bytes between the readers and the task."""

    def __init__(self) -> None:
        """Empty."""
        self._items: deque[Item | Ended] = deque()
        self._bytes = 0
        self._ticked = False
        self.ready = asyncio.Event()
        self._room = asyncio.Event()

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)

    def tick(self) -> None:
        """Time has passed: whoever takes items looks at the clock."""
        self._ticked = True
        self.ready.set()

    def ticked(self) -> bool:
        """Whether time has passed since this was last asked."""
        ticked, self._ticked = self._ticked, False
        return ticked

    async def more(self, *, wait: bool) -> None:
        """Wait until something comes or time has passed; where not to ``wait``, not at all."""
        self.ready.clear()
        if wait:
            await self.ready.wait()

    async def put(self, item: Item | Ended) -> None:
        """Add an item, then wait while there is too much."""
        self._items.append(item)
        self.ready.set()
        if isinstance(item, Item):
            self._bytes += item.size
        while self._bytes > ROOM:
            self._room.clear()
            await self._room.wait()

    def take(self) -> Item | Ended | None:
        """The next item, if there is one."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, Item):
            self._bytes -= item.size
            if self._bytes <= ROOM:
                self._room.set()
        return item

    def take_more(self, source: str, rows: int, size: int) -> list[Item]:
        """The next items of a source, up to so many rows and bytes; others stay where they are."""
        found: list[Item] = []
        others: list[Item | Ended] = []
        while self._items and rows > 0 and size > 0 and len(others) < SEEN:
            item = self._items[0]
            if not isinstance(item, Item) or item.source != source:
                others.append(self._items.popleft())
                continue
            rows, size = rows - len(item.data), size - item.size
            if rows < 0 or size < 0:
                break
            found.append(item)
            self.take()
        self._items.extendleft(reversed(others))
        return found


def size_of(data: Payloads | Batch) -> int:
    """Roughly the bytes an item holds."""
    if isinstance(data, Payloads):
        return len(data.raw) or sum(map(len, data.payloads))
    return len(data) * 8 * (len(data.columns) + 1)
