"""The one thread that owns the one SQLite connection of a state file.

Rule: whatever is asked while a commit is in flight goes into the next commit, all of it at once
(group commit). Work nobody waits for begins no commit of its own within `GATHER` of the last such:
a commit writes whole blocks of the disk, however little is in it. It is told of when the loop next
asks (`settle`): waking the loop for every commit costs as much as a commit. A failed commit fails
everything in it, and the thread takes no more work: after a failed fsync nothing on disk may be
trusted until it is read again. A full disk is no failure: the commit, of which nothing is left, is
tried again, first with the room of the ballast and then until there is space.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from edgestream.errors import StoreError
from edgestream.store.opening import close, connect, damaged
from edgestream.store.room import PAUSE, Room, full_disk
from edgestream.store.space import is_full

GATHER = 0.2
"""Seconds between commits of what nobody waits for."""

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
Entry = tuple[Work, asyncio.Future[Any], float | None]
"""What to do, who waits for it, and the ``silence`` of `StoreThread.submit`."""


class StoreThread:
    """Runs functions of a connection in one thread, grouped into commits."""

    def __init__(
        self, path: Path, notice: Callable[[str], None], *, power_safe: bool = True
    ) -> None:
        """Prepare for ``path``; ``notice`` is told in the loop what holds it up, or nothing."""
        self.room = Room(path, self._tell, notice)
        self._path = path
        self._power_safe = power_safe
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._done: deque[tuple[list[asyncio.Future[Any]], list[Any]]] = deque()
        self._thread = threading.Thread(target=self._run, name=f"store {path.stem}", daemon=True)
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._failed: StoreError | None = None

    async def start(self) -> None:
        """Open the file; raises `StoreError`."""
        self._thread.start()
        try:
            await asyncio.shield(self._opened)
        except asyncio.CancelledError:
            await self.close()
            raise

    def submit(
        self, work: Callable[[sqlite3.Connection], T], *, silence: float | None = 0
    ) -> asyncio.Future[T]:
        """Run ``work`` in the next commit; the future is done when it is on disk.

        Unless somebody waits for it (``silence`` is 0), others may join that commit for `GATHER`,
        or until nothing came for ``silence`` seconds (None: however long that is), and the future
        is done at the next `submit` or `settle` after it, or at once after a silence.
        """
        self.settle()
        future: asyncio.Future[T] = self._loop.create_future()
        if self._failed is not None:
            future.set_exception(self._failed)
        else:
            self._queue.put((work, future, silence))
        return future

    def settle(self) -> None:
        """Tell of what was committed since the last time."""
        while self._done:
            _set_results(*self._done.popleft())

    def check(self) -> None:
        """Raise the `StoreError` after which nothing is written any more."""
        if self._failed is not None:
            raise self._failed

    async def close(self) -> None:
        """Commit what is pending and close the file."""
        self.room.hurry()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            connection = self.room.until_written(
                lambda: connect(self._path, power_safe=self._power_safe)
            )
        except (sqlite3.Error, StoreError) as error:
            self._tell(_set_error, [self._opened], _translate(error, self._path))
            return
        self.room.keep_ballast()
        self._tell(_set_results, [self._opened], [None])
        open_for_work = True
        last = time.monotonic() - GATHER
        while open_for_work:
            group, quiet = self._gather(last + GATHER)
            open_for_work = None not in group
            entries = [entry for entry in group if entry is not None]
            self._commit(connection, entries)
            if any(
                silence != 0 for _, _, silence in entries
            ):  # the first after a start is not late
                last = time.monotonic()
            if quiet:
                self._tell(self.settle)
            if self.room.full:
                self.room.look()
        self._close(connection)

    def _gather(self, until: float) -> tuple[list[Entry | None], bool]:
        """What goes into the next commit, and whether somebody waits as nothing more came.

        Only what nobody waits for lets others join it ``until`` then.
        """
        group = [self._next()]
        while True:
            while not self._queue.empty():
                group.append(self._queue.get())
            left = until - time.monotonic()
            silences = [0 if entry is None else entry[2] for entry in group]
            silence = min((one for one in silences if one is not None), default=None)
            if left <= 0 or silence == 0:
                return group, False
            try:
                group.append(self._queue.get(timeout=min(left, silence or left)))
            except queue.Empty:
                return group, silence is not None

    def _next(self) -> Entry | None:
        """The next thing to do; while the disk is full, look now and then whether it still is."""
        while self.room.full:
            try:
                return self._queue.get(timeout=PAUSE)
            except queue.Empty:
                self.room.look()
        return self._queue.get()

    def _close(self, connection: sqlite3.Connection) -> None:
        if self._failed is not None:
            connection.close()
            return
        try:
            close(connection)
        except sqlite3.Error:
            connection.close()  # everything that was asked for is on disk; the next start checks

    def _commit(self, connection: sqlite3.Connection, group: list[Entry]) -> None:
        futures = [future for _, future, _ in group]
        if self._failed is not None:
            self._tell(_set_error, futures, self._failed)
            return
        if not group:
            return
        try:
            results = self.room.until_written(lambda: _transact(connection, group))
        except Exception as error:  # noqa: BLE001 - whatever it was, the waiting side raises it
            self._failed = _translate(error, self._path)
            self._tell(_set_error, futures, self._failed)
            return
        self._done.append((futures, results))
        if any(silence == 0 for _, _, silence in group):
            self._tell(self.settle)

    def _tell(self, call: Callable[..., None], *args: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *args)


def _transact(connection: sqlite3.Connection, group: list[Entry]) -> list[Any]:
    """All of a group in one transaction, or nothing of it."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        results = [work(connection) for work, _, _ in group]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
    return results


def _set_results(futures: list[asyncio.Future[Any]], results: list[Any]) -> None:
    for future, result in zip(futures, results, strict=True):
        if not future.done():
            future.set_result(result)


def _set_error(futures: list[asyncio.Future[Any]], error: StoreError) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)


def _translate(error: Exception, path: Path) -> StoreError:
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorname", "")
    if is_full(error):
        made = StoreError(f"{full_disk(path)}; it was stopped before there was space")
    elif code.startswith("SQLITE_NOTADB") or code.startswith("SQLITE_CORRUPT"):
        made = damaged(path, error)
    elif isinstance(error, sqlite3.Error):
        made = StoreError(
            f"cannot read or write {path}: {error} ({code or 'SQLite'}); nothing more is "
            "acknowledged, and the next start begins with what is on the disk"
        )
    else:
        made = StoreError(f"storing to {path} failed: {error!r}")
        made.exit_code = 1
    made.__cause__ = error
    return made
