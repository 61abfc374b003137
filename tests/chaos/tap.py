"""What passed between a broker and the worker: which messages, and which were acknowledged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Reading: TypeAlias = tuple[str, int]
"""Device and epoch milliseconds: no two readings share them."""


@dataclass
class Tap:
    """Listens to a `Proxy`; MQTT 5, OASIS standard, sections 3.3 and 3.4."""

    given: Counter[Reading] = field(default_factory=Counter)
    """How often each reading was sent as new (without DUP)."""
    acknowledged: set[Reading] = field(default_factory=set)
    _rest: dict[tuple[int, bool], bytes] = field(default_factory=dict)
    _open: dict[tuple[int, int], Reading] = field(default_factory=dict)

    def __call__(self, connection: int, back: bool, data: bytes) -> None:
        """A piece of the connection; ``back``: from the broker."""
        way = (connection, back)
        packets, self._rest[way] = _packets(self._rest.get(way, b"") + data)
        for head, body in packets:
            if back and head >> 4 == 3:
                self._message(connection, head, body)
            elif not back and head >> 4 == 4:
                reading = self._open.pop((connection, int.from_bytes(body[:2], "big")), None)
                if reading is not None:
                    self.acknowledged.add(reading)

    def _message(self, connection: int, head: int, body: bytes) -> None:
        at = 2 + int.from_bytes(body[:2], "big")
        ident = int.from_bytes(body[at : at + 2], "big")
        size, at = _number(body, at + 2)
        read = json.loads(body[at + size :])
        reading = (str(read["device"]), int(read["ts"]))
        self._open[connection, ident] = reading
        if not head & 0x08:
            self.given[reading] += 1


def _packets(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole packets in ``data``, and what is left."""
    found = []
    start = 0
    for head, first, stop in _cuts(data):
        found.append((head, data[first:stop]))
        start = stop
    return found, data[start:]


def _cuts(data: bytes) -> Iterator[tuple[int, int, int]]:
    at = 0
    while at + 5 <= len(data) or (at + 2 <= len(data) and data[at + 1] < 0x80):
        size, body = _number(data, at + 1)
        if body + size > len(data):
            return
        yield data[at], body, body + size
        at = body + size


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
