"""Savepoints: the state of a pipeline at one moment, as one portable file.

Layout: a first line that names format and version; then rows, each a 4-byte length (big endian),
JSON ``[table, blob length, values…]`` and the blob; at the end a row of length 0 and the SHA-256
of everything before it. Never pickle. Rule: a file is believed nothing: lengths are bounded by
what is there, tables and types are listed here, and every block is decoded before it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from edgestream.errors import EXIT_CONFIG, StoreError
from edgestream.packing import decode_batch, inflate
from edgestream.store.checkpoints import Resume, load
from edgestream.store.opening import close, connect
from edgestream.store.tables import MOST_RAW

FIRST = b"edgestream savepoint 1\n"
_HEAD = 64 * 1024 * 1024
"""The values of a row, as JSON, take no more bytes: a checkpoint's positions are among them."""
_DIGEST = 32
_BLOBS = ("states", "outbox", "spool", "event_ids", "journal")
_TABLES: dict[str, tuple[tuple[str, type], ...]] = {
    "checkpoints": (("epoch", int), ("at", int), ("cut", str), ("crc", int), ("topology", str)),
    "states": (("epoch", int), ("step", str)),
    "heads": (("sink", str), ("seq", int)),
    "outbox": (("sink", str), ("seq", int), ("n", int)),
    "spool": (("sink", str), ("seq", int), ("n", int), ("at", int), ("level", int), ("top", int)),
    "spools": (("sink", str), ("size", int), ("dropped", int)),
    "event_ids": (("source", str), ("epoch", int), ("newest", int)),
    "journal": (("seq", int), ("source", str), ("n", int), ("received", int), ("codec", int)),
}
_NULLABLE = frozenset({("spool", "top")})


def write(connection: sqlite3.Connection, path: Path) -> Resume:
    """Write the newest checkpoint and all that belongs to it; raises `StoreError`.

    The file appears when it is whole and on the disk. Gives what the savepoint resumes from.
    """
    connection.execute("BEGIN")
    resume = load(connection)
    if resume.damaged:
        raise unusable(f"the newest checkpoint is damaged: {resume.damaged[0]}")
    if not resume.generation:
        raise unusable("there is no checkpoint in the state file yet")
    with _whole(path) as file:
        digest = hashlib.sha256()
        for data in (FIRST, *_rows(connection, resume), b"\0\0\0\0"):
            digest.update(data)
            file.write(data)
        file.write(digest.digest())
    connection.execute("ROLLBACK")
    return resume


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write that appears under its name when it is whole and on the disk."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "wb") as made:
            yield made
            made.flush()
            os.fsync(made.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _rows(connection: sqlite3.Connection, resume: Resume) -> Iterator[bytes]:
    for table, columns in _TABLES.items():
        names = ", ".join(name for name, _ in columns)
        blob = ", data" if table in _BLOBS else ", NULL"
        where = ""
        values: tuple[int, ...] = ()
        if table in ("checkpoints", "states"):
            where, values = " WHERE epoch = ?", (resume.generation,)
        query = f"SELECT {names}{blob} FROM {table}{where}"  # noqa: S608 - of the names above
        for *row, data in connection.execute(query, values):
            if table == "journal" and row[0] <= resume.positions.get(row[1], {}).get("seq", 0):
                continue  # processed: only the same worker needs it, to know what comes twice
            head = json.dumps([table, len(data or b""), *row], separators=(",", ":")).encode()
            yield len(head).to_bytes(4, "big") + head
            if data:
                yield data


def restore(source: Path, target: Path) -> Resume:
    """Make a new state file at ``target`` of a savepoint; raises `StoreError` (78), nothing made.

    The file has a new identity: what sinks remember of the old one does not count.
    """
    try:
        with source.open("rb") as file:
            _verify(file)
            file.seek(len(FIRST))
            connection = connect(target)
            try:
                _fill(connection, file)
                resume = _validated(connection)
                close(connection)
            except BaseException:
                connection.close()
                for path in (target, *(Path(f"{target}{end}") for end in ("-wal", "-shm"))):
                    path.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise unusable(f"{source} cannot be read: {error.strerror}") from error
    return resume


def _verify(file: BinaryIO) -> None:
    """The digest at the end is that of everything before it."""
    size = os.fstat(file.fileno()).st_size
    if file.read(len(FIRST)) != FIRST:
        raise unusable("it is no savepoint of a version that this edgestream reads")
    left = size - len(FIRST) - _DIGEST
    digest = hashlib.sha256(FIRST)
    while left > 0 and (data := file.read(min(left, 1 << 20))):
        digest.update(data)
        left -= len(data)
    if left != 0 or file.read() != digest.digest():
        raise unusable("it is damaged or cut off: its digest does not match")


def _fill(connection: sqlite3.Connection, file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    connection.execute("BEGIN IMMEDIATE")
    while length := int.from_bytes(file.read(4), "big"):
        left = size - file.tell()
        if length > min(left, _HEAD):
            raise unusable("a row is longer than the file")
        table, blob, values = _row(file.read(length))
        if blob > left - length:
            raise unusable("a block is longer than the file")
        names = [name for name, _ in _TABLES[table]]
        if table in _BLOBS:
            names, values = [*names, "data"], [*values, file.read(blob)]
        marks = ", ".join("?" * len(names))
        query = f"INSERT INTO {table}({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - listed
        try:
            connection.execute(query, values)
        except (sqlite3.Error, OverflowError) as error:
            raise unusable(f"a row of {table} cannot be: {error}") from error
    connection.execute("COMMIT")


def _row(head: bytes) -> tuple[str, int, list[Any]]:
    """Table, length of the blob, and values; raises `StoreError` for what is never written."""
    try:
        table, blob, *values = json.loads(head)
        columns = _TABLES[table]
        fits = len(values) == len(columns) and isinstance(blob, int) and blob >= 0
        for value, (name, kind) in zip(values, columns, strict=True):
            null = value is None and (table, name) in _NULLABLE
            fits = fits and (null or type(value) is kind)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise unusable(f"a row is not what edgestream writes: {error}") from error
    if not fits:
        raise unusable(f"a row of {table} is not what edgestream writes")
    return table, blob, values


def _validated(connection: sqlite3.Connection) -> Resume:
    resume = load(connection)
    if resume.damaged or not resume.generation:
        raise unusable("; ".join(resume.damaged) or "there is no checkpoint in it")
    for table in ("outbox", "spool"):
        for (data,) in connection.execute(f"SELECT data FROM {table}"):  # noqa: S608 - the two
            decode_batch(data)
    for codec, data in connection.execute("SELECT codec, data FROM journal"):
        if codec:
            inflate(data, MOST_RAW)
    connection.execute(
        "UPDATE spools SET size = "
        "(SELECT coalesce(sum(length(data)), 0) FROM spool WHERE spool.sink = spools.sink)"
    )
    return resume


def copy(source: Path, target: Path) -> None:
    """Copy a savepoint file, whole or not at all, to where there is none."""
    if target.exists() or target.is_symlink():
        raise unusable(f"there is a file {target} already")
    try:
        with source.open("rb") as given, _whole(target) as made:
            while data := given.read(1 << 20):
                made.write(data)
    except OSError as error:
        raise unusable(f"{error.filename or source}: {error.strerror}") from error


def unusable(why: str) -> StoreError:
    """The refusal of a savepoint."""
    refused = StoreError(f"the savepoint cannot be used: {why}")
    refused.exit_code = EXIT_CONFIG
    return refused
