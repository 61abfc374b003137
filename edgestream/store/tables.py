"""The tables of a state file and the statements on them; all run in the store's thread.

Rules: a checkpoint is one transaction; a journal row goes only when it is below the oldest kept
checkpoint and outside the tail by which redelivered messages are recognised.
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
from edgestream.packing import decode_batch, decode_state, encode_batch, encode_state, inflate

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('format', '1'), ('id', lower(hex(randomblob(8))));
CREATE TABLE IF NOT EXISTS journal(
  seq INTEGER PRIMARY KEY, source TEXT NOT NULL, n INTEGER NOT NULL, received INTEGER NOT NULL,
  codec INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints(
  epoch INTEGER PRIMARY KEY, at INTEGER NOT NULL, cut TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS states(
  epoch INTEGER NOT NULL, step TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY(epoch, step));
CREATE TABLE IF NOT EXISTS outbox(
  sink TEXT NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY(sink, seq));
CREATE TABLE IF NOT EXISTS dead_letters(
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, step TEXT NOT NULL,
  stage TEXT NOT NULL, position TEXT NOT NULL, reason TEXT NOT NULL, data BLOB NOT NULL);
"""

GENERATIONS = 3
TAIL_MESSAGES = 65_535
"""Receive Maximum: no more messages than this can be unacknowledged in one MQTT session."""
TAIL_NANOS = 120_000_000_000
"""What was acknowledged longer before the newest message than this has reached the broker: a dead
connection is noticed within one and a half keep-alives."""
MAX_DEAD_LETTERS = 100_000
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
class DeadLetter:
    """A payload or row that can never be processed: its bytes, where it was, and why."""

    at: int
    step: str
    stage: str
    position: str
    reason: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A checkpoint: everything that must be true at one moment between two micro-batches."""

    epoch: int
    at: int
    positions: Mapping[str, Any]
    meta: Mapping[str, Any]
    states: Mapping[str, State]
    outbox: Sequence[tuple[str, int, Batch]] = ()
    delivered: Mapping[str, int] = field(default_factory=dict)
    dead_letters: Sequence[DeadLetter] = ()


def append(connection: sqlite3.Connection, row: JournalRow) -> None:
    """Write one block."""
    packed = len(row.raw) >= _COMPRESS_FROM
    data = zlib.compress(row.raw, 1) if packed else row.raw
    connection.execute(
        "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)",
        (row.seq, row.source, row.n, row.received, int(packed), data),
    )


def blocks(connection: sqlite3.Connection, after: int, limit: int = -1) -> list[JournalRow]:
    """The blocks of all sources after a sequence number, in order."""
    rows = connection.execute(
        "SELECT seq, source, n, received, codec, data FROM journal WHERE seq > ? "
        "ORDER BY seq LIMIT ?",
        (after, limit),
    )
    return [
        JournalRow(seq, source, n, received, inflate(data, MOST_RAW) if codec else data)
        for seq, source, n, received, codec, data in rows
    ]


def tail_start(connection: sqlite3.Connection, source: str) -> int:
    """The first sequence number whose messages the other side may still send again."""
    messages, newest, first = 0, None, 0
    for seq, n, received in connection.execute(
        "SELECT seq, n, received FROM journal WHERE source = ? ORDER BY seq DESC", (source,)
    ):
        newest = received if newest is None else newest
        if messages >= TAIL_MESSAGES or received < newest - TAIL_NANOS:
            return first
        messages += n
        first = seq
    return first


def save(connection: sqlite3.Connection, cut: Cut) -> None:
    """Write a checkpoint and drop what no kept checkpoint needs any more."""
    text = json.dumps({"positions": cut.positions, "meta": cut.meta})
    connection.execute("INSERT INTO checkpoints VALUES (?, ?, ?)", (cut.epoch, cut.at, text))
    connection.executemany(
        "INSERT INTO states VALUES (?, ?, ?)",
        [(cut.epoch, step, encode_state(state)) for step, state in cut.states.items()],
    )
    connection.executemany(
        "INSERT INTO outbox VALUES (?, ?, ?, ?)",
        [(sink, seq, len(batch), encode_batch(batch)) for sink, seq, batch in cut.outbox],
    )
    for sink, seq in cut.delivered.items():
        delivered(connection, sink, seq)
    if cut.dead_letters:
        bury(connection, cut.dead_letters)
    _forget(connection, cut.epoch)


def _forget(connection: sqlite3.Connection, epoch: int) -> None:
    oldest = epoch - GENERATIONS + 1
    connection.execute("DELETE FROM states WHERE epoch < ?", (oldest,))
    connection.execute("DELETE FROM checkpoints WHERE epoch < ?", (oldest,))
    row = connection.execute("SELECT cut FROM checkpoints ORDER BY epoch LIMIT 1").fetchone()
    for source, position in json.loads(row[0])["positions"].items():
        if "seq" in position:
            below = min(position["seq"], tail_start(connection, source) - 1)
            connection.execute("DELETE FROM journal WHERE seq <= ? AND source = ?", (below, source))


def forget_checkpoints(connection: sqlite3.Connection) -> None:
    """Best effort keeps state only across a clean stop: a crash must not bring old state back."""
    connection.execute("DELETE FROM states")
    connection.execute("DELETE FROM checkpoints")


def delivered(connection: sqlite3.Connection, sink: str, seq: int) -> None:
    """A sink has made everything up to ``seq`` durable."""
    connection.execute("DELETE FROM outbox WHERE sink = ? AND seq <= ?", (sink, seq))


def waiting(
    connection: sqlite3.Connection, sink: str, after: int, limit: int
) -> list[tuple[int, Batch]]:
    """The next batches of a sink's outbox."""
    rows = connection.execute(
        "SELECT seq, data FROM outbox WHERE sink = ? AND seq > ? ORDER BY seq LIMIT ?",
        (sink, after, limit),
    )
    return [(seq, decode_batch(data)) for seq, data in rows]


def bury(connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> None:
    """Write dead letters; the oldest go beyond the bound."""
    connection.executemany(
        "INSERT INTO dead_letters(at, step, stage, position, reason, data) VALUES (?,?,?,?,?,?)",
        [(d.at, d.step, d.stage, d.position, d.reason, d.data) for d in letters],
    )
    connection.execute(
        "DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - ?",
        (MAX_DEAD_LETTERS,),
    )


@dataclass(frozen=True, slots=True)
class Resume:
    """What a pipeline starts from."""

    store: str
    epoch: int
    last_seq: int
    positions: Mapping[str, Any]
    meta: Mapping[str, Any]
    states: Mapping[str, State]
    outbox_heads: Mapping[str, int]
    outbox_bytes: Mapping[str, int]


def load(connection: sqlite3.Connection) -> Resume:
    """The newest checkpoint that can be read; raises `StoreError` (78) if none can."""
    store = connection.execute("SELECT value FROM meta WHERE name = 'id'").fetchone()[0]
    last_seq = connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]
    counts = {
        sink: (top, size)
        for sink, top, size in connection.execute(
            "SELECT sink, max(seq), sum(length(data)) FROM outbox GROUP BY sink"
        )
    }
    tops = {sink: top for sink, (top, _) in counts.items()}
    sizes = {sink: size for sink, (_, size) in counts.items()}
    damaged: StoreError | None = None
    for epoch, text in connection.execute(
        "SELECT epoch, cut FROM checkpoints ORDER BY epoch DESC"
    ).fetchall():
        try:
            positions, meta, last = _read_cut(epoch, text)
            states = {
                step: decode_state(data)
                for step, data in connection.execute(
                    "SELECT step, data FROM states WHERE epoch = ?", (epoch,)
                )
            }
        except StoreError as error:
            damaged = error
            continue
        newest = connection.execute("SELECT max(epoch) FROM checkpoints").fetchone()[0]
        return Resume(store, newest, max(last_seq, last), positions, meta, states, tops, sizes)
    if damaged is not None:
        damaged.exit_code = 78
        raise damaged
    return Resume(store, 0, last_seq, {}, {}, {}, tops, sizes)


def _read_cut(epoch: int, text: str) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Positions, meta and the last journal number of a checkpoint; raises `StoreError`."""
    try:
        cut = json.loads(text)
        positions, meta = dict(cut["positions"]), dict(cut["meta"])
        last = max((int(position.get("seq", 0)) for position in positions.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"checkpoint {epoch} is damaged: {error}") from error
    return positions, meta, last
