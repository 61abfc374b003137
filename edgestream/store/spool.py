"""The spool: rows of a sink that cannot take them now, on disk within a budget.

Rules: what has been offered to the sink may be there already, so only younger rows are dropped;
every dropped row is counted in the transaction that drops it, and so are the bytes that wait
(``auto_vacuum`` is off: freed pages are used again and the file does not shrink, so the budget
counts live bytes). All of it runs in the store's thread, again where the disk was full: what is
remembered between transactions may only be too careful.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgestream.batch import Batch, concat
from edgestream.errors import StoreError
from edgestream.packing import decode_batch, encode_batch
from edgestream.spec import Overflow
from edgestream.store.aside import Aside, Block
from edgestream.store.letters import Bounds
from edgestream.store.thin import newest_window, thinned

TABLES = """
CREATE TABLE IF NOT EXISTS spool(
  sink TEXT NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL,
  level INTEGER NOT NULL, top INTEGER, data BLOB NOT NULL, PRIMARY KEY(sink, seq));
CREATE TABLE IF NOT EXISTS spools(
  sink TEXT PRIMARY KEY, size INTEGER NOT NULL, dropped INTEGER NOT NULL) WITHOUT ROWID;
"""
LATE = "/late"
"""Behind the name of a sink: under it the number of its last spooled rows is kept."""
PAGE_ROWS = 16_384
"""A page that goes to the sink at once holds about so many rows."""
PAGE_BATCHES = 32
CHUNK_ROWS = 32_768
"""About so many rows are thinned together."""
CHUNK_BATCHES = 64
SLACK = 1024 * 1024
"""So much may wait even while the disk is nearly full: it is on its way."""
SANE = 1_577_836_800_000_000_000
"""2020 in ns: a time before says that the machine did not know the time."""


_OLDEST = (
    "SELECT seq, n, length(data), at FROM spool WHERE sink = ? AND seq > ? ORDER BY seq LIMIT 1"
)
_NEWEST = _OLDEST.replace("ORDER BY seq", "ORDER BY seq DESC")


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a sink may wait, in bytes and ns (0: for ever), and what goes beyond."""

    max_bytes: int
    max_age: int = 0
    min_free: int = 0
    overflow: Overflow = "pause"
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a sink: bytes, the age of the oldest rows, and the rows dropped so far.

    ``short`` says that the disk is nearly full; ``head`` is the last number given, ``top`` the
    newest start of a window among the rows.
    """

    size: int = 0
    oldest: int | None = None
    dropped: int = 0
    short: bool = False
    head: int = 0
    top: int | None = None


@dataclass(slots=True)
class _Walk:
    offered: int
    """The last number offered to the sink."""
    level: int = 0
    walked: int = 0
    """Up to this number, everything is thinned once more than ``level``."""


@dataclass(slots=True)
class Spool:
    """The spools of all sinks of a state file; ``folder`` is where the file lies.

    Damaged batches are set ``aside``.
    """

    folder: Path
    aside: Aside = field(default_factory=lambda: Aside(Bounds()))
    _walks: dict[str, _Walk] = field(default_factory=dict)

    def add(
        self,
        connection: sqlite3.Connection,
        rows: Sequence[tuple[str, int, Batch]],
        budgets: Mapping[str, Budget],
        now: int,
    ) -> dict[str, Waiting]:
        """Add rows of sinks, drop what is beyond their budgets, and say what waits then."""
        before = {sink: _sums(connection, sink)[0] for sink in budgets}
        for sink in budgets:
            self._walk(connection, sink)  # what may have been offered is older than these rows
        for sink, seq, batch in rows:
            data = encode_batch(batch)
            connection.execute(
                "INSERT INTO spool VALUES (?, ?, ?, ?, 0, ?, ?)",
                (sink, seq, len(batch), now, newest_window(batch), data),
            )
            _count(connection, sink, len(data))
        for sink, budget in budgets.items():
            self._fit(connection, sink, budget, now, before[sink])
        return {sink: self.waiting(connection, sink, budget) for sink, budget in budgets.items()}

    def _fit(
        self, connection: sqlite3.Connection, sink: str, budget: Budget, now: int, before: int
    ) -> None:
        """Drop what is beyond the budget, as it says; ``before`` bytes waited before."""
        if budget.overflow == "pause":
            return
        if budget.max_age:
            self._drop_aged(connection, sink, now - budget.max_age)
        limit = budget.max_bytes
        if self._short(budget):
            limit = min(limit, max(before, SLACK))
        while _sums(connection, sink)[0] > limit:
            if budget.overflow == "downsample" and self._thin(connection, sink, budget.by):
                continue
            newest = budget.overflow == "drop_newest"
            if not self._drop_one(connection, sink, newest=newest):
                return

    def waiting(
        self, connection: sqlite3.Connection, sink: str, budget: Budget | None = None
    ) -> Waiting:
        """What waits for a sink."""
        size, dropped = _sums(connection, sink)
        oldest = connection.execute(
            "SELECT at FROM spool WHERE sink = ? ORDER BY seq LIMIT 1", (sink,)
        ).fetchone()
        return Waiting(
            size,
            oldest[0] if oldest and oldest[0] >= SANE else None,
            dropped,
            budget is not None and self._short(budget),
        )

    def page(
        self, connection: sqlite3.Connection, sink: str, after: int
    ) -> list[tuple[int, Batch]]:
        """The next batches for the sink; from now on they are not dropped."""
        found: list[tuple[int, Batch]] = []
        damaged: list[tuple[Block, str]] = []
        rows = 0
        for seq, n, at, data in connection.execute(
            "SELECT seq, n, at, data FROM spool WHERE sink = ? AND seq > ? ORDER BY seq",
            (sink, after),
        ):
            try:
                batch = decode_batch(data)
            except StoreError as error:
                damaged.append((Block("spool", sink, seq, n, at, data), str(error)))
                continue
            if found and (rows + len(batch) > PAGE_ROWS or len(found) == PAGE_BATCHES):
                break
            found.append((seq, batch))
            rows += len(batch)
        for block, why in damaged:
            _set_aside(connection, self.aside, block, why)
        if found:
            walk = self._walk(connection, sink)
            walk.offered = max(walk.offered, found[-1][0])
        return found

    def forward(self, connection: sqlite3.Connection, sink: str, seq: int) -> None:
        """A sink has made everything up to ``seq`` durable."""
        gone = connection.execute(
            "SELECT coalesce(sum(length(data)), 0) FROM spool WHERE sink = ? AND seq <= ?",
            (sink, seq),
        ).fetchone()[0]
        connection.execute("DELETE FROM spool WHERE sink = ? AND seq <= ?", (sink, seq))
        if gone:
            _count(connection, sink, -gone)

    def _walk(self, connection: sqlite3.Connection, sink: str) -> _Walk:
        walk = self._walks.get(sink)
        if walk is None:
            # What a run that crashed may have offered last is the first page.
            walk = self._walks[sink] = _Walk(_first_page(connection, sink))
        return walk

    def _short(self, budget: Budget) -> bool:
        if not budget.min_free:
            return False
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize < budget.min_free

    def _drop_aged(self, connection: sqlite3.Connection, sink: str, before: int) -> None:
        young = (sink, self._walk(connection, sink).offered)
        while row := connection.execute(_OLDEST, young).fetchone():
            if not SANE <= row[3] < before:
                return
            self._drop(connection, sink, *row[:3])

    def _drop_one(self, connection: sqlite3.Connection, sink: str, *, newest: bool) -> bool:
        """Drop one batch that was not offered; False where there is none."""
        query = _NEWEST if newest else _OLDEST
        young = (sink, self._walk(connection, sink).offered)
        row = connection.execute(query, young).fetchone()
        if row is not None:
            self._drop(connection, sink, *row[:3])
        return row is not None

    def _drop(
        self, connection: sqlite3.Connection, sink: str, seq: int, rows: int, size: int
    ) -> None:
        connection.execute("DELETE FROM spool WHERE sink = ? AND seq = ?", (sink, seq))
        _count(connection, sink, -size, rows)

    def _thin(self, connection: sqlite3.Connection, sink: str, by: Sequence[str]) -> bool:
        """Keep every second row of each key in the oldest batches that were thinned least.

        False where that frees nothing: every key has one row there.
        """
        walk = self._walk(connection, sink)
        chunk = self._chunk(connection, sink)
        if not chunk:
            walk.walked = 0
            least = connection.execute(
                "SELECT min(level) FROM spool WHERE sink = ? AND seq > ?", (sink, walk.offered)
            ).fetchone()[0]
            if least is None:
                return False
            walk.level = least
            chunk = self._chunk(connection, sink)
        batches = []
        for seq, at, n, data in chunk:
            try:
                batches.append(decode_batch(data))
            except StoreError as error:
                block = Block("spool", sink, seq, n, at, data)
                _set_aside(connection, self.aside, block, str(error))
        if len(batches) < len(chunk):
            return True
        whole = concat(batches)
        kept = thinned(whole, by)
        seq, at = chunk[-1][:2]
        walk.walked = seq
        if len(kept) == len(whole):
            return False
        connection.executemany(
            "DELETE FROM spool WHERE sink = ? AND seq = ?", [(sink, row[0]) for row in chunk]
        )
        data = encode_batch(kept)
        connection.execute(
            "INSERT INTO spool VALUES (?, ?, ?, ?, ?, ?, ?)",
            (sink, seq, len(kept), at, walk.level + 1, newest_window(kept), data),
        )
        freed = sum(len(row[-1]) for row in chunk) - len(data)
        _count(connection, sink, -freed, len(whole) - len(kept))
        return True

    def _chunk(
        self, connection: sqlite3.Connection, sink: str
    ) -> list[tuple[int, int, int, bytes]]:
        """The next batches to thin: (seq, at, rows, data); two at least, where there are two."""
        walk = self._walk(connection, sink)
        chunk: list[tuple[int, int, int, bytes]] = []
        rows = 0
        for row in connection.execute(
            "SELECT seq, at, n, data FROM spool WHERE sink = ? AND seq > ? AND level <= ? "
            "ORDER BY seq LIMIT ?",
            (sink, max(walk.offered, walk.walked), walk.level, CHUNK_BATCHES),
        ):
            rows += row[2]
            if len(chunk) >= 2 and rows > CHUNK_ROWS:
                break
            chunk.append(row)
        return chunk


def waiting_in(connection: sqlite3.Connection) -> dict[str, Waiting]:
    """What waits for each sink in a file that has just been opened."""
    ends = {
        sink: (head, top, oldest if oldest >= SANE else None)
        for sink, head, top, oldest in connection.execute(
            "SELECT sink, max(seq), max(top), min(at) FROM spool GROUP BY sink"
        )
    }
    return {
        sink: Waiting(size, oldest, dropped, False, head, top)
        for sink, size, dropped in connection.execute("SELECT sink, size, dropped FROM spools")
        for head, top, oldest in [ends.get(sink, (0, None, None))]
    }


def _set_aside(connection: sqlite3.Connection, aside: Aside, block: Block, why: str) -> None:
    """Take a damaged batch out of the spool, and its bytes off what waits."""
    size = "SELECT length(data) FROM spool WHERE sink = ? AND seq = ?"
    _count(connection, block.name, -connection.execute(size, (block.name, block.seq)).fetchone()[0])
    aside.put(connection, block, why)


def take_back(connection: sqlite3.Connection, sink: str, after: int) -> None:
    """Forget what came after number ``after``: it is made again.

    Thinned rows stay, because some of them may be older.
    """
    young = "spool WHERE sink = ? AND seq > ? AND level = 0"
    size = connection.execute(f"SELECT coalesce(sum(length(data)), 0) FROM {young}", (sink, after))  # noqa: S608
    _count(connection, sink, -size.fetchone()[0])
    connection.execute(f"DELETE FROM {young}", (sink, after))  # noqa: S608


def _first_page(connection: sqlite3.Connection, sink: str) -> int:
    """The last number of the first page, 0 where nothing waits."""
    last = rows = 0
    for seq, n in connection.execute(
        "SELECT seq, n FROM spool WHERE sink = ? ORDER BY seq LIMIT ?", (sink, PAGE_BATCHES)
    ):
        rows += n
        if last and rows > PAGE_ROWS:
            break
        last = seq
    return last


def _sums(connection: sqlite3.Connection, sink: str) -> tuple[int, int]:
    """The bytes that wait and the rows dropped so far."""
    query = "SELECT size, dropped FROM spools WHERE sink = ?"
    row = connection.execute(query, (sink,)).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def _count(connection: sqlite3.Connection, sink: str, size: int, dropped: int = 0) -> None:
    connection.execute(
        "INSERT INTO spools VALUES (?, ?, ?) ON CONFLICT(sink) DO UPDATE "
        "SET size = size + excluded.size, dropped = dropped + excluded.dropped",
        (sink, size, dropped),
    )
