"""Small tables in files: CSV, JSON, newline-delimited JSON, SQLite; read as a whole.

What cannot be read now, or holds what no column can, raises `Retry` with the reason in words.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from edgestream.config.fields import option
from edgestream.config.values import Bytes
from edgestream.errors import ConfigError, Problem, Retry

MOST_BYTES = 64 * 1024 * 1024
MOST_ROWS = 1_000_000
Cell: TypeAlias = str | int | float | bool | None
Cells: TypeAlias = Mapping[str, Sequence[Cell]]
"""A table by columns, all of one length."""

_INT = re.compile(r"-?(0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class SqliteTable:
    """A table, or the rows of a query, in an SQLite file."""

    path: str = option(help="The file.")
    table: str = option(default="", help="The table to read.")
    query: str = option(default="", help="A query to read instead.", example="SELECT * FROM a")

    def __post_init__(self) -> None:
        """Either a table or a query; raises `ConfigError`."""
        if bool(self.table) == bool(self.query):
            raise ConfigError(Problem("give either a table or a query", ("table",)))


def read_file(path: str) -> Cells:
    """The table in a file, by how its name ends."""
    read = _READERS.get(Path(path).suffix.lower())
    if read is None:
        raise Retry(f"{path}: it cannot be told what it holds; known: {', '.join(endings())}")
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Retry(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise Retry(f"{path} is larger than {Bytes(MOST_BYTES)}")
    try:
        return read(data)
    except ValueError as error:
        raise Retry(f"cannot read {path}: {error}") from error


def endings() -> list[str]:
    """How the names of files end whose format is known."""
    return sorted(_READERS)


def read_sqlite(source: SqliteTable) -> Cells:
    """The rows of a table or query; the file is opened for reading only."""
    import sqlite3  # noqa: PLC0415 - only where a table is in SQLite

    name = source.table.replace('"', '""')
    query = source.query or f'SELECT * FROM "{name}"'  # noqa: S608 - the name is quoted
    try:
        uri = f"{Path(source.path).absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=1.0)
        try:
            cursor = connection.execute(query)
            names = [str(column[0]) for column in cursor.description or ()]
            rows = cursor.fetchmany(MOST_ROWS + 1)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Retry(f"cannot read {source.path}: {error}") from error
    try:
        return _columns(names, rows)
    except ValueError as error:
        raise Retry(f"cannot read {source.path}: {error}") from error


def _csv(data: bytes) -> Cells:
    import csv  # noqa: PLC0415 - only where a table is CSV

    lines = io.StringIO(data.decode("utf-8-sig"), newline="")
    try:
        names, *rows = [row for row in csv.reader(lines, strict=True) if row] or [[]]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"row {number} has {len(row)} fields, the header {len(names)}")
    return {name: _values(column) for name, column in _columns(names, rows).items()}


def _values(texts: Sequence[Cell]) -> Sequence[Cell]:
    """A column of CSV: numbers, or true and false, where all values are; else text."""
    given = [str(text) for text in texts if text]
    made: Callable[[str], Cell] = str
    if given and all(map(_INT.fullmatch, given)):
        made = int
    elif given and all(map(_FLOAT.fullmatch, given)):
        made = float
    elif given and all(text in ("true", "false") for text in given):
        made = "true".__eq__
    return [made(str(text)) if text else None for text in texts]


def _json(data: bytes) -> Cells:
    found = msgspec.json.decode(data)
    return _objects(found if isinstance(found, list) else [found])


def _ndjson(data: bytes) -> Cells:
    return _objects(msgspec.json.Decoder().decode_lines(data))


def _objects(found: Sequence[Any]) -> Cells:
    if not all(isinstance(row, dict) for row in found):
        raise ValueError("expected a list of objects")
    names = list(dict.fromkeys(name for row in found for name in row))
    return _columns(names, [[row.get(name) for name in names] for row in found])


def _columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Cells:
    if not names or "" in names or len(set(names)) < len(names):
        raise ValueError("its columns need names, all different")
    if len(rows) > MOST_ROWS:
        raise ValueError(f"it has more than {MOST_ROWS:,} rows")
    lists = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    for name, column in zip(names, lists, strict=True):
        for value in column:
            if value is not None and not isinstance(value, str | int | float):
                raise ValueError(f"the column {name!r} holds more than text and numbers")
    return dict(zip(names, lists, strict=True))


_READERS: Mapping[str, Callable[[bytes], Cells]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _ndjson,
    ".ndjson": _ndjson,
}
