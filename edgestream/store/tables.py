"""The tables of a state file and the statements on them; all run in the store's thread.

Rule: the tail of the journal, by which redelivered messages are recognised, is kept.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgestream.batch import Batch
from edgestream.component import State
from edgestream.errors import StoreError
from edgestream.eventid import Chunk
from edgestream.packing import decode_batch, inflate
from edgestream.store.aside import Aside, Block
from edgestream.store.letters import Bounds, DeadLetter
from edgestream.store.spool import TABLES, Budget
from edgestream.store.tail import Tails

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('id', lower(hex(randomblob(8))));
CREATE TABLE IF NOT EXISTS journal(
  seq INTEGER PRIMARY KEY, source TEXT NOT NULL, n INTEGER NOT NULL, received INTEGER NOT NULL,
  codec INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints(
  epoch INTEGER PRIMARY KEY, at INTEGER NOT NULL, cut TEXT NOT NULL, crc INTEGER,
  topology TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS heads(sink TEXT PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS states(
  epoch INTEGER NOT NULL, step TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY(epoch, step));
CREATE TABLE IF NOT EXISTS outbox(
  sink TEXT NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY(sink, seq));
CREATE TABLE IF NOT EXISTS event_ids(
  source TEXT NOT NULL, epoch INTEGER NOT NULL, newest INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY(source, epoch));
"""
    + TABLES
)

MOST_RAW = 1 << 30
"""A journalled block unpacks to no more."""
_COMPRESS_FROM = 1024


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One block as it was received."""

    seq: int
    source: str
    n: int
    received: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A checkpoint: everything that must be true at one moment between two micro-batches.

    ``outbox`` are rows on their way to sinks, ``spooled`` those that have to wait, within
    ``budgets``. ``replayed`` are the numbers of dead letters whose outcome is in it; they go.
    """

    epoch: int
    at: int
    positions: Mapping[str, Any]
    meta: Mapping[str, Any]
    states: Mapping[str, State]
    outbox: Sequence[tuple[str, int, Batch]] = ()
    delivered: Mapping[str, int] = field(default_factory=dict)
    dead_letters: Sequence[DeadLetter] = ()
    replayed: Sequence[int] = ()
    bounds: Bounds = field(default_factory=Bounds)
    topology: str = ""
    ids: Mapping[str, Chunk] = field(default_factory=dict)
    spooled: Sequence[tuple[str, int, Batch]] = ()
    budgets: Mapping[str, Budget] = field(default_factory=dict)


def append(connection: sqlite3.Connection, row: JournalRow) -> None:
    """Write one block.

    ``codec``: whether it is packed, and above that bit a checksum (crc32) of the bytes stored;
    earlier versions wrote none.
    """
    packed = len(row.raw) >= _COMPRESS_FROM
    data = zlib.compress(row.raw, 1) if packed else row.raw
    codec = zlib.crc32(data) << 1 | packed
    connection.execute(
        "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)",
        (row.seq, row.source, row.n, row.received, codec, data),
    )


def blocks(
    connection: sqlite3.Connection,
    after: int,
    limit: int = -1,
    *,
    source: str | None = None,
    aside: Aside | None = None,
) -> list[JournalRow]:
    """The blocks of one source, or of all, after a sequence number, in order.

    Damaged ones are set ``aside``; without, they are a `StoreError`.
    """
    found: list[JournalRow] = []
    damaged: list[tuple[Block, str]] = []
    for seq, name, n, received, codec, data in connection.execute(
        "SELECT seq, source, n, received, codec, data FROM journal "
        "WHERE seq > ? AND coalesce(source = ?, 1) ORDER BY seq",
        (after, source),
    ):
        if len(found) == limit:
            break
        try:
            found.append(JournalRow(seq, name, n, received, _raw(codec, data)))
        except StoreError as error:
            if aside is None:
                raise
            damaged.append((Block("journal", name, seq, n, received, data), str(error)))
    if aside is not None:
        for block, why in damaged:
            aside.put(connection, block, why)
    return found


def _raw(codec: int, data: object) -> bytes:
    if not isinstance(data, bytes) or (codec > 1 and zlib.crc32(data) != codec >> 1):
        raise StoreError("a journalled block is damaged (checksum does not match)")
    return inflate(data, MOST_RAW) if codec & 1 else data


def tails(connection: sqlite3.Connection) -> Tails:
    """Where the tail of each source's journal begins."""
    return Tails(connection.execute("SELECT source, seq, n, received FROM journal ORDER BY seq"))


def delivered(connection: sqlite3.Connection, sink: str, seq: int) -> None:
    """A sink has made everything up to ``seq`` durable."""
    connection.execute("DELETE FROM outbox WHERE sink = ? AND seq <= ?", (sink, seq))


def waiting(
    connection: sqlite3.Connection, sink: str, after: int, limit: int, aside: Aside
) -> list[tuple[int, Batch]]:
    """The next batches of a sink's outbox; damaged ones are set ``aside``."""
    found: list[tuple[int, Batch]] = []
    damaged: list[tuple[Block, str]] = []
    for seq, n, data in connection.execute(
        "SELECT seq, n, data FROM outbox WHERE sink = ? AND seq > ? ORDER BY seq", (sink, after)
    ):
        if len(found) == limit:
            break
        try:
            found.append((seq, decode_batch(data)))
        except StoreError as error:
            damaged.append((Block("outbox", sink, seq, n, 0, data), str(error)))
    for block, why in damaged:
        aside.put(connection, block, why)
    return found


def crashed(connection: sqlite3.Connection, place: str, at: int, closely: int) -> int:
    """Count a failure by a bug with those before it in the same place; how many there are."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'crash'").fetchone()
    known: dict[str, Any] = json.loads(row[0]) if row is not None else {}
    again = known.get("place") == place and abs(at - known["at"]) <= closely
    count = known["count"] + 1 if again else 1
    text = json.dumps({"place": place, "at": at, "count": count})
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('crash', ?)", (text,))
    return count
