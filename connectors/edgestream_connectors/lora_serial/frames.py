r"""What a LoRa modem sends, cut into frames: bytes in, frames out, no port and no clock.

`RylrParser` reads ``+RCV=address,length,data,rssi,snr\r\n``. The rule it keeps: **the length
rules**. Data may hold commas, line ends or a whole forged ``+RCV=`` and stays data; where the
length does not lead to a well-formed end, the frame is damaged, counted, and reading goes on at
the next ``+RCV=`` or line. `LineParser` cuts at line ends and drops lines that are too long.
Both hold a bounded number of bytes, whatever comes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol, TypeAlias

MAX_DATA = 240
"""The most data a RYLR modem puts into one frame."""
MAX_NOISE = 300
"""Bytes without a line end that are kept in the hope of one; longer than any answer."""
CHUNK = 4096

_MARK = b"+RCV="
_HEADER = re.compile(rb"\+RCV=(\d{1,5}),(\d{1,3}),")
_HEADER_BEGUN = re.compile(rb"\+RCV=(?:\d{1,5}(?:,\d{0,3})?)?")
_TAIL = re.compile(rb",(-?\d{1,4}),(-?\d{1,3}(?:\.\d{1,2})?)\r?\n")
_TAIL_BEGUN = re.compile(rb"(?:,-?\d{0,4}|,-?\d{1,4},-?\d{0,3}|,-?\d{1,4},-?\d{1,3}\.?\d{0,2}\r?)?")
_ANSWER = re.compile(
    rb"\+(?:OK|READY|RESET|FACTORY|"
    rb"(?:ERR|ADDRESS|NETWORK|NETWORKID|BAND|PARAMETER|CPIN|CRFOP|MODE|IPR|UID|VER)=[ -~]{0,80})"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet: its data, and ``raw``, the bytes that give the same frame when read again."""

    data: bytes
    raw: bytes
    address: int = 0
    rssi: int = 0
    snr: float = 0.0


Event: TypeAlias = Frame | str
"""A frame, or what the modem answered to a command, without its line end."""


class Parser(Protocol):
    """Bytes in, events out."""

    damaged: int
    """How many frames, lines or stretches of noise were thrown away so far."""

    @property
    def begun(self) -> bool:
        """Whether something has begun and not ended."""

    def receive(self, data: bytes) -> list[Event]:
        """The events that are complete now."""

    def settle(self) -> list[Event]:
        """Nothing more is coming: give up what was begun, and give what stood behind it."""


class RylrParser:
    """Frames and answers of a REYAX RYLR modem."""

    def __init__(self) -> None:
        """Start at the beginning of a line."""
        self.damaged = 0
        self._buffer = bytearray()
        self._lost = False

    @property
    def begun(self) -> bool:
        """Whether something has begun and not ended."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> list[Event]:
        """The events that are complete now."""
        events: list[Event] = []
        # In pieces, so that a search never runs through more than one piece.
        for start in range(0, len(data), CHUNK):
            self._buffer += data[start : start + CHUNK]
            self._read(events, last=False)
        return events

    def settle(self) -> list[Event]:
        """Nothing more is coming: give up what was begun, and give what stood behind it."""
        events: list[Event] = []
        self._read(events, last=True)
        return events

    def _read(self, events: list[Event], *, last: bool) -> None:
        buffer, at = self._buffer, 0
        while at < len(buffer):
            if buffer[at] in b"\r\n":
                at += 1
                continue
            step = self._frame if buffer.startswith(_MARK, at) else self._line
            end = step(at, events, last)
            if end == at:
                break
            at = end
        del buffer[:at]

    def _frame(self, at: int, events: list[Event], last: bool) -> int:
        """Read a frame at ``at``; returns where it ends, or ``at`` while it is incomplete."""
        buffer = self._buffer
        header = _HEADER.match(buffer, at)
        if header is None:
            if not last and _HEADER_BEGUN.fullmatch(buffer, at):
                return at
            return self._damage(at)
        address, length = int(header[1]), int(header[2])
        if address > 65_535 or length > MAX_DATA:
            return self._damage(at)
        begin, end = header.end(), header.end() + length
        tail = _TAIL.match(buffer, end) if end < len(buffer) else None
        if tail is None:
            if not last and (end >= len(buffer) or _TAIL_BEGUN.fullmatch(buffer, end)):
                return at
            return self._damage(at)
        raw = bytes(buffer[at : tail.end()])
        data = bytes(buffer[begin:end])
        events.append(Frame(data, raw, address, int(tail[1]), float(tail[2])))
        self._lost = False
        return tail.end()

    def _line(self, at: int, events: list[Event], last: bool) -> int:
        """Read an answer or noise at ``at``; returns where it ends, or ``at`` if incomplete."""
        buffer = self._buffer
        mark = buffer.find(_MARK, at)
        end = buffer.find(b"\n", at, mark if mark >= 0 else len(buffer))
        if end >= 0:
            answer = _ANSWER.fullmatch(buffer[at:end].rstrip(b"\r"))
            if answer is None:
                self._noise()
            else:
                events.append(answer[0].decode("ascii"))
                self._lost = False
            return end + 1
        if mark >= 0:
            self._noise()
            return mark
        if last:
            self._noise()
            return len(buffer)
        if len(buffer) - at > MAX_NOISE:
            self._noise()
            return len(buffer) - len(_MARK) + 1
        return at

    def _damage(self, at: int) -> int:
        """Give up the frame at ``at``: all but its first byte is looked at again."""
        self.damaged += 1
        self._lost = True
        return at + 1

    def _noise(self) -> None:
        """Count noise, unless it is what is left of something already counted."""
        if not self._lost:
            self.damaged += 1
            self._lost = True


class LineParser:
    """One packet a line; an empty line is none, one longer than ``limit`` bytes is dropped."""

    def __init__(self, limit: int = CHUNK) -> None:
        """Start at the beginning of a line."""
        self.damaged = 0
        self._limit = limit
        self._buffer = bytearray()
        self._skipping = False

    @property
    def begun(self) -> bool:
        """Never: a line may take its time, nothing waits behind it."""
        return False

    def receive(self, data: bytes) -> list[Event]:
        """The lines that are complete now."""
        events: list[Event] = []
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._take(part)
            line = bytes(self._buffer).rstrip(b"\r")
            if line and not self._skipping:
                events.append(Frame(line, line + b"\n"))
            self._buffer.clear()
            self._skipping = False
        self._take(rest)
        return events

    def settle(self) -> list[Event]:
        """Give up a line that was begun."""
        self.damaged += bool(self._buffer)
        self._buffer.clear()
        return []

    def _take(self, part: bytes) -> None:
        """Add to the line, unless it is or gets too long."""
        if not self._skipping and len(self._buffer) + len(part) > self._limit:
            self.damaged += 1
            self._skipping = True
            self._buffer.clear()
        if not self._skipping:
            self._buffer += part
