"""One pipeline, running: its state file, graph, readers, writers and task, put together.

Start: lock and load the state file, restore, process again what was journalled after the last
checkpoint, then open sources and sinks. Stop: no more reading, process what was read, write a last
checkpoint, let the sinks finish within the grace time; what they do not take waits for next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from edgestream.clock import SECOND, Clock, until_next
from edgestream.codecs.json import Json
from edgestream.component import Component, Context
from edgestream.delivery import agreed, durability
from edgestream.errors import DamagedState, EdgestreamError
from edgestream.graph import Graph, build
from edgestream.operators.protocols import Refreshed
from edgestream.runtime.change import without_loss
from edgestream.runtime.children import Children
from edgestream.runtime.crashes import noted
from edgestream.runtime.ending import Grace, ended, written
from edgestream.runtime.flow import Flow
from edgestream.runtime.inbox import Inbox, Item
from edgestream.runtime.letterbox import bounds_of
from edgestream.runtime.news import DeadLetterNews
from edgestream.runtime.ownership import Ownership, Pulse
from edgestream.runtime.reader import Reader, sequence_after
from edgestream.runtime.recovery import Choice, Unfit, recovered
from edgestream.runtime.refresh import Refresher
from edgestream.runtime.status import PipelineState, StepStatus
from edgestream.runtime.steady import Jumps, SteadyClock, until_set
from edgestream.runtime.task import Task
from edgestream.runtime.writer import Writer
from edgestream.spec import Delivery, PipelineSpec
from edgestream.store.checkpoints import Resume
from edgestream.store.spool import LATE, Waiting
from edgestream.store.store import Store

T = TypeVar("T")
TICK = SECOND // 10
ENDING = 2.0
"""Seconds in which sources hand on what they have read when the pipeline is stopped."""
ENOUGH = 100
"""Rows after which a column that never came is worth a warning."""


class Running:
    """A pipeline from its start to its end."""

    def __init__(
        self,
        spec: PipelineSpec,
        folder: Path,
        clock: Clock,
        allowed: Sequence[str] = (),
        recover: Choice | None = None,
        accept: Collection[str] = (),
    ) -> None:
        """Build the graph; raises `ConfigError`."""
        self.spec = spec
        self.delivery: Delivery = agreed(spec)
        self.graph: Graph = build(spec, Json(), allowed)
        self.state: PipelineState = "starting"
        self.message = ""
        self.trouble = ""
        self.started = clock.wall()
        self.log = logging.getLogger(f"edgestream.{spec.name}")
        self.readers: dict[str, Reader] = {}
        self.writers: dict[str, Writer] = {}
        self.refreshers: list[Refresher] = []
        self.task: Task | None = None
        self._folder = folder
        self._allowed = allowed
        self._recover = recover
        self._accept = accept
        self._clock = clock
        self._inbox = Inbox()
        self._reading: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._crashes = 0
        self.jumps = Jumps(clock, self.log)
        self.grace = Grace()
        self.saved = False
        """Whether the last checkpoint is written, so that nothing is lost by leaving."""

    async def run(self, grace: float = 25.0) -> None:
        """Run to the end; raises the `EdgestreamError` that stopped it."""
        self.grace.seconds = grace
        if any(entry.time is None for entry in self.graph.entries.values()):
            await until_set(self._clock, self._stopping, self._notice)
        safe = durability(self.spec) == "power"
        bounds = bounds_of(self.spec.dead_letters)
        opening = Store.open(
            self._folder, self.spec.name, self._notice, power_safe=safe, bounds=bounds
        )
        store = await _unless(self._stopping, opening)
        if store is None:
            self.state = "stopped"
            return
        try:
            await self._run(store)
        except BaseException as error:
            notes = getattr(error, "__notes__", ())
            self.state, self.message = "failed", "; ".join((str(error), *notes))
            if isinstance(error, Exception) and not isinstance(error, EdgestreamError):
                self._crashes = await noted(store, error, self._clock)
            raise
        finally:
            await store.close()
        self.state = "stopped"

    def _notice(self, trouble: str) -> None:
        self.trouble = trouble
        self.log.warning("%s", trouble or "going on")

    def stop(self) -> None:
        """Ask for a graceful stop."""
        self.grace.begin()
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping.is_set()

    def quarantined(self, most: int) -> bool:
        """Whether it failed so often in the same place that it is not started again; says so."""
        if self._crashes < most:
            return False
        self.message = (
            f"quarantined after {self._crashes} failures in the same place ({self.message}); its "
            "state is kept, and it is tried again when the worker starts or gets SIGHUP"
        )
        self.log.error("%s", self.message)
        return True

    async def _run(self, store: Store) -> None:
        pulse = Pulse()
        task, resume = await self._resumed(store, pulse)
        for name, writer in self.writers.items():
            writer.resume(
                task.heads.get(name, 0),
                resume.outbox_bytes.get(name, 0),
                task.heads.get(name + LATE, 0),
                resume.spools.get(name, Waiting()),
            )
        async with Children() as children:
            children.start(pulse.run(), "pulse")
            writing = [
                children.start(writer.run(), f"write {name}")
                for name, writer in self.writers.items()
            ]
            self.refreshers = _refreshers(self.graph, self._clock, self.log)
            for refresher in self.refreshers:
                await refresher.once()
                children.start(refresher.run(), "refresh")
            news = DeadLetterNews(task, store.path, self._clock, self.log)
            await self._replay(store, task, news)
            self._reading = [
                children.start(reader.run(), f"read {name}")
                for name, reader in self.readers.items()
            ]
            self.state = "running"
            ticking = children.start(self._tick(store, news), "tick")
            stopping = children.start(self._wait_for_stop(store, task), "stop")
            await children.until(children.start(task.run(), "process"))
            self.saved = True
            stopping.cancel()
            ticking.cancel()
            await self._finish_writing(store, children, writing)
            for writer in self.writers.values():
                writer.drops.tell(last=True)
            await news.tell_of_damage()
            news.tell(last=True)

    async def _resumed(self, store: Store, pulse: Pulse) -> tuple[Task, Resume]:
        """The task at the newest checkpoint that it can go on from."""

        def restored(resume: Resume) -> None:
            trial = Flow(build(self.spec, Json(), self._allowed))
            trial.restore(resume.states, resume.meta.get("watermarks", {}), self._accept)
            trial.recall(resume.ids, anew=False)

        unfit = Unfit(restored)
        while True:
            resume = await recovered(store, self.graph, self._recover, self._clock, self.log, unfit)
            resume = await without_loss(store, resume, self.graph, self._accept, self.log)
            task = self.task = self._assemble(store, resume, await store.begin(), pulse)
            try:
                task.resume(resume, self._accept)
            except DamagedState as error:
                unfit.why[resume.generation] = str(error)
                self.graph = build(self.spec, Json(), self._allowed)
            else:
                return task, resume

    def _assemble(self, store: Store, resume: Resume, epoch: int, pulse: Pulse) -> Task:
        known = resume.store, epoch
        durable = self.delivery != "best_effort"
        sequence = sequence_after(resume.last_seq)
        for name, entry in self.graph.entries.items():
            journal = store if durable and not entry.component.replayable else None
            clock = self._clock if entry.time is not None else SteadyClock(self._clock)
            if isinstance(clock, SteadyClock):
                clock.not_before(resume.meta.get("watermarks", {}).get(name, [0])[0])
            ctx, status = _context(self, name, entry.component, clock, known)
            reader = Reader(name, entry.component, ctx, self._inbox, status, journal, sequence)
            if entry.component.replayable:
                reader.position = resume.positions.get(name)
            self.readers[name] = reader
        for name, exit_ in self.graph.exits.items():
            ctx, status = _context(self, name, exit_.component, self._clock, known)
            self.writers[name] = Writer(
                name,
                exit_.component,
                self.spec.sinks[name],
                ctx,
                status,
                store,
                resume.store,
                pulse,
                spooled=durable,
                limits=self.spec.dead_letters,
            )
        ownership = Ownership(pulse, [writer.guard for writer in self.writers.values()])
        for reader in self.readers.values():
            reader.ownership = ownership
        return Task(
            self.graph, self._inbox, store, self.readers, self.writers, self._clock, durable=durable
        )

    async def _replay(self, store: Store, task: Task, news: DeadLetterNews) -> None:
        """Process again what was journalled and is in no checkpoint; best effort has nothing."""
        if self.delivery == "best_effort":
            await store.forget_checkpoints()
            return
        positions = {
            name: int((task.position(name) or {}).get("seq", 0))
            for name, entry in self.graph.entries.items()
            if not entry.component.replayable
        }
        after = min(positions.values(), default=0)
        while rows := await store.blocks(after, 64) if positions else []:
            await news.tell_of_damage()  # while it is known what was not processed
            for row in rows:
                after = row.seq
                if row.seq > positions.get(row.source, row.seq):
                    data = self.graph.entries[row.source].component.unpack(row.raw, row.received)
                    await task.process(Item(row.source, data, {"seq": row.seq}))
                    await asyncio.sleep(0)
        await news.tell_of_damage()

    async def _tick(self, store: Store, news: DeadLetterNews) -> None:
        quiet = set(self.graph.entries)
        while True:
            await self._clock.sleep(until_next(TICK, self._clock.monotonic()))
            self._inbox.tick()
            self.jumps.look()
            store.settle()
            await news.tell_of_damage()
            news.tell()
            for name in [n for n in quiet if self.graph.entries[n].rows_out >= ENOUGH]:
                quiet.discard(name)
                entry = self.graph.entries[name]
                absent = {n: hint for n, hint in entry.codec.absent.items() if n in entry.certain}
                for column, hint in absent.items():
                    text = "%s: no row has the column %r that the pipeline uses; %s"
                    self.log.warning(text, name, column, hint or "is it spelt right?")

    async def _wait_for_stop(self, store: Store, task: Task) -> None:
        await self._stopping.wait()
        self.state = "stopping"
        ending = [
            reading
            for reader, reading in zip(self.readers.values(), self._reading, strict=True)
            if reader.stop()
        ]
        if ending:
            await asyncio.wait(ending, timeout=ENDING)
        settling = [
            asyncio.create_task(reader.settled(), name=f"settle {name}")
            for name, reader in self.readers.items()
        ]
        if settling:
            await asyncio.wait(settling, timeout=self.grace.left / 3)
        await ended(settling)
        await ended(self._reading)
        task.stop()

    async def _finish_writing(
        self, store: Store, children: Children, writing: list[asyncio.Task[None]]
    ) -> None:
        for writer in self.writers.values():
            writer.finish()
        last = asyncio.wait(writing, return_when=asyncio.FIRST_EXCEPTION)
        told = children.start(_told(self._stopping), "stop while writing")
        either: list[asyncio.Future[Any]] = [everything := asyncio.create_task(last), told]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        self.grace.begin()
        durable = self.delivery != "best_effort"
        await written(list(self.writers.values()), writing, self.grace, durable=durable)
        everything.cancel()
        await ended(writing)
        if durable:
            for name, writer in self.writers.items():
                await store.delivered(name, writer.lanes.live.sent)
        waiting = [name for name, writer in self.writers.items() if writer.lanes.pending]
        if waiting:
            fate = "wait in the state file" if durable else "are lost: delivery is best_effort"
            self.log.warning("%s: its last rows %s", ", ".join(waiting), fate)


def _context(
    running: Running, name: str, component: Component, clock: Clock, known: tuple[str, int]
) -> tuple[Context, StepStatus]:
    """What a source or sink is given; ``known`` are state file and epoch."""
    status = StepStatus(f"{name} {component.about.name}", running.log)
    # Best effort has no tokens, and nothing that a second worker could spoil.
    store, epoch = known[0], 0 if running.delivery == "best_effort" else known[1]
    whole = f"{running.spec.name}.{name}"
    return Context(whole, running.log, clock, status.metrics, store, epoch), status


def _refreshers(graph: Graph, clock: Clock, log: logging.Logger) -> list[Refresher]:
    return [
        Refresher(f"{node.id} {node.operator.about.name}", node.operator, clock, log)
        for node in graph.nodes.values()
        if isinstance(node.operator, Refreshed)
    ]


async def _told(event: asyncio.Event) -> None:
    await event.wait()


async def _unless(told: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What ``work`` gives, or None where the event came first."""
    tasks = asyncio.create_task(work), asyncio.create_task(told.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
