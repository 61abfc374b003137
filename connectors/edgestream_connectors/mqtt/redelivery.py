"""Recognising messages that a broker sends again although they are in the journal.

A broker has one message in flight for a packet id, so a message marked as sent before (DUP) is
either the last journalled one with its id, or was never journalled. Rule: it is dropped only if
id, topic and payload are those of that last one, and once.
What cannot be told apart: a message equal in topic and payload to the one before it with the same
id; brokers that count ids up reach the same id after 65,535 messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import numpy as np

from edgestream_connectors.mqtt.publish import Packet, walk

DUP = 0x08
IDS = 65_536
REACH = 65_535
"""How many of the last QoS 1 messages are remembered: all that can be in flight."""


class Tail:
    """The last journalled QoS 1 messages, by packet id (768 KiB)."""

    def __init__(self, blocks: Iterable[tuple[bytes, bool]]) -> None:
        """Read raw blocks, oldest first, each with whether it is MQTT 5."""
        self._checks = np.zeros(IDS, np.uint32)
        self._order = np.zeros(IDS, np.int64)
        count = 0
        for raw, v5 in blocks:
            found = [
                (packet.packet_id, _check(packet)) for packet in walk(raw, v5) if packet.packet_id
            ]
            if found:
                ids, checks = np.array(found, np.int64).T
                self._order[ids] = np.arange(count + 1, count + 1 + len(found))
                self._checks[ids] = checks
                count += len(found)
        self._order[self._order <= count - REACH] = 0

    def __len__(self) -> int:
        """How many messages are remembered."""
        return int(np.count_nonzero(self._order))

    def without_known(self, raw: bytes, v5: bool) -> tuple[bytes, int]:
        """The packets of a block that are new, and how many were not."""
        kept: list[bytes] = []
        dropped = 0
        for packet in walk(raw, v5):
            if packet.head & DUP and self._knows(packet):
                dropped += 1
            else:
                kept.append(raw[packet.start : packet.stop])
        return (b"".join(kept) if dropped else raw), dropped

    def _knows(self, packet: Packet) -> bool:
        ident = packet.packet_id
        known = bool(self._order[ident]) and int(self._checks[ident]) == _check(packet)
        if known:
            self._order[ident] = 0
        return known


def _check(packet: Packet) -> int:
    return crc32(packet.payload, crc32(packet.topic))
