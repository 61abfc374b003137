"""The tables of a SQLite file, read page by page without SQLite, past what is damaged.

SQLite gives up a query at the first page that makes no sense. Here every page of a table is looked
at by itself: what can be read is given, and where something cannot, that is said. Rule: a file is
believed nothing; page numbers, lengths and counts are checked before they are followed. A page that
no table leads to is not taken up unless the list of free pages is whole: those hold rows that were
deleted.

Format: https://sqlite.org/fileformat2.html
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edgestream.store.wal import committed

Value: TypeAlias = "int | float | str | bytes | None"
_INTERIOR, _LEAF = 5, 13
_INDEX_INTERIOR, _INDEX_LEAF = 2, 10
_HEADER = 100
"""Bytes before the first page's own."""
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_USUAL_PAGE = 1024
_DEEPEST = 20


class Unreadable(Exception):
    """A page, or a row in it, that makes no sense."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was stored; a column that is the row's number is None in ``values``."""

    number: int
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """A page that cannot be read, or a row on it."""

    page: int


class Pages:
    """The pages of a file with those that its log has for it."""

    def __init__(self, path: Path) -> None:
        """Of the SQLite file ``path``; raises OSError."""
        self._file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        size = int.from_bytes(os.pread(self._file, _HEADER, 0)[16:18], "big")
        size = 65_536 if size == 1 else size
        self.size = size if size >= 512 and size & (size - 1) == 0 else _USUAL_PAGE
        log = committed(path, self.size)
        self.count = log.count or os.fstat(self._file).st_size // self.size
        self.behind = log.behind
        """Transactions of the log that cannot be read."""
        self._log = log.pages
        self._seen: set[int] = set()

    def close(self) -> None:
        """Let the file go."""
        os.close(self._file)

    def page(self, number: int) -> bytes:
        """One page; raises `Unreadable` where there is none."""
        if not 1 <= number <= self.count:
            raise Unreadable(f"there is no page {number}")
        if number in self._log:
            return self._log[number]
        try:
            data = os.pread(self._file, self.size, (number - 1) * self.size)
        except OSError as error:
            raise Unreadable(f"page {number}: {error.strerror}") from error
        if len(data) < self.size:
            raise Unreadable(f"page {number} is cut off")
        return data

    def rows(self, root: int) -> Iterator[Row | Lost]:
        """The rows of the table at page ``root`` in their order, and what cannot be read."""
        yield from self._tree(root, 0)

    def orphans(self) -> Iterator[list[Row]]:
        """The rows of pages that no table leads to; of none where that may be deleted ones."""
        free = self._free()
        if free is None:
            return
        for number in range(2, self.count + 1):
            if number in self._seen or number in free:
                continue
            try:
                data = self.page(number)
                if data[0] == _LEAF:
                    yield [self._row(data, at) for at in _cells(data, 0, 8)]
            except (Unreadable, IndexError, struct.error):
                continue

    def _tree(self, number: int, depth: int) -> Iterator[Row | Lost]:
        if number in self._seen or depth > _DEEPEST:
            yield Lost(number)
            return
        self._seen.add(number)
        begin = _HEADER if number == 1 else 0
        try:
            data = self.page(number)
            kind = data[begin]
            interior = kind in (_INTERIOR, _INDEX_INTERIOR)
            if not interior and kind not in (_LEAF, _INDEX_LEAF):
                raise Unreadable(f"page {number} is of no kind")
            places = _cells(data, begin, 12 if interior else 8)
        except (Unreadable, IndexError):
            yield Lost(number)
            return
        for at in places:
            if interior:
                yield from self._tree(int.from_bytes(data[at : at + 4], "big"), depth + 1)
            if kind != _INTERIOR:
                try:
                    yield self._row(data, at, kind)
                except (Unreadable, IndexError, struct.error):
                    yield Lost(number)
        if interior:
            yield from self._tree(int.from_bytes(data[begin + 8 : begin + 12], "big"), depth + 1)

    def _row(self, data: bytes, at: int, kind: int = _LEAF) -> Row:
        at += 4 * (kind == _INDEX_INTERIOR)
        length, at = _varint(data, at)
        number = 0
        if kind == _LEAF:
            number, at = _varint(data, at)
        return Row(_signed(number), tuple(_values(self._payload(data, at, length, kind))))

    def _payload(self, data: bytes, at: int, length: int, kind: int) -> bytes:
        """The bytes of a row: those on its page, and those on pages of their own."""
        most = self.size - 35 if kind == _LEAF else (self.size - 12) * 64 // 255 - 23
        if length > self.count * self.size:
            raise Unreadable("a row is longer than the file")
        if length <= most:
            if at + length > len(data):
                raise Unreadable("a row leaves its page")
            return data[at : at + length]
        least = (self.size - 12) * 32 // 255 - 23
        here = least + (length - least) % (self.size - 4)
        here = here if here <= most else least
        parts = [data[at : at + here]]
        following = int.from_bytes(data[at + here : at + here + 4], "big")
        left = length - here
        while left > 0:
            page = self.page(following)
            parts.append(page[4 : 4 + left])
            left -= len(parts[-1])
            following = int.from_bytes(page[:4], "big")
        if following:
            raise Unreadable("a row goes on behind its end")
        return b"".join(parts)

    def _free(self) -> set[int] | None:
        """The pages that are free; None where their list is not whole."""
        found: set[int] = set()
        try:
            head = self.page(1)
            trunk, count = struct.unpack(">II", head[32:40])
            while trunk and trunk not in found:
                data = self.page(trunk)
                following, leaves = struct.unpack(">II", data[:8])
                found.add(trunk)
                found.update(struct.unpack_from(f">{leaves}I", data, 8))
                trunk = following
        except (Unreadable, struct.error):
            return None
        return found if len(found) == count else None


def _cells(data: bytes, begin: int, header: int) -> list[int]:
    """Where the cells of a page begin."""
    count = int.from_bytes(data[begin + 3 : begin + 5], "big")
    end = begin + header + 2 * count
    if end > len(data):
        raise Unreadable("more cells than the page has room for")
    places = [int.from_bytes(data[at : at + 2], "big") for at in range(begin + header, end, 2)]
    if any(not end <= place < len(data) for place in places):
        raise Unreadable("a cell outside of its page")
    return places


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for count in range(9):
        byte = data[at + count]
        if count == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    raise AssertionError("nine bytes at most")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _values(record: bytes) -> Iterator[Value]:
    """The values of a row; raises `Unreadable` where they are not as long as they say."""
    end, at = _varint(record, 0)
    body = end
    while at < end:
        kind, at = _varint(record, at)
        if kind in _INTEGERS:
            size = _INTEGERS[kind]
            yield int.from_bytes(record[body : body + size], "big", signed=True)
        elif kind == 7:
            size = 8
            yield float(struct.unpack(">d", record[body : body + 8])[0])
        elif kind >= 12:
            size = (kind - 12) // 2
            data = record[body : body + size]
            yield data.decode("utf-8", "replace") if kind % 2 else data
        elif kind in (0, 8, 9):
            size = 0
            yield None if kind == 0 else kind - 8
        else:
            raise Unreadable(f"a value of the kind {kind}")
        body += size
    if at != end or body != len(record):
        raise Unreadable("a row that is not as long as it says")
