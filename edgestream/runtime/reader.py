"""Reading one source: open, read, journal, acknowledge; again after a break.

Rules: what a source that cannot replay gives is journalled before it is acknowledged; before it
is opened again, everything it gave is on disk, so that it can recognise what comes twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from edgestream.batch import Batch
from edgestream.clock import SECOND
from edgestream.component import Context, Payloads, Source
from edgestream.errors import Disconnected, EdgestreamError, Fatal, Retry
from edgestream.runtime.backoff import Backoff
from edgestream.runtime.hurry import SOME
from edgestream.runtime.inbox import LIMIT, Ended, Inbox, Item, size_of
from edgestream.runtime.ownership import Ownership, Pulse
from edgestream.runtime.status import StepStatus
from edgestream.store.store import Store
from edgestream.store.tables import JournalRow

HURRY = LIMIT // 8
"""Bytes not yet durable from which a commit gathers no more, and wakes the loop."""
STEADY = 5 * SECOND
"""A connection that held so long was a good one. One that is cut at once, again and again (two
clients with one name), is tried less and less often, although every opening succeeds."""


class Reader:
    """Brings what one source gives into the inbox."""

    def __init__(
        self,
        name: str,
        source: Source,
        ctx: Context,
        inbox: Inbox,
        status: StepStatus,
        journal: Store | None,
        sequence: Iterator[int],
    ) -> None:
        """Read ``source``; ``journal`` is None where it can replay or nothing need be kept."""
        self.name = name
        self.source = source
        self.status = status
        self.position: Mapping[str, Any] | None = None
        self.ownership = Ownership(Pulse())
        if journal is not None:
            source.gather_for = max(source.gather_for, SOME)
        self._ctx = ctx
        self._inbox = inbox
        self._journal = journal
        self._sequence = sequence
        self._opening = 0
        self._given = 0
        self._durable = 0
        self._told = 0
        self._acknowledge = asyncio.Event()
        self._pending: set[asyncio.Future[None]] = set()
        self._pending_bytes = 0
        self._room = asyncio.Event()
        self._broken: BaseException | None = None
        self._stopping = False

    async def run(self) -> None:
        """Read until the source ends or the task is cancelled; raises `Fatal`, `StoreError`."""
        backoff = Backoff(self._ctx.clock)
        while True:
            opened: int | None = None
            try:
                await self._open()
                opened = self._ctx.clock.monotonic()
                await self._read()
                if self._stopping:
                    await self.settled()
                    return
                self.status.change("ended")
                await self._inbox.put(Ended(self.name))
                return
            except (Disconnected, Retry) as error:
                self.status.change("waiting", str(error))
                if opened is not None and self._ctx.clock.monotonic() - opened >= STEADY:
                    backoff.reset()
            except ImportError as error:
                raise missing_package(self.source, error) from error
            finally:
                await self.source.close()
            if self._stopping:
                return
            await backoff.wait()

    def durable(self, opening: int, index: int) -> None:
        """The first ``index`` items of an opening are safe: they can be acknowledged."""
        if opening == self._opening and index > self._durable:
            self._durable = index
            self._acknowledge.set()

    def stop(self) -> bool:
        """Read no more; whether `run` ends by itself, once it has handed on what was read."""
        self._stopping = True
        return self.source.stop()

    async def settled(self) -> None:
        """Wait until everything given so far is journalled and acknowledged."""
        while self._pending:
            await asyncio.wait(self._pending)
        if not self.source.replayable and self._told < self._durable:
            with contextlib.suppress(Disconnected):  # the other side sends it again
                await self._commit()

    async def _open(self) -> None:
        if self.status.state != "waiting":
            self.status.change("connecting")
        if self._journal is not None:
            while self._pending:
                await asyncio.wait(self._pending)
            self.source.recall(await self._journal.tail(self.name))
        # Another worker may hold a sink: what it acknowledged would be unknown here. One that was
        # frozen while another took over finds its connection cut: it must not take that of the
        # other, and acknowledge what only the other would write.
        await self.ownership.claimed()
        if self._opening:
            await self.ownership.verified()
        self._opening += 1
        self._given = self._durable = self._told = 0
        await self.source.open(self._ctx, self.position)
        self.status.change("connected")

    async def _read(self) -> None:
        acknowledging = asyncio.create_task(self._acknowledge_all(), name=f"ack {self.name}")
        try:
            async for data in self.source.batches():
                await self._accept(data)
        finally:
            acknowledging.cancel()

    async def _accept(self, data: Payloads | Batch) -> None:
        if self._broken is not None:
            raise self._broken
        self._given += 1
        size = size_of(data)
        if self._journal is None:
            self.position = dict(self.source.position())
            item = Item(self.name, data, self.position, size, self._opening, self._given)
            if not self.source.replayable:
                self.durable(self._opening, self._given)
            await self._inbox.put(item)
            return
        assert isinstance(data, Payloads), f"{self.name} cannot be journalled"
        seq = next(self._sequence)
        row = JournalRow(seq, self.name, len(data), data.received, data.raw)
        self._append(row, size)
        item = Item(self.name, data, {"seq": seq}, size, self._opening, self._given)
        await self._inbox.put(item)
        while self._pending_bytes > LIMIT:
            self._room.clear()
            await self._room.wait()

    def _append(self, row: JournalRow, size: int) -> None:
        assert self._journal is not None
        opening, index = self._opening, self._given
        # At a moderate rate the next read or tick is soon enough to acknowledge this one.
        # the first of a connection tells the other side that it is heard again
        hurry = index == 1 or self._pending_bytes > HURRY
        silence = 0 if hurry else self.source.silence
        future = self._journal.append(row, silence=silence)
        self._pending.add(future)
        self._pending_bytes += size

        def done(finished: asyncio.Future[None]) -> None:
            self._pending.discard(finished)
            self._pending_bytes -= size
            self._room.set()
            if finished.cancelled():
                return
            self._broken = finished.exception()
            if self._broken is None:
                self.durable(opening, index)

        future.add_done_callback(done)

    async def _acknowledge_all(self) -> None:
        while True:
            await self._acknowledge.wait()
            self._acknowledge.clear()
            try:
                await self._commit()
            except Disconnected:
                return  # reading sees the same break and says so

    async def _commit(self) -> None:
        """Acknowledge what is durable, unless another worker has it by now."""
        await self.ownership.sure()
        self._told = self._durable
        await self.source.commit(self._durable)


def missing_package(component: Any, error: ImportError) -> EdgestreamError:
    """What to install when a connector's package is not there."""
    about = component.about
    extra = about.extra or about.name
    return Fatal(
        f"{about.name} needs the package {error.name or str(error)!r}: "
        f"pip install 'edgestream[{extra}]'",
        exit_code=78,
    )


def sequence_after(last: int) -> Iterator[int]:
    """Journal numbers, never used twice."""
    return itertools.count(last + 1)
