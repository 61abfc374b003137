"""Carrying one sink's rows to the sink: open, write, flush with a token; again after a break.

Rules: rows are offered only when they are on disk (or need not be); after a break everything since
the last flush is written again, unless the sink's own token says that it is there. A dead sink
holds nobody else: each has its own lanes, and what memory does not hold waits in the state file.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import numpy as np

from edgestream.batch import Batch
from edgestream.clock import SECOND
from edgestream.component import Context, Sink, Token
from edgestream.config.values import nanos
from edgestream.errors import EXIT_CONFIG, Disconnected, Fatal, Held, Retry
from edgestream.runtime.ageing import overdue, too_old
from edgestream.runtime.backoff import Backoff
from edgestream.runtime.breaker import Breaker
from edgestream.runtime.drops import Drops
from edgestream.runtime.lanes import Group, Joined, Lanes, live_bytes, packed, unpacked
from edgestream.runtime.ownership import Guard, Pulse
from edgestream.runtime.reader import missing_package
from edgestream.runtime.refusing import refused
from edgestream.runtime.status import StepStatus, Tap
from edgestream.spec import DeadLetters, SinkSpec, Spool
from edgestream.store.spool import SLACK, Budget, Waiting
from edgestream.store.store import Store

GATHER = 0.1
"""Seconds between the flushes of best effort."""
AGAIN = SECOND // 5
"""Pause before a sink that another process holds is asked again."""
LOOK = 0.2
"""Seconds between looks at the disk and the clock while rows wait for room."""

T = TypeVar("T")
Places = Mapping[int, Mapping[str, int]]
Refuse = Callable[[str, Batch, Mapping[int, str], Places], Awaitable[None]]


class Writer:
    """Brings the rows of one sink to where they go."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        spec: SinkSpec,
        ctx: Context,
        status: StepStatus,
        store: Store,
        store_id: str,
        pulse: Pulse,
        *,
        spooled: bool,
        limits: DeadLetters,
    ) -> None:
        """Write to ``sink``; ``spooled`` says whether the rows are in the state file as well."""
        self.name = name
        self.sink = sink
        self.status = status
        self.tap = Tap()
        self.budget = budget_of(spec.spool)
        self.refuse: Refuse | None = None
        self.lanes = Lanes(spec.order, live_bytes(self.budget.max_bytes, spooled=spooled))
        self.replayed = 0
        self.drops = Drops(ctx, spec.spool, status)
        self._spec = spec
        self._ctx = ctx
        self._store = store
        self._store_id = store_id
        self.breaker = Breaker(name, limits, ctx.clock)
        self._spooled = spooled
        self._tried = 0
        self._late_next = False
        self._timer: asyncio.TimerHandle | None = None
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = False
        self._released = False
        self._resumed = 0, 0
        keeps = bool(ctx.epoch) and (sink.fences or sink.delivery == "transactional")
        self.guard = Guard(pulse, self._more.set, keeps=keeps)

    @property
    def undelivered(self) -> int:
        """About how many bytes the sink has not taken."""
        return self.lanes.live.size + self.lanes.waiting.size

    @property
    def down(self) -> bool:
        """Whether the sink cannot be reached."""
        return self.status.state == "waiting"

    @property
    def prompt(self) -> bool:
        """Whether new rows would go to the sink at once."""
        return not self.down and (self.lanes.order == "live_first" or not self.lanes.late_pending)

    def resume(self, head: int, live_bytes: int, late_head: int, waiting: Waiting) -> None:
        """Start with what an earlier run left in the state file."""
        self._resumed = head, max(late_head, waiting.head)
        if self._spooled:
            self.lanes.resume(head, live_bytes, late_head, waiting)
            self.drops.resume(waiting.dropped)
        else:
            self.lanes.resume(head, 0, late_head, Waiting(head=late_head))

    def offer(self, seq: int, batch: Batch) -> None:
        """Rows that may be written now."""
        self.tap.add(batch)
        self.lanes.live.add(seq, batch)
        if not self._spooled and self.budget.overflow != "pause":
            newest = self.budget.overflow == "drop_newest"
            while self.lanes.live.full:
                dropped = self.lanes.live.discard(after=self._tried, newest=newest)
                if not dropped:
                    break
                self.drops.count(self.drops.rows + dropped)
        self._more.set()

    def spooled(self, seq: int, batch: Batch, waiting: Waiting) -> None:
        """Rows that wait in the spool, as far as its budget let them."""
        self.tap.add(batch)
        self.lanes.late_head = seq
        self.note(waiting)
        self._more.set()

    def note(self, waiting: Waiting) -> None:
        """What waits in the spool now."""
        self.lanes.waiting = waiting
        self.drops.count(waiting.dropped)
        self._room.set()

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
                self.guard.away()
            except ImportError as error:
                raise missing_package(self.sink, error) from error
            finally:
                await self.sink.close()
            await backoff.wait()

    def finish(self) -> None:
        """Let `run` end once everything offered is delivered."""
        self._closing = True
        self._more.set()

    @property
    def full(self) -> bool:
        """Whether nothing more may be read until the sink has taken something."""
        if self._released:
            return False
        if self._spec.when_unreachable == "wait":
            return self.undelivered > (0 if self.down else SLACK)
        if self.budget.overflow != "pause":
            return False
        if not self._spooled:
            return self.lanes.live.full
        waiting = self.lanes.waiting
        limit = SLACK if waiting.short else self.budget.max_bytes
        return waiting.size > limit or too_old(waiting, self.budget, self._ctx.clock.wall())

    async def room(self) -> None:
        """Wait until the sink may be less `full`, or for `LOOK`."""
        self._room.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._room.wait(), LOOK)
        if self.lanes.waiting.short:
            self.note(await self._store.forward(self.name, 0, self.budget))

    def overdue(self, waited: int) -> bool:
        """Whether a cut is due to drop rows that are too old, ``waited`` after the last one."""
        return self._spooled and overdue(self.lanes.waiting, self.budget, self._ctx.clock, waited)

    def release(self) -> None:
        """Hold nobody back any more: the pipeline is stopping."""
        self._released = True
        self._room.set()

    async def _open(self) -> None:
        if self.status.state != "waiting":
            self.status.change("connecting")
        await self.guard.give_way(self._ctx.clock)
        backoff = Backoff(self._ctx.clock)
        token = await self._trying(lambda: self.sink.open(self._ctx), backoff)
        self.status.change("connected")
        self.guard.opened()
        self._room.set()
        if token is not None and token.store == self._store_id:
            live, late = unpacked(token.seq)
            if token.epoch != self._ctx.epoch:
                # Numbers of this start may have been given by another, on a copy of the state
                # file or before a power cut undid them: they say nothing of the rows of this one.
                live, late = min(live, self._resumed[0]), min(late, self._resumed[1])
            self.lanes.live.delivered(live)
            if late > self.lanes.late_sent:
                await self._forward(late)

    async def _deliver(self, backoff: Backoff) -> None:
        while (group := await self._next()) is not None:
            if self.guard.stood_still:
                # What was under way is in any copy of the state; what came since is in none.
                raise Disconnected("this worker stood still; another may have taken over")
            asked = len(self.guard.asked)
            if not group.late:
                self._tried = max(self._tried, group.last)
            for joined in group.batches:
                await self._write(joined, group, backoff)
            if self._spooled or not group.batches:
                flush = functools.partial(self.sink.flush, self._token(group))
                await self._trying(flush, backoff)
            else:
                self._flush_later()
            backoff.reset()
            self.guard.flushed(asked)
            if group.late:
                self.replayed += sum(map(len, group.batches))
                await self._forward(group.last)
            else:
                self.lanes.live.delivered(group.last)
                if self._spooled and self.sink.delivery != "transactional":
                    await self._store.delivered(self.name, group.last)
            self._room.set()

    def _token(self, group: Group) -> Token | None:
        if not self._spooled:
            return None
        live, late = self.lanes.live.sent, self.lanes.late_sent
        return Token(
            self._store_id,
            packed(live, group.last) if group.late else packed(group.last, late),
            self._ctx.epoch,
        )

    def _ending(self) -> bool | None:
        """Whether the pipeline is stopping (True), or has come to its end (False)."""
        return True if self._released else False if self._closing else None

    def _flush_later(self) -> None:
        """Best effort flushes ten times a second, whatever comes: nothing waits for a token."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._more.set)

    async def _next(self) -> Group | None:
        """The next rows; none, where only a flush is due; None at the end."""
        if not await self.breaker.closed(self.status, self._ending):
            return None
        while True:
            if self._flush_due():
                self._timer = None
                return Group((), self.lanes.live.sent)
            turn, self._late_next = self._late_next, False
            if not (turn and self.lanes.late_may_go) and (live := await self._live()):
                self._late_next = True  # a page of the late ones in between, if there are some
                return live
            if self.lanes.late_may_go:
                if found := await self._store.late(self.name, self.lanes.late_sent):
                    return Group.of(found, late=True)
                self.lanes.delivered_late(self.lanes.late_head)
                continue
            if self._closing and not self.lanes.pending:
                return None
            self._more.clear()
            await self._more.wait()

    def _flush_due(self) -> bool:
        if self.guard.asked and not self.lanes.pending:
            return True
        return self._timer is not None and (
            self._timer.when() <= asyncio.get_running_loop().time()
            or (self._closing and not self.lanes.pending)
        )

    async def _live(self) -> Group | None:
        if not self.lanes.live.on_disk:
            return self.lanes.live.next()
        old = await self._store.waiting(self.name, self.lanes.live.sent, 32)
        if not old:
            self.lanes.live.delivered(self.lanes.live.old_head)
            return self.lanes.live.next()
        return Group.of(old)

    def _marked(self, batch: Batch, group: Group) -> Batch:
        mark = self._spec.spool.mark
        if not mark:
            return batch
        if mark in batch:
            hint = "name another with spool: {mark: …}"
            raise Fatal(f"{self.name}: rows have a column {mark!r} already; {hint}", EXIT_CONFIG)
        return batch.with_columns(**{mark: np.full(len(batch), group.late)})

    async def _write(self, joined: Joined, group: Group, backoff: Backoff) -> None:
        async def write(rows: Batch) -> None:
            await self._trying(lambda: self.sink.write(rows), backoff)

        reasons = await refused(self._marked(joined.batch, group), write)
        if reasons:
            assert self.refuse is not None
            lane = "late" if group.late else "seq"
            found = {row: joined.place(row) for row in reasons}
            places = {row: {lane: number, "row": place} for row, (number, place) in found.items()}
            # On disk before the flush: afterwards the sink says that all of the batch is done.
            await self.refuse(self.name, joined.batch, reasons, places)
        self.breaker.observe(len(joined), reasons, next(iter(reasons.values()), ""))

    async def _trying(self, call: Callable[[], Awaitable[T]], backoff: Backoff) -> T:
        """The same call again for as long as it says `Retry`."""
        while True:
            try:
                result = await call()
            except Retry as error:
                self.guard.held = isinstance(error, Held)
                self.status.change("waiting", str(error))
                await (self._ctx.clock.sleep(AGAIN) if self.guard.held else backoff.wait())
            else:
                self.guard.held = False
                if self.status.state == "waiting":
                    self.status.change("connected")
                return result

    async def _forward(self, seq: int) -> None:
        self.lanes.delivered_late(seq)
        self.note(await self._store.forward(self.name, seq, self.budget))


def budget_of(spool: Spool) -> Budget:
    """What a sink's `Spool` asks of the state file."""
    return Budget(
        int(spool.max_bytes),
        int(nanos(spool.max_age)),
        int(spool.min_free),
        spool.overflow,
        tuple(spool.by),
    )
