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
from numpy.typing import NDArray

from edgestream_connectors.mqtt.messages import Messages
from edgestream_connectors.mqtt.publish import Packet, scan, walk
from edgestream_connectors.mqtt.wire import MAX_LENGTH

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
            ids, checks = _known(raw, v5)
            self._order[ids] = np.arange(count + 1, count + 1 + len(ids))
            self._checks[ids] = checks
            count += len(ids)
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


def _known(raw: bytes, v5: bool) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The packet ids and checks of the QoS 1 messages of a block, in their order."""
    messages = Messages()
    stop = scan(raw, 0, messages, v5, MAX_LENGTH)
    if stop == len(raw) and len(messages.ids) == len(messages):
        # Five times as fast as packet by packet, and a restart waits for it.
        checks = map(crc32, messages.payloads, map(crc32, messages.topics))
        ids = np.frombuffer(b"".join(messages.ids), ">u2").astype(np.int64)
        return ids, np.fromiter(checks, np.uint32, len(ids))
    packets = [packet for packet in walk(raw, v5) if packet.packet_id]
    return (
        np.array([packet.packet_id for packet in packets], np.int64),
        np.array([_check(packet) for packet in packets], np.uint32),
    )


def _check(packet: Packet) -> int:
    return crc32(packet.payload, crc32(packet.topic))
