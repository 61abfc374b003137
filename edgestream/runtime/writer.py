"""Carrying one sink's outbox to the sink: open, write, flush with a token; again after a break.

Rules: rows are offered only when they are on disk (or need not be); they are written in order;
after a break everything since the last flush is written again, unless the sink's own token says
that it is there. A dead sink holds nobody else: each has its own queue, and beyond a bound the
rows wait in the state file alone.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TypeVar

from edgestream.batch import Batch
from edgestream.component import Context, Sink, Token
from edgestream.errors import Disconnected, Rejected, Retry
from edgestream.runtime.backoff import Backoff
from edgestream.runtime.inbox import size_of
from edgestream.runtime.reader import missing_package
from edgestream.runtime.status import StepStatus, Tap
from edgestream.store.store import Store
from edgestream.store.tables import DeadLetter

IN_MEMORY = 8 * 1024 * 1024
PAGE = 32
GATHER = 0.1
"""Seconds between the flushes of best effort."""

T = TypeVar("T")
Refuse = Callable[[str, Batch, Rejected], list[DeadLetter]]


class Writer:
    """Brings the rows of one sink to where they go."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        ctx: Context,
        status: StepStatus,
        store: Store,
        store_id: str,
        *,
        spooled: bool,
    ) -> None:
        """Write to ``sink``; ``spooled`` says whether the rows are in the state file as well."""
        self.name = name
        self.sink = sink
        self.status = status
        self.tap = Tap()
        self.head = 0
        self.sent = 0
        self.undelivered = 0
        self._ctx = ctx
        self._store = store
        self._store_id = store_id
        self.refuse: Refuse | None = None
        self._spooled = spooled
        self._queue: deque[tuple[int, Batch]] = deque()
        self._queued = 0
        self._sizes: deque[tuple[int, int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False
        self._released = False

    def resume(self, head: int, spooled_bytes: int) -> None:
        """Start with what an earlier run left in the state file."""
        self.head = head
        if not self._spooled or not spooled_bytes:
            self.sent = head
        else:
            self.undelivered += spooled_bytes
            self._sizes.append((head, spooled_bytes))

    def offer(self, seq: int, batch: Batch) -> None:
        """Rows that may be written now."""
        size = size_of(batch)
        self.head = seq
        self.tap.add(batch)
        self.undelivered += size
        self._sizes.append((seq, size))
        behind = self._queue[-1][0] if self._queue else self.sent
        contiguous = behind == seq - 1
        if not self._spooled or (contiguous and self._queued + size <= IN_MEMORY):
            self._queue.append((seq, batch))
            self._queued += size
        self._more.set()

    async def run(self) -> None:
        """Write until `finish`; raises `Fatal` and `StoreError`."""
        backoff = Backoff(self._ctx.clock)
        while True:
            try:
                await self._open()
                await self._deliver(backoff)
                return
            except Disconnected as error:
                self.status.change("waiting", str(error))
            except ImportError as error:
                raise missing_package(self.sink, error) from error
            finally:
                await self.sink.close()
            await backoff.wait()

    def finish(self) -> None:
        """Let `run` end once everything offered is delivered."""
        self._closing = True
        self._more.set()

    async def room(self, limit: int) -> None:
        """Wait while more than ``limit`` bytes are undelivered."""
        while self.undelivered > limit and not self._released:
            self._room.clear()
            await self._room.wait()

    def release(self) -> None:
        """Hold nobody back any more: the pipeline is stopping."""
        self._released = True
        self._room.set()

    async def _open(self) -> None:
        if self.status.state != "waiting":
            self.status.change("connecting")
        backoff = Backoff(self._ctx.clock)
        token = await self._trying(lambda: self.sink.open(self._ctx), backoff)
        self.status.change("connected")
        if token is not None and token.store == self._store_id and token.seq > self.sent:
            self._delivered(token.seq)
        self._restart()

    def _restart(self) -> None:
        """Begin again after the last delivered batch."""
        while self._queue and self._queue[0][0] <= self.sent:
            self._queued -= size_of(self._queue.popleft()[1])
        if self._spooled and self._queue and self._queue[0][0] != self.sent + 1:
            self._queue.clear()
            self._queued = 0

    async def _deliver(self, backoff: Backoff) -> None:
        while (group := await self._next()) is not None:
            for _, batch in group:
                await self._write(batch, backoff)
            last = group[-1][0] if group else self.sent
            if self._spooled or not group:
                token = Token(self._store_id, last) if self._spooled else None
                flush = functools.partial(self.sink.flush, token)
                await self._trying(flush, backoff)
            else:
                self._flush_later()
            backoff.reset()
            self._delivered(last)
            if self._spooled and self.sink.delivery != "transactional":
                await self._store.delivered(self.name, last)
            self._restart()

    def _flush_later(self) -> None:
        """Best effort flushes ten times a second, whatever comes: nothing waits for a token."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._more.set)

    async def _next(self) -> list[tuple[int, Batch]] | None:
        """The next batches after ``sent``; none, where only a flush is due; None at the end."""
        while True:
            due = self._timer is not None and (
                self._timer.when() <= asyncio.get_running_loop().time()
                or (self._closing and not self._queue)
            )
            if due:
                self._timer = None
                return []
            if self._queue:
                return list(islice(self._queue, PAGE))
            if self._spooled and self.sent < self.head:
                found = await self._store.waiting(self.name, self.sent, PAGE)
                if found:
                    return found
                self._delivered(self.head)
                continue
            if self._closing:
                return None
            self._more.clear()
            await self._more.wait()

    async def _write(self, batch: Batch, backoff: Backoff) -> None:
        try:
            await self._trying(lambda: self.sink.write(batch), backoff)
        except Rejected as error:
            assert self.refuse is not None
            # On disk before the flush: afterwards the sink says that all of the batch is done.
            await self._store.bury(self.refuse(self.name, batch, error))

    async def _trying(self, call: Callable[[], Awaitable[T]], backoff: Backoff) -> T:
        """The same call again for as long as it says `Retry`."""
        while True:
            try:
                result = await call()
            except Retry as error:
                self.status.change("waiting", str(error))
                await backoff.wait()
            else:
                if self.status.state == "waiting":
                    self.status.change("connected")
                return result

    def _delivered(self, seq: int) -> None:
        self.sent = max(self.sent, seq)
        while self._sizes and self._sizes[0][0] <= self.sent:
            self.undelivered -= self._sizes.popleft()[1]
        self._room.set()
