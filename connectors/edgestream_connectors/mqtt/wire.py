"""The elements every MQTT packet is made of: integers, lengths, text and binary fields.

Rule: nothing is read past the end of its packet; whatever does not fit raises `ProtocolError`
naming the field.
"""

from __future__ import annotations

import struct

MAX_LENGTH = 268_435_455
"""The largest number a variable byte integer can hold."""


class ProtocolError(Exception):
    """The other side sent something that is not MQTT; the message names what was wrong."""


class Reader:
    """Reads the fields of one packet in order."""

    __slots__ = ("_data", "_end", "_position", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        """Read ``data``; ``what`` names the packet in errors."""
        self._data = data
        self._end = len(data)
        self._position = 0
        self._what = what

    def left(self) -> int:
        """How many bytes have not been read."""
        return self._end - self._position

    def take(self, size: int, field: str) -> bytes:
        """The next ``size`` bytes."""
        stop = self._position + size
        if stop > self._end:
            raise ProtocolError(f"{self._what}: the packet ends within the {field}")
        taken = self._data[self._position : stop]
        self._position = stop
        return taken

    def end(self) -> None:
        """Nothing may be left."""
        if self.left():
            raise ProtocolError(f"{self._what}: {self.left()} bytes too many")

    def number(self, size: int, field: str) -> int:
        """An unsigned integer of ``size`` bytes."""
        return int.from_bytes(self.take(size, field), "big")

    def varint(self, field: str) -> int:
        """A variable byte integer of at most four bytes."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.number(1, field)
            value |= (byte & 127) << shift
            if byte < 128:
                if byte == 0 and shift:
                    raise ProtocolError(f"{self._what}: the {field} is longer than it need be")
                return value
        raise ProtocolError(f"{self._what}: the {field} takes more than four bytes")

    def binary(self, field: str) -> bytes:
        """Bytes with their length in front."""
        return self.take(self.number(2, f"length of the {field}"), field)

    def text(self, field: str) -> str:
        """UTF-8 text with its length in front."""
        return decode_text(self.binary(field), f"{self._what}: the {field}")


def decode_text(data: bytes, what: str) -> str:
    """UTF-8 to text; NUL and broken sequences raise `ProtocolError`."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError(f"{what} is not UTF-8 (byte {error.start})") from error
    if "\0" in text:
        raise ProtocolError(f"{what} holds a NUL character")
    return text


def varint(value: int) -> bytes:
    """A variable byte integer."""
    if not 0 <= value <= MAX_LENGTH:
        raise ValueError(f"{value} does not fit a variable byte integer")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    """UTF-8 text with its length in front."""
    return binary(value.encode())


def binary(value: bytes) -> bytes:
    """Bytes with their length in front."""
    return struct.pack(">H", len(value)) + value


def packet(first: int, body: bytes) -> bytes:
    """A whole packet: first byte, length, body."""
    return bytes((first,)) + varint(len(body)) + body
