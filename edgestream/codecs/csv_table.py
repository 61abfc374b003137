"""From lines of separated values to columns: the header, and what was learnt of each column."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.batch import Array
from edgestream.codecs.columns import (
    Declared,
    Kind,
    Learnt,
    Texts,
    fit,
    from_meta,
    join,
    piece,
    to_meta,
)
from edgestream.codecs.columns import start as begin
from edgestream.codecs.csv_values import array, value_of
from edgestream.codecs.literals import read
from edgestream.component import Decoded, State
from edgestream.errors import ConfigError, did_you_mean
from edgestream.schema import ColumnKind

MAX_COLUMNS = 1024

_NOT_PLAIN = (b'"', b"\r")
_LINE_END = re.compile("\r\n|\r|\n")


class Table:
    """The state of decoding: the names of the fields, and the columns made of them."""

    def __init__(
        self,
        names: tuple[str, ...] | None,
        declared: Mapping[str, Declared],
        wanted: frozenset[str] | None,
        kinds: Mapping[str, ColumnKind],
        delimiter: str,
        max_payload: int,
    ) -> None:
        """``names`` are None where a header is to tell them."""
        self._given = names is not None
        self._declared = declared
        self._wanted = wanted
        self._kinds = kinds
        self._delimiter = delimiter
        self._max_payload = max_payload
        self._names: tuple[str, ...] | None = None
        self.columns: dict[str, Learnt] = {}
        for name in sorted(wanted or ()):
            self._add(name)
        if names is not None:
            self._use(names)

    def _add(self, name: str) -> None:
        if name not in self.columns and (self._wanted is None or name in self._wanted):
            known = self._declared.get(name)
            self.columns[name] = begin(name, known, self._kinds.get(name, "any"))

    def _use(self, names: tuple[str, ...]) -> None:
        """Take over names as the header."""
        if names == self._names:
            return
        if self._wanted is None and len({*self.columns, *names}) > MAX_COLUMNS:
            raise ValueError(f"more than {MAX_COLUMNS} different columns")
        for name in names:
            self._add(name)
        self._names = names

    def absent(self) -> dict[str, str]:
        """The wanted columns that the header lacks."""
        names = self._names
        if names is None:
            return {}
        return {name: did_you_mean(name, names) for name in self.columns if name not in names}

    @property
    def texts(self) -> list[Texts]:
        """The texts it remembers, of each column."""
        return [column.texts for column in self.columns.values()]

    def snapshot(self) -> State:
        """The header and what was learnt."""
        header = None if self._names is None else list(self._names)
        return State(1, {"header": header, "columns": to_meta(self.columns.values())}, {})

    def restore(self, saved: State) -> None:
        """Go on with a header and kinds known before."""
        if saved.version != 1:
            raise ConfigError(f"the state of the csv codec has the unknown version {saved.version}")
        header = saved.meta["header"]
        if header is not None and not self._given:
            self._use(tuple(header))
        for name in saved.meta["columns"]:
            self._add(name)
        for column in self.columns.values():
            from_meta(column, saved.meta["columns"])

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The columns of the good payloads, and why the others are rejected."""
        for column in self.columns.values():
            column.texts.renew()
        made = _Made()
        rows = self._plain_rows(payloads)
        for index, payload in enumerate(() if rows else payloads):
            before = self._names
            try:
                fields = self._row(payload)
            except ValueError as error:
                made.rejected[index] = str(error)
                continue
            if self._names is not before and rows:
                self._convert(before or (), rows, made)
                rows = []
            if fields is not None:
                rows.append((index, fields))
        self._convert(self._names or (), rows, made)
        columns = {
            name: join(column, zip(made.counts, made.parts(name), strict=True))
            for name, column in self.columns.items()
        }
        good = None if len(made.good) == len(payloads) else np.array(made.good, np.int64)
        return Decoded(columns, len(made.good), good, made.rejected)

    def _plain_rows(self, payloads: Sequence[bytes]) -> list[tuple[int, list[str]]]:
        """The fields of all payloads if each is one plain line under the header, else nothing.

        Nothing is quoted and no payload holds a line end, so a line is a payload.
        """
        whole = b"\n".join(payloads)
        if self._names is None or not whole.isascii() or any(sign in whole for sign in _NOT_PLAIN):
            return []
        if len(whole) > self._max_payload and max(map(len, payloads)) > self._max_payload:
            return []
        lines = whole.decode("ascii").split("\n")
        if len(lines) != len(payloads) or not all(map(str.strip, lines)):
            return []
        rows = [line.split(self._delimiter) for line in lines]
        if set(map(len, rows)) != {len(self._names)}:
            return []
        if not self._given and any(row[0].strip() == self._names[0] for row in rows):
            return []  # it may be the header again
        return list(enumerate(rows))

    def _row(self, payload: bytes) -> list[str] | None:
        """The fields of a row, None for a header; ValueError for what is no row."""
        lines = self._lines(payload)
        if len(lines) > 2 or (self._given and len(lines) == 2):
            raise ValueError(f"{len(lines)} lines in one payload; one payload is one row")
        names, fields = self._names or (), lines[-1]
        if not self._given:
            if len(lines) == 2:
                names = _header(lines[0])
            elif self._names is None:
                self._use(_header(lines[0]))
                return None
            elif tuple(field.strip() for field in lines[0]) == self._names:
                return None
        if len(fields) != len(names):
            raise ValueError(f"{len(fields)} fields where there are {len(names)} columns")
        # Only now: a payload that is rejected changes nothing for its neighbours.
        self._use(names)
        return fields

    def _lines(self, payload: bytes) -> list[list[str]]:
        if len(payload) > self._max_payload:
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        try:
            text = payload.decode().removeprefix("\ufeff").rstrip("\r\n")
        except UnicodeDecodeError as error:
            where = f"byte 0x{payload[error.start]:02x} (byte {error.start})"
            raise ValueError(f"not UTF-8: {where}") from None
        if not text.strip():
            raise ValueError("the payload is empty")
        if '"' not in text:
            if "\n" not in text and "\r" not in text:
                return [text.split(self._delimiter)]
            return [line.split(self._delimiter) for line in _LINE_END.split(text)]
        try:
            lines = text.splitlines(keepends=True)
            return list(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            raise ValueError(f"not CSV: {error}") from None

    def _convert(
        self, names: tuple[str, ...], rows: list[tuple[int, list[str]]], made: _Made
    ) -> None:
        """Add rows that lie under one header."""
        if not rows:
            return
        columns = {
            position: self.columns[name]
            for position, name in enumerate(names)
            if name in self.columns
        }
        parts = _fast(columns, rows)
        if parts is None:
            parts = _slow(columns, rows, made)
        else:
            made.good += [index for index, _ in rows]
        made.add(parts, len(made.good) - sum(made.counts))


class _Made:
    """The columns of one call, in pieces of rows that lie under one header."""

    def __init__(self) -> None:
        self.good: list[int] = []
        self.rejected: dict[int, str] = {}
        self.counts: list[int] = []
        self._pieces: list[Mapping[str, Array | None]] = []

    def add(self, pieces: Mapping[str, Array | None], count: int) -> None:
        self._pieces.append(pieces)
        self.counts.append(count)

    def parts(self, name: str) -> list[Array | None]:
        return [pieces.get(name) for pieces in self._pieces]


def _fast(
    columns: Mapping[int, Learnt], rows: Sequence[tuple[int, list[str]]]
) -> dict[str, Array | None] | None:
    """Column by column; None if any field needs a look of its own."""
    texts = list(zip(*(fields for _, fields in rows), strict=True))
    parts: dict[str, Array | None] = {}
    for position, column in columns.items():
        part = array(column, texts[position])
        if part is None and (column.kind is not None or any(texts[position])):
            return None
        parts[column.name] = part
    return parts


def _slow(
    columns: Mapping[int, Learnt],
    rows: Sequence[tuple[int, list[str]]],
    made: _Made,
) -> dict[str, Array | None]:
    """Row by row: learn from each, or reject it."""
    values: dict[str, list[Any]] = {column.name: [] for column in columns.values()}
    for index, fields in rows:
        kinds: dict[str, Kind | None] = {}
        row: dict[str, Any] = {}
        try:
            for position, column in columns.items():
                value = row[column.name] = value_of(column, fields[position])
                kinds[column.name] = fit(column, column.kind, value)
        except ValueError as error:
            made.rejected[index] = str(error)
            continue
        for column in columns.values():
            column.kind = kinds[column.name]
            values[column.name].append(row[column.name])
        made.good.append(index)
    return {
        column.name: None if column.kind is None else piece(column, values[column.name])
        for column in columns.values()
    }


def _header(fields: Sequence[str]) -> tuple[str, ...]:
    names = tuple(field.strip() for field in fields)
    if len(set(names)) != len(names):
        raise ValueError("the header names a column twice")
    for name in names:
        if not name or isinstance(read(name), int | float):
            raise ValueError(f"{name!r} is no name of a column; give columns if there is no header")
    return names
