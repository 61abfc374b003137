"""What the messages of an Arrow stream claim to be, read before memory is given to them.

A few bytes can claim a million million rows of nothing, or a buffer that is a terabyte once it is
no longer compressed. Both are written in the metadata of a message, a flatbuffer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_DICTIONARY, _ROWS = 2, 3


_CONTINUED = 0xFFFFFFFF
_MOST_KNOWN = 16
_LONGEST_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class Claims:
    """What all messages of a stream claim together.

    ``rows`` are those of record batches, ``words`` those of dictionaries, ``unpacked`` the bytes
    of both once they are no longer compressed.
    """

    rows: int
    words: int
    unpacked: int


@dataclass(frozen=True, slots=True)
class _Message:
    """What the metadata of a message say: its kind, its rows or words, the bytes after it."""

    kind: int
    count: int
    length: int
    packed: int
    """Where a compressed record batch lies in the metadata; 0 if there is none."""


class Claimed:
    """What reads claims. A source writes the same metadata again and again, so it keeps some."""

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[bytes, _Message] = {}

    def of(self, payload: bytes) -> Claims:
        """Walk over the messages of a stream; ValueError if it is cut off or broken."""
        rows = words = unpacked = at = 0
        try:
            while True:
                mark, size = struct.unpack_from("<Ii", payload, at)
                if mark != _CONTINUED or size < 0:
                    raise ValueError("not an Arrow stream")
                at += 8
                if not size:
                    break
                metadata = payload[at : at + size]
                message = self._known.get(metadata) or self._read(metadata)
                at += size
                after = at + message.length
                if message.length < 0 or after > len(payload):
                    raise ValueError("not an Arrow stream, or cut off")
                if message.packed:
                    body = memoryview(payload)[at:after]
                    unpacked += sum(_unpacked(memoryview(metadata), message.packed, body))
                elif message.kind in (_DICTIONARY, _ROWS):
                    unpacked += message.length
                rows += message.count if message.kind == _ROWS else 0
                words += message.count if message.kind == _DICTIONARY else 0
                at = after
        except (struct.error, IndexError) as error:
            raise ValueError("not an Arrow stream, or cut off") from error
        if at != len(payload):
            raise ValueError("something follows the end of the stream")
        return Claims(rows, words, unpacked)

    def _read(self, metadata: bytes) -> _Message:
        view = memoryview(metadata)
        table = _follow(view, 0)
        length = _number(view, _field(view, table, 3))
        kind, batch = _batch(view, table)
        count = _number(view, _field(view, batch, 0)) if batch else 0
        if count < 0:
            raise ValueError("not an Arrow stream: a negative number of rows")
        packed = batch if batch and _field(view, batch, 3) else 0
        message = _Message(kind, count, length, packed)
        if len(metadata) <= _LONGEST_KNOWN:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[metadata] = message
        return message


def _batch(metadata: memoryview, message: int) -> tuple[int, int]:
    """The kind of a message, and where the record batch in it lies; 0 if there is none."""
    kind = metadata[_field(metadata, message, 1)]
    if kind not in (_DICTIONARY, _ROWS):
        return kind, 0
    header = _follow(metadata, _field(metadata, message, 2))
    return kind, _follow(metadata, _field(metadata, header, 1)) if kind == _DICTIONARY else header


def _unpacked(metadata: memoryview, batch: int, body: memoryview) -> Iterator[int]:
    """The sizes of the buffers of a compressed batch, as they say themselves."""
    buffers = _field(metadata, batch, 2)
    vector = _follow(metadata, buffers) if buffers else 0
    (count,) = struct.unpack_from("<I", metadata, vector) if buffers else (0,)
    for number in range(count):
        offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * number)
        if length >= 8:
            size = int(struct.unpack_from("<q", body, offset)[0])
            yield length if size < 0 else size


def _follow(data: memoryview, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])


def _number(data: memoryview, at: int) -> int:
    """A number of 64 bits, 0 where it is not there."""
    return int(struct.unpack_from("<q", data, at)[0]) if at else 0


def _field(data: memoryview, table: int, number: int) -> int:
    """Where a field of a table lies, 0 if it is not there."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    size = int(struct.unpack_from("<H", data, vtable)[0])
    slot = 4 + 2 * number
    if slot + 2 > size:
        return 0
    offset = int(struct.unpack_from("<H", data, vtable + slot)[0])
    return table + offset if offset else 0
