"""The table `FileTable`: CSV, JSON and newline-delimited JSON, each a file of its own."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeAlias

import msgspec

from edgestream.component import component
from edgestream.config.fields import option
from edgestream.config.values import Bytes
from edgestream.errors import ConfigError, Problem, Retry
from edgestream.tables.table import Cell, Cells, Table

MOST_BYTES = 64 * 1024 * 1024

_Named: TypeAlias = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""The names of columns, and rows."""
_INT = re.compile(r"-?(0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


@component(
    "file",
    shorthand="path",
    examples=("table: sensors.csv", "table: {file: {path: limits.json}}"),
)
class FileTable(Table):
    """A table that is a file of its own, up to 64 MiB.

    How the name ends says how it is read: ``.csv`` with a header; ``.json``, a list of objects;
    ``.ndjson`` or ``.jsonl``, an object a line. A relative path is that from the folder of the
    pipeline file, for a table belongs to its pipeline; in a pipeline built in Python it is that
    from the working directory.
    """

    path: str = option(help="The file.", example="sensors.csv")

    def check(self) -> None:
        """A file of which it can be told what it holds."""
        if self._suffix() not in _READERS:
            hint = (
                f"known endings: {', '.join(sorted(_READERS))}; a table in SQLite is {{sqlite: …}}"
            )
            raise ConfigError(Problem(f"{self.path!r} is no table", (), hint))

    def beside(self, folder: str) -> Self:
        """The file lies beside the pipeline file."""
        return replace(self, path=str(Path(folder, self.path)))

    def place(self) -> str:
        """The file."""
        return self.path

    def stamp(self) -> object | None:
        """What changes when the file does; None where it cannot be looked at."""
        try:
            found = Path(self.path).stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def read(self, columns: Collection[str]) -> Cells:
        """The whole file."""
        try:
            with Path(self.path).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise Retry(f"cannot read {self.path}: {error.strerror}") from error
        if len(data) > MOST_BYTES:
            raise Retry(f"{self.path} is larger than {Bytes(MOST_BYTES)}")
        try:
            names, rows = _READERS[self._suffix()](data)
        except ValueError as error:
            raise Retry(f"cannot read {self.path}: {error}") from error
        cells = self.by_column(names, rows)
        if self._suffix() != ".csv":
            return cells
        return {name: _values(column) for name, column in cells.items()}

    def _suffix(self) -> str:
        return Path(self.path).suffix.lower()


def _csv(data: bytes) -> _Named:
    import csv  # noqa: PLC0415 - only where a table is CSV

    lines = io.StringIO(data.decode("utf-8-sig"), newline="")
    try:
        names, *rows = [row for row in csv.reader(lines, strict=True) if row] or [[]]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"row {number} has {len(row)} fields, the header {len(names)}")
    return names, rows


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


def _json(data: bytes) -> _Named:
    found = msgspec.json.decode(data)
    return _objects(found if isinstance(found, list) else [found])


def _ndjson(data: bytes) -> _Named:
    return _objects(msgspec.json.Decoder().decode_lines(data))


def _objects(found: Sequence[Any]) -> _Named:
    if not all(isinstance(row, dict) for row in found):
        raise ValueError("expected a list of objects")
    names = list(dict.fromkeys(name for row in found for name in row))
    return names, [[row.get(name) for name in names] for row in found]


_READERS: Mapping[str, Callable[[bytes], _Named]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _ndjson,
    ".ndjson": _ndjson,
}
