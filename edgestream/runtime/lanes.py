"""The two ways of rows to one sink: live rows in memory, late rows in the spool on disk.

Rows are live while the sink takes them. While it cannot be reached, or falls further behind than
memory holds, rows are late: only the state file has them. Each lane is numbered and delivered in
its own order, and a token names how far both have got.

Rule: of two rows with one key, the older is never written after the newer. A late row is offered
only after all live rows that were there before it; while late rows wait, a row goes ahead of them
only where its window is newer than every window among them (or where rows have no keys at all).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, Strings, concat
from edgestream.runtime.inbox import size_of
from edgestream.spec import Order
from edgestream.store.spool import Waiting
from edgestream.store.thin import newest_window, window_times

LIVE_BYTES = 1024 * 1024
"""So much of a sink's output is kept in memory beside the state file."""
ALONE_BYTES = 8 * 1024 * 1024
"""So much of it where no state file has it (best effort)."""
PAGE = 32
_LIVE_BITS = 35
"""Live numbers fill the lower bits of a token: 100 years at ten batches a second; late ones the 28
above, 300 days of nothing but late batches at that pace."""


def live_bytes(most: int, *, spooled: bool) -> int:
    """How much is kept in memory of a sink's output of which ``most`` bytes may wait."""
    return min(LIVE_BYTES if spooled else ALONE_BYTES, most)


def packed(live: int, late: int) -> int:
    """Both cursors as one number that never falls while neither does."""
    return late << _LIVE_BITS | live


def unpacked(seq: int) -> tuple[int, int]:
    """(live, late) of a token's number."""
    return seq & (1 << _LIVE_BITS) - 1, seq >> _LIVE_BITS


@dataclass(frozen=True, slots=True)
class Joined:
    """Rows that go to the sink in one operation; ``parts`` are the (number, rows) they came as."""

    batch: Batch
    parts: Sequence[tuple[int, int]]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.batch)

    def place(self, row: int) -> tuple[int, int]:
        """The number of the batch in which a row came, and its place there."""
        for number, count in self.parts:
            if row < count:
                return number, row
            row -= count
        raise IndexError(row)


@dataclass(frozen=True, slots=True)
class Group:
    """What goes to the sink together, up to number ``last`` of its lane."""

    batches: Sequence[Joined]
    last: int
    late: bool = False

    @classmethod
    def of(cls, numbered: Sequence[tuple[int, Batch]], *, late: bool = False) -> Group:
        """Of at least one numbered batch, in order."""
        return cls(together(numbered), numbered[-1][0], late)


def together(numbered: Sequence[tuple[int, Batch]]) -> list[Joined]:
    """The same rows in as few batches as can be: an operation of a far sink takes its time."""
    made: list[list[tuple[int, Batch]]] = []
    for number, batch in numbered:
        if made and _shape(made[-1][0][1]) == _shape(batch):
            made[-1].append((number, batch))
        else:
            made.append([(number, batch)])
    return [
        Joined(concat([batch for _, batch in alike]), [(n, len(batch)) for n, batch in alike])
        for alike in made
    ]


def _shape(batch: Batch) -> tuple[object, ...]:
    kinds = {
        name: "text" if isinstance(column, Strings) else column.dtype.str
        for name, column in batch.columns.items()
    }
    return (batch.keys, tuple(kinds.items()))


class Live:
    """Live rows: numbers only grow, and gaps among them mean nothing."""

    def __init__(self, limit: int) -> None:
        """Keep about ``limit`` bytes."""
        self.head = 0
        self.sent = 0
        self.old_head = 0
        """The last number of an earlier run: those up to it are on disk, not in memory."""
        self._limit = limit
        self._old_bytes = 0
        self._bytes = 0
        self._queue: deque[tuple[int, Batch]] = deque()

    def resume(self, head: int, size: int) -> None:
        """Start with ``size`` bytes in the state file, up to number ``head``."""
        self.head = self.old_head = head
        self.sent = 0 if size else head
        self._old_bytes = size

    @property
    def size(self) -> int:
        """About how many bytes are not delivered."""
        return self._bytes + (self._old_bytes if self.on_disk else 0)

    @property
    def full(self) -> bool:
        """Whether memory has no room for more."""
        return self.size >= self._limit

    @property
    def on_disk(self) -> bool:
        """Whether the next rows are those of an earlier run."""
        return self.sent < self.old_head

    @property
    def pending(self) -> bool:
        """Whether anything is not delivered."""
        return bool(self._queue) or self.on_disk

    def add(self, seq: int, batch: Batch) -> None:
        """Rows that are on disk, or need not be."""
        self.head = seq
        self._queue.append((seq, batch))
        self._bytes += size_of(batch)

    def next(self) -> Group | None:
        """The next rows in memory."""
        if not self._queue:
            return None
        return Group.of(list(islice(self._queue, PAGE)))

    def delivered(self, seq: int) -> None:
        """The sink has made rows up to ``seq`` durable."""
        self.sent = max(self.sent, seq)
        while self._queue and self._queue[0][0] <= self.sent:
            self._bytes -= size_of(self._queue.popleft()[1])

    def discard(self, *, after: int, newest: bool) -> int:
        """Let go of one batch that comes after ``after``; its rows, 0 if there is none."""
        if not self._queue or self._queue[-1][0] <= after:
            return 0
        index = -1 if newest else next(i for i, (seq, _) in enumerate(self._queue) if seq > after)
        batch = self._queue[index][1]
        del self._queue[index]
        self._bytes -= size_of(batch)
        return len(batch)


class Lanes:
    """Both lanes of one sink, and which rows go where."""

    def __init__(self, order: Order, limit: int = LIVE_BYTES) -> None:
        """Keep about ``limit`` bytes in memory."""
        self.live = Live(limit)
        self.late_head = 0
        self.late_sent = 0
        self.waiting = Waiting()
        self.order = order
        self._barrier = 0
        self._top: int | None = None

    def resume(self, head: int, live_bytes: int, late_head: int, waiting: Waiting) -> None:
        """Start with what an earlier run left in the state file."""
        self.live.resume(head, live_bytes)
        self.late_head = max(late_head, waiting.head)
        self.late_sent = 0 if waiting.size else self.late_head
        self.waiting = waiting
        self._barrier = head
        self._top = waiting.top

    @property
    def late_pending(self) -> bool:
        """Whether rows wait in the spool."""
        return self.late_sent < self.late_head

    @property
    def late_may_go(self) -> bool:
        """Whether late rows may be offered: everything that was live before them is delivered."""
        return self.late_pending and self.live.sent >= self._barrier

    @property
    def pending(self) -> bool:
        """Whether anything is not delivered."""
        return self.late_pending or self.live.pending

    def split(self, batch: Batch, *, down: bool, head: int) -> tuple[Batch | None, Batch | None]:
        """(live, late) rows of a batch; ``head`` is the last live number that was given."""
        blocked = down or self.live.full
        if not self.late_pending:
            if not blocked:
                return batch, None
            self._barrier, self._top = head, None
            return None, self._late(batch)
        if self.order == "oldest_first" or blocked:
            return None, self._late(batch)
        ahead = self._newer(batch)
        if ahead.all():
            return batch, None
        if not ahead.any():
            return None, self._late(batch)
        return batch.take(ahead), self._late(batch.take(~ahead))

    def delivered_late(self, seq: int) -> None:
        """The sink has made late rows up to ``seq`` durable, or they are not there any more."""
        self.late_sent = max(self.late_sent, seq)

    def _late(self, batch: Batch) -> Batch:
        newest = newest_window(batch)
        if newest is not None:
            self._top = newest if self._top is None else max(self._top, newest)
        return batch

    def _newer(self, batch: Batch) -> NDArray[np.bool_]:
        """The rows whose key no late row can have."""
        if not batch.keys:
            return np.ones(len(batch), np.bool_)
        times = window_times(batch)
        if times is None or self._top is None:
            return np.zeros(len(batch), np.bool_)
        return times > self._top
