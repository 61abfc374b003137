"""The middle of the path: what was read goes through the graph, and what comes out goes to sinks.

Read it top to bottom. `Task.run` takes one item at a time from the inbox; `process` decodes it,
pushes it through the graph and lets the watermark follow (`Flow`); `_checkpoint` cuts between two
items: the positions just after the last processed item, the state of every step, the rows for the
sinks and the dead letters go into one transaction of the state file, and only then to the sinks.
Processing goes on while a cut is being written; one cut at a time is in flight.

Rule: a position is taken here, at the cut, never from what has been journalled meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeAlias

from edgestream.batch import Batch, concat
from edgestream.clock import SECOND, Clock
from edgestream.component import Position
from edgestream.config.values import nanos
from edgestream.graph import Arrived, Graph
from edgestream.runtime.blocks import ENOUGH_BYTES, ENOUGH_ROWS, joined, slices
from edgestream.runtime.breaker import Breakers
from edgestream.runtime.flow import Flow
from edgestream.runtime.inbox import Ended, Inbox, Item, size_of
from edgestream.runtime.letterbox import ENOUGH as ENOUGH_LETTERS
from edgestream.runtime.letterbox import LetterBox
from edgestream.runtime.pace import Pace
from edgestream.runtime.reader import Reader
from edgestream.runtime.writer import Places, Writer
from edgestream.saved import snapshot, topology
from edgestream.store.checkpoints import Resume
from edgestream.store.letters import DeadLetter
from edgestream.store.spool import LATE
from edgestream.store.store import Store
from edgestream.store.tables import Cut

Numbered: TypeAlias = tuple[str, int, Batch]
"""(sink, number in its lane, rows)"""
Resend: TypeAlias = Callable[[Flow, DeadLetter, int, int], tuple[Arrived, list[DeadLetter]]]
SOON = SECOND // 10
"""Rows for a sink wait no longer than this for a checkpoint, unless checkpoints are slow."""


class Task:
    """One pipeline's loop over its inbox."""

    def __init__(
        self,
        graph: Graph,
        inbox: Inbox,
        store: Store,
        readers: Mapping[str, Reader],
        writers: Mapping[str, Writer],
        clock: Clock,
        *,
        durable: bool,
    ) -> None:
        """Prepare; ``durable`` is False for best effort: rows go to sinks without a checkpoint."""
        self.graph = graph
        self.letters = LetterBox(graph.spec.dead_letters, store)
        self.breakers = Breakers(graph.spec.dead_letters, clock)
        self.checkpoints = 0
        self._flow = Flow(graph)
        self._log = logging.getLogger(f"edgestream.{graph.spec.name}")
        self._inbox = inbox
        self._store = store
        self._readers = readers
        self._writers = writers
        self._clock = clock
        self._durable = durable
        self._every = nanos(graph.spec.checkpoint)
        self._pace = Pace(graph.entries, clock)
        self._epoch = 0
        self._topology = topology(graph)
        self._positions: dict[str, Position] = {}
        self._processed: dict[str, tuple[int, int]] = {}
        self._heads: dict[str, int] = {}
        self._outgoing: dict[str, list[Batch]] = {}
        self._outgoing_bytes = 0
        self._changed = False
        self._last_cut = self._progress = clock.monotonic()
        self._held = False
        self._cost = 0
        self._flight: asyncio.Task[None] | None = None
        self._ended: set[str] = set()
        self._stop = False
        for writer in writers.values():
            writer.refuse = self.refuse_rows

    def resume(self, resume: Resume, accept: Collection[str] = ()) -> None:
        """Start from a checkpoint; state in ``accept`` may be lost."""
        self._epoch = resume.epoch
        self._positions = dict(resume.positions)
        self._heads = dict(resume.meta.get("outbox", {}))
        for sink, top in resume.outbox_heads.items():
            self._heads[sink] = max(top, self._heads.get(sink, 0))
        for sink, waiting in resume.spools.items():
            self._heads[sink + LATE] = max(waiting.head, self._heads.get(sink + LATE, 0))
        self._flow.restore(resume.states, resume.meta.get("watermarks", {}), accept)
        self._flow.recall(resume.ids, anew=not self._durable)

    @property
    def heads(self) -> Mapping[str, int]:
        """The last number given to each sink's rows."""
        return self._heads

    def stuck_for(self, now: int) -> int:
        """Nanoseconds since something was processed, while data waits and no sink holds it back."""
        return now - self._progress if len(self._inbox) and not self._held else 0

    def position(self, source: str) -> Position | None:
        """Where a source is."""
        return self._positions.get(source)

    async def run(self) -> None:
        """Process until all sources have ended, or until `stop`; the last cut is written."""
        await self.letters.look()
        while not self._finished() and await self._trusted():
            if ticked := self._inbox.ticked():
                self.tick()
            item = self._inbox.take()
            self._progress = self._clock.monotonic()
            if isinstance(item, Ended):
                self._end(item.source)
            elif item is not None:
                for block in self._blocks(item):
                    await self.process(block)
                if len(self._inbox):  # else others have their turn in `more`
                    await asyncio.sleep(0)
            elif not ticked:
                await self._inbox.more(wait=not self._stop)
                continue
            await self._room()
            self._checkpoint_when_due()
        await self.finish()

    def stop(self) -> None:
        """Process what is in the inbox, then end."""
        self._stop = True
        for writer in self._writers.values():
            writer.release()
        self._inbox.ready.set()

    async def finish(self) -> None:
        """Write everything that is not yet in the state file."""
        await self._landed()
        if self._changed or self._outgoing or self.letters or not self._durable:
            self._checkpoint()
            await self._landed()

    async def _trusted(self) -> bool:
        """Wait while too many rows are bad; False where it is stopped meanwhile."""
        while self.breakers.opened:
            if self._stop:
                return False
            await self._keep()
            self._held = True
            await self.breakers.wait(self.graph, self._inbox.ready, self._log)
        self._held = False
        return True

    async def _keep(self) -> None:
        """Have everything on disk that has to be before nothing more is read for long."""
        if self._durable:
            await self.finish()
        elif self.letters:
            await self._store.bury(self.letters.take(), self.letters.bounds)

    def resend(self, letter: DeadLetter, again: Resend) -> None:
        """Send a dead letter through again; it goes with the checkpoint that has its outcome."""
        arrived, letters = again(self._flow, letter, self._clock.wall(), self._clock.monotonic())
        self.letters.attempts = letter.attempts
        self.letters.add(letters)
        self.letters.replayed.append(letter.id)
        self._changed = True
        self._route(arrived)

    def _finished(self) -> bool:
        return not len(self._inbox) and (self._stop or len(self._ended) == len(self.graph.entries))

    def _blocks(self, item: Item) -> Iterator[Item]:
        """An item with what waits behind it of the same source, in as few blocks as can be."""
        left = ENOUGH_ROWS - len(item.data), ENOUGH_BYTES - item.size
        if isinstance(item.data, Batch) or self._pace.holds(item.source) or min(left) <= 0:
            return iter((item,))
        return joined((item, *self._inbox.take_more(item.source, *left)))

    async def process(self, item: Item) -> None:
        """A block of one source: decode, push, let the watermark follow."""
        for number, piece in enumerate(slices(item)):
            if number:
                await asyncio.sleep(0)
            now = self._clock.wall()
            got = self._flow.read(piece, now)
            await self._pace.wait(item.source, got.batch)
            passed = self._flow.push(piece, got, now, self._clock.monotonic())
            self.breakers.payloads(item.source, len(piece.data), got.rejected)
            self._bury(passed.letters)
            self._route(passed.arrived)
        self._positions[item.source] = item.position
        self._processed[item.source] = (item.opening, item.index)
        self._changed = True
        self._warn()

    def tick(self) -> None:
        """Let the clock move the watermarks of silent sources."""
        self._route(self._flow.tick(self._clock.monotonic()))
        self._bury(self._flow.letters(self._clock.wall()))
        self._warn()

    def _warn(self) -> None:
        for warning in self._flow.memory.warnings(self._clock.monotonic()):
            self._log.warning("%s", warning)

    def _end(self, source: str) -> None:
        self._ended.add(source)
        self._changed = True
        self._route(self._flow.end(source, self._clock.monotonic()))
        self._bury(self._flow.letters(self._clock.wall()))

    def _route(self, arrived: Arrived) -> None:
        for sink, batch in arrived:
            if not len(batch):
                continue
            self._changed = True
            if self._durable:
                self._outgoing.setdefault(sink, []).append(batch)
                self._outgoing_bytes += size_of(batch)
            else:
                self._writers[sink].offer(self._number(sink), batch)

    def _number(self, sink: str) -> int:
        self._heads[sink] = self._heads.get(sink, 0) + 1
        self.letters.numbered(sink, self._heads[sink])
        return self._heads[sink]

    async def _room(self) -> None:
        """Wait for the disk, for a cut, and for sinks that may not fall further behind."""
        if self._outgoing_bytes > 2 * ENOUGH_BYTES:  # in memory only: whatever a cut costs
            await self.finish()
        if self._store.full:
            self._held = True
            await self._store.room()
        for writer in self._writers.values():
            while writer.full:
                self._held = True
                self._checkpoint_when_due()  # what was made goes on to the other sinks
                await writer.room()
        self._held = False

    async def refuse_rows(
        self, sink: str, batch: Batch, reasons: Mapping[int, str], places: Places
    ) -> None:
        """Dead letters for rows that a sink will never take; done when they are on disk."""
        known = places if self._durable else {}
        letters = self._flow.refused(sink, batch, reasons, known, self._clock.wall())
        await self.letters.bury(self.letters.tried(letters, places.values()))

    def _bury(self, letters: list[DeadLetter]) -> None:
        self.breakers.rows(self.graph, letters)
        self.letters.add(letters)
        self._changed = self._changed or bool(letters)

    def _checkpoint_when_due(self) -> None:
        if self._flight is not None and self._flight.done():
            self._flight.result()
            self._flight = None
        waited = self._clock.monotonic() - self._last_cut
        old = any(writer.overdue(waited) for writer in self._writers.values())
        if self._flight is not None or not (self._changed or old):
            return
        urgent = (
            any(self._writers[sink].prompt for sink in self._outgoing)
            or self._outgoing_bytes > ENOUGH_BYTES
            or len(self.letters) >= ENOUGH_LETTERS
        )
        due = waited >= (max(SOON, 10 * self._cost) if urgent else self._every)
        if due and self._durable:
            self._checkpoint()
        elif due and self.letters:
            self._store.bury(self.letters.take(), self.letters.bounds)

    def _checkpoint(self) -> None:
        """Cut here: everything below belongs to one moment."""
        live, spooled = self._sorted()
        self._epoch += 1
        cut = Cut(
            epoch=self._epoch,
            at=self._clock.wall(),
            positions=dict(self._positions),
            meta={
                "outbox": dict(self._heads),
                "watermarks": self._flow.watermarks(),
            },
            states=snapshot(self.graph),
            outbox=live,
            delivered={name: writer.lanes.live.sent for name, writer in self._writers.items()},
            dead_letters=self.letters.take(),
            replayed=self.letters.take_replayed(),
            bounds=self.letters.bounds,
            topology=self._topology,
            ids=self._flow.ids(),
            spooled=spooled,
            budgets={name: writer.budget for name, writer in self._writers.items()},
        )
        self._outgoing, self._outgoing_bytes, self._changed = {}, 0, False
        self._last_cut = self._clock.monotonic()
        self._flight = asyncio.create_task(self._land(cut, dict(self._processed)), name="cut")

    def _sorted(self) -> tuple[list[Numbered], list[Numbered]]:
        """The rows for the sinks, numbered: those on their way, and those that have to wait."""
        live: list[Numbered] = []
        spooled: list[Numbered] = []
        for sink, batches in self._outgoing.items():
            writer = self._writers[sink]
            now, later = writer.lanes.split(
                concat(batches), down=writer.down, head=self._heads.get(sink, 0)
            )
            if now is not None:
                live.append((sink, self._number(sink), now))
            if later is not None:
                spooled.append((sink, self._number(sink + LATE), later))
        return live, spooled

    async def _land(self, cut: Cut, processed: Mapping[str, tuple[int, int]]) -> None:
        """Write a cut; then its rows may go to the sinks and its items be acknowledged."""
        started = time.perf_counter_ns()
        waiting = await self._store.save(cut)
        self._cost = time.perf_counter_ns() - started
        self.checkpoints += 1
        if cut.dead_letters or cut.replayed:
            await self.letters.look()
        for sink, left in waiting.items():
            self._writers[sink].note(left)
        for sink, seq, batch in cut.outbox:
            self._writers[sink].offer(seq, batch)
        for sink, seq, batch in cut.spooled:
            self._writers[sink].spooled(seq, batch, waiting[sink])
        for source, (opening, index) in processed.items():
            if source in self._readers and self._readers[source].source.replayable:
                self._readers[source].durable(opening, index)

    async def _landed(self) -> None:
        if self._flight is not None:
            await self._flight
            self._flight = None
