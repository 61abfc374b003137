"""The state file of one pipeline, as the runtime sees it: everything is awaited, nothing blocks."""

from __future__ import annotations

import asyncio
import functools
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgestream.batch import Batch
from edgestream.errors import EXIT_PERMISSION, StoreError
from edgestream.store import checkpoints, letters, tables
from edgestream.store.aside import Aside
from edgestream.store.checkpoints import Resume
from edgestream.store.letters import Bounds, DeadLetter, Held, Wanted
from edgestream.store.lock import Lock
from edgestream.store.spool import Budget, Spool, Waiting
from edgestream.store.tables import Cut, JournalRow
from edgestream.store.tail import Tails
from edgestream.store.thread import StoreThread


def state_dir() -> Path:
    """``$EDGESTREAM_STATE_DIR``, else ``/var/lib/edgestream`` if writable, else the user's own."""
    if given := os.environ.get("EDGESTREAM_STATE_DIR"):
        return Path(given)
    system = Path("/var/lib/edgestream")
    if system.is_dir() and os.access(system, os.W_OK):
        return system
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "edgestream"


class Store:
    """Journal, checkpoints, outbox and dead letters of one pipeline, in one file."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        """Use `open`."""
        self.path = path
        self.aside = Aside(bounds)
        self._spool = Spool(path.parent, self.aside)
        self._lock: Lock | None = None
        self._thread: StoreThread | None = None
        self._tails = Tails()

    @classmethod
    async def open(
        cls,
        folder: Path,
        pipeline: str,
        notice: Callable[[str], None] = lambda _: None,
        *,
        power_safe: bool = True,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    ) -> Store:
        """Open ``folder/pipeline.db``; raises `StoreLocked` or `StoreError`.

        ``notice`` is told what holds the file up (a full disk), and "" once that is over;
        ``power_safe`` says whether a commit waits for the disk, ``bounds`` how many dead letters
        are kept where damaged blocks become some.
        """
        store = cls(folder / f"{pipeline}.db", bounds)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            refused = StoreError(f"cannot create the state folder {folder}: {error.strerror}")
            refused.exit_code = EXIT_PERMISSION
            raise refused from error
        store._lock = Lock(folder / f"{pipeline}.lock")
        store._thread = StoreThread(store.path, notice, power_safe=power_safe)
        try:
            await store._thread.start()
            store._tails = await store._running.submit(tables.tails)
        except BaseException:
            store._lock.release()
            raise
        return store

    @property
    def _running(self) -> StoreThread:
        assert self._thread is not None, "the store is not open"
        return self._thread

    async def begin(self) -> int:
        """The epoch of this start, once it is on disk."""
        return await self._running.submit(checkpoints.incarnation)

    async def load(self, unfit: Mapping[int, str] = checkpoints.NONE) -> Resume:
        """What to start from, without the checkpoints that are ``unfit``, each with why."""
        return await self._running.submit(functools.partial(checkpoints.load, unfit=unfit))

    def append(self, row: JournalRow, *, silence: float | None = 0) -> asyncio.Future[None]:
        """Journal a block; done when it is on disk, told of as ``silence`` says (`submit`)."""
        self._tails.note(row.source, row.seq, row.n, row.received)
        return self._running.submit(functools.partial(tables.append, row=row), silence=silence)

    def settle(self) -> None:
        """Tell of what is on disk since the last time; raises the `StoreError` that ended it."""
        self._running.settle()
        self._running.check()

    async def room(self) -> None:
        """Wait while the disk is full, or until `hurry`."""
        await self._running.room.free.wait()

    @property
    def full(self) -> bool:
        """Whether the disk is full, so that reading must pause."""
        return not self._running.room.free.is_set()

    def hurry(self) -> None:
        """Wait for space no more: the pipeline is stopping."""
        self._running.room.hurry()

    async def blocks(self, after: int, limit: int = -1) -> list[JournalRow]:
        """Journalled blocks after a sequence number; damaged ones are set aside."""
        return await self._running.submit(
            functools.partial(tables.blocks, after=after, limit=limit, aside=self.aside)
        )

    async def tail(self, source: str) -> list[bytes]:
        """The blocks that may be delivered again, oldest first; damaged ones are set aside."""
        start = self._tails.start(source) - 1
        read = functools.partial(tables.blocks, after=start, source=source, aside=self.aside)
        return [row.raw for row in await self._running.submit(read)]

    def save(self, cut: Cut) -> asyncio.Future[Mapping[str, Waiting]]:
        """Write a checkpoint in one transaction; what waits for each sink then."""
        tails = self._tails.starts()

        def work(connection: sqlite3.Connection) -> Mapping[str, Waiting]:
            checkpoints.save(connection, cut, tails)
            return self._spool.add(connection, cut.spooled, cut.budgets, cut.at)

        return self._running.submit(work)

    async def go_back(self, resume: Resume) -> Resume:
        """Go on from an older generation, `Resume.damaged` ones being dropped."""
        await self._running.submit(functools.partial(checkpoints.go_back, resume=resume))
        return await self.load()

    async def start_over(self, positions: Mapping[str, Any], at: int) -> Resume:
        """Begin again without state, after ``positions`` of the journal."""
        await self._running.submit(
            functools.partial(checkpoints.start_over, positions=positions, at=at)
        )
        return await self.load()

    async def left(self) -> tuple[dict[str, int], dict[str, int]]:
        """Messages not yet processed by source, and batches that wait by sink."""
        return await self._running.submit(checkpoints.left)

    async def give_up(self, sink: str) -> None:
        """Drop all rows that wait for a sink that is gone."""
        await self._running.submit(functools.partial(checkpoints.give_up, sink=sink))

    async def forget_checkpoints(self) -> None:
        """Drop all checkpoints."""
        await self._running.submit(checkpoints.forget_checkpoints)

    async def crashed(self, place: str, at: int, closely: int) -> int:
        """Note a failure by a bug; how many there were in this ``place``, closely together."""
        work = functools.partial(tables.crashed, place=place, at=at, closely=closely)
        return await self._running.submit(work)

    def delivered(self, sink: str, seq: int) -> asyncio.Future[None]:
        """Forget what a sink has made durable."""
        return self._running.submit(functools.partial(tables.delivered, sink=sink, seq=seq))

    async def waiting(self, sink: str, after: int, limit: int) -> list[tuple[int, Batch]]:
        """The next batches a sink has not acknowledged; damaged ones are set aside."""
        read = functools.partial(
            tables.waiting, sink=sink, after=after, limit=limit, aside=self.aside
        )
        return await self._running.submit(read)

    async def late(self, sink: str, after: int) -> list[tuple[int, Batch]]:
        """The next batches of a sink's spool; they are not dropped any more."""
        page = functools.partial(self._spool.page, sink=sink, after=after)
        return await self._running.submit(page)

    async def forward(self, sink: str, seq: int, budget: Budget) -> Waiting:
        """Forget spooled rows that a sink has made durable; what waits then."""

        def work(connection: sqlite3.Connection) -> Waiting:
            self._spool.forward(connection, sink, seq)
            return self._spool.waiting(connection, sink, budget)

        return await self._running.submit(work)

    def bury(self, made: Sequence[DeadLetter], bounds: Bounds) -> asyncio.Future[None]:
        """Write dead letters outside a checkpoint."""
        work = functools.partial(letters.bury, letters=made, bounds=bounds)
        return self._running.submit(work)

    async def held(self) -> Held:
        """How many dead letters there are."""
        return await self._running.submit(letters.held_in)

    async def dead_letters(self, wanted: Wanted, limit: int = -1) -> list[DeadLetter]:
        """The dead letters that are wanted, oldest first."""
        work = functools.partial(letters.find, wanted=wanted, limit=limit)
        return await self._running.submit(work)

    async def drop_letters(self, wanted: Wanted) -> int:
        """Take dead letters out for good; gives how many."""
        return await self._running.submit(functools.partial(letters.drop, wanted=wanted))

    async def close(self) -> None:
        """Commit what is pending, close, and give the lock back."""
        if self._thread is not None:
            await self._thread.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
