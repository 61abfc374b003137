"""The dead letters of a state file: payloads and rows that could not be processed, and why.

Rules: they are bounded in number and in bytes, and what goes beyond is counted; a letter of a row
that is written again after a crash is there once (``once``); one that is replayed goes in the
transaction in which its outcome is on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from edgestream.batch import Batch
from edgestream.errors import StoreError
from edgestream.packing import decode_batch

Stage: TypeAlias = Literal["decode", "time", "operator", "write", "store"]
"""Where it went wrong: the codec, the event time, a step, a sink, the state file."""
STAGES: tuple[Stage, ...] = ("decode", "time", "operator", "write", "store")
Form: TypeAlias = Literal["payload", "row", "line", "text", "block"]
"""What ``data`` is: bytes as they came, one row as `packing.encode_batch` packs it, a line of a
file that the source itself could not read, the JSON text of a row, which files of format 2 and
older hold for those that a sink refused, or a damaged block of the state file."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS dead_letters(
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, step TEXT NOT NULL,
  stage TEXT NOT NULL, position TEXT NOT NULL, reason TEXT NOT NULL, data BLOB NOT NULL,
  form TEXT NOT NULL DEFAULT 'payload', beside TEXT NOT NULL DEFAULT '{}',
  received INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 1, once TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS dead_letters_once ON dead_letters(once) WHERE once IS NOT NULL;
"""
_ADDED = (
    "form TEXT NOT NULL DEFAULT 'payload'",
    "beside TEXT NOT NULL DEFAULT '{}'",
    "received INTEGER NOT NULL DEFAULT 0",
    "attempts INTEGER NOT NULL DEFAULT 1",
    "once TEXT",
)
_FIELDS = (
    *("at", "step", "stage", "position", "reason", "data"),
    *("form", "beside", "received", "attempts", "once"),
)
_COLUMNS = ", ".join(_FIELDS)
_SIZE = "length(data) + length(reason) + length(position) + length(beside) + 64"
"""The bytes of a letter; 64 stand for its numbers and its place in the file."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A payload or row that could not be processed: its bytes, where it was, and why.

    ``position`` (JSON) is where the source or the sink had it, ``beside`` (JSON) the columns that
    came with the payload (a topic), ``received`` and ``at`` the wall clock in ns when it came and
    when it was given up.
    """

    at: int
    step: str
    stage: Stage
    position: str
    reason: str
    data: bytes
    form: Form = "payload"
    beside: str = "{}"
    received: int = 0
    attempts: int = 1
    once: str | None = None
    id: int = 0

    @property
    def size(self) -> int:
        """The bytes it counts for."""
        texts = len(self.reason) + len(self.position) + len(self.beside)
        return len(self.data) + texts + 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many dead letters are kept, and how many bytes of them."""

    rows: int = 100_000
    bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Held:
    """The dead letters in a state file, and how many the bounds have ever pushed out."""

    rows: int
    bytes: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters: those that fit everything that is said; ``after`` and ``before`` in ns.

    ``reason`` is a part of the reason; ``above`` an id to go on after.
    """

    ids: tuple[int, ...] = ()
    step: str | None = None
    stage: str | None = None
    reason: str | None = None
    after: int | None = None
    before: int | None = None
    above: int = 0

    def sql(self) -> tuple[str, list[Any]]:
        """The condition, and the values bound in it."""
        parts = ["id > ?"]
        values: list[Any] = [self.above]
        if self.ids:
            parts.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(self.ids))
        for text, value in (
            ("step = ?", self.step),
            ("stage = ?", self.stage),
            ("instr(lower(reason), lower(?)) > 0", self.reason),
            ("at >= ?", self.after),
            ("at < ?", self.before),
        ):
            if value is not None:
                parts.append(text)
                values.append(value)
        return " AND ".join(parts), values


def readable(letter: DeadLetter) -> str:
    """Its payload as text, or its row as JSON; bytes that are no text are escaped."""
    if letter.form == "row" and (row := row_of(letter)) is not None:
        return json.dumps(row.rows()[0], default=str)
    return letter.data.decode("utf-8", "backslashreplace")


def row_of(letter: DeadLetter) -> Batch | None:
    """The row that it is, None where the state file gives back other bytes than were written."""
    try:
        return decode_batch(letter.data)
    except StoreError:
        return None


def widen(connection: sqlite3.Connection) -> None:
    """Give a table of an older format the columns it lacks, and count what is in it."""
    for column in _ADDED:
        connection.execute(f"ALTER TABLE dead_letters ADD COLUMN {column}")
    connection.execute("UPDATE dead_letters SET form = 'text' WHERE stage = 'write'")


def bury(connection: sqlite3.Connection, letters: Sequence[DeadLetter], bounds: Bounds) -> None:
    """Write dead letters; beyond the bounds the oldest go, and are counted."""
    held = held_in(connection)
    rows, size = held.rows, held.bytes
    for letter in letters:
        made = connection.execute(
            f"INSERT OR IGNORE INTO dead_letters({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
            [getattr(letter, name) for name in _FIELDS],
        )
        if made.rowcount:
            rows, size = rows + 1, size + letter.size
    gone = 0
    if rows > bounds.rows or size > bounds.bytes:
        last = 0
        for last, bytes_ in connection.execute(f"SELECT id, {_SIZE} FROM dead_letters ORDER BY id"):  # noqa: B007, S608
            gone, rows, size = gone + 1, rows - 1, size - bytes_
            if rows <= bounds.rows and size <= bounds.bytes:
                break
        connection.execute("DELETE FROM dead_letters WHERE id <= ?", (last,))
    hold(connection, Held(rows, size, held.dropped + gone))


def remove(connection: sqlite3.Connection, ids: Sequence[int]) -> int:
    """Take dead letters out; returns how many there were."""
    held = held_in(connection)
    removed, size = connection.execute(
        f"SELECT count(*), coalesce(sum({_SIZE}), 0) FROM dead_letters "  # noqa: S608
        "WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    ).fetchone()
    connection.execute(
        "DELETE FROM dead_letters WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    hold(connection, Held(held.rows - removed, held.bytes - size, held.dropped))
    return int(removed)


def find(connection: sqlite3.Connection, wanted: Wanted, limit: int = -1) -> list[DeadLetter]:
    """The letters that are wanted, oldest first."""
    where, values = wanted.sql()
    rows = connection.execute(
        f"SELECT {_COLUMNS}, id FROM dead_letters WHERE {where} ORDER BY id LIMIT ?",  # noqa: S608
        (*values, limit),
    )
    return [DeadLetter(*row) for row in rows]


def drop(connection: sqlite3.Connection, wanted: Wanted) -> int:
    """Take the letters that are wanted out; returns how many there were."""
    where, values = wanted.sql()
    query = f"SELECT id FROM dead_letters WHERE {where}"  # noqa: S608
    return remove(connection, [row[0] for row in connection.execute(query, values)])


def held_in(connection: sqlite3.Connection) -> Held:
    """How many there are, how large they are, and how many the bounds pushed out."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'dead_letters'").fetchone()
    if row is not None:
        saved: Mapping[str, int] = json.loads(row[0])
        return Held(saved["rows"], saved["bytes"], saved["dropped"])
    counted = f"SELECT count(*), coalesce(sum({_SIZE}), 0) FROM dead_letters"  # noqa: S608
    rows, size = connection.execute(counted).fetchone()
    return Held(rows, size, 0)


def hold(connection: sqlite3.Connection, held: Held) -> None:
    """Write down how many there are."""
    text = json.dumps({"rows": held.rows, "bytes": held.bytes, "dropped": held.dropped})
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('dead_letters', ?)", (text,))
