"""PUBLISH packets: one loop over a block of bytes makes lists of what all its messages hold.

Rule: the loop (`scan`) does for each message only what must be done for each; what can be checked
for the whole block at once (packet ids, topics) is checked afterwards. Many packets are first
looked for all at once (`bulk`). Everything rare (flags, lengths of three bytes, properties) goes a
slow way, and a second, plain reading of the same packets (`walk`) serves whoever needs all their
parts.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import NamedTuple

from edgestream_connectors.mqtt import bulk, wire
from edgestream_connectors.mqtt.bulk import QOS_0, QOS_1
from edgestream_connectors.mqtt.messages import Messages
from edgestream_connectors.mqtt.wire import ProtocolError, decode_text

_DUP = 0x08
_NO_PROPERTIES = b"\0"
NO_ID = b"\x40\x02\x00\x00"
"""The PUBACK of packet id 0. Found in joined PUBACKs it is a whole one: no other alignment begins
with these two bytes and goes on with zeros."""
_START = struct.Struct(">BBH")


class Packet(NamedTuple):
    """The parts of one PUBLISH packet; ``packet_id`` is 0 at QoS 0."""

    head: int
    topic: bytes
    packet_id: int
    properties: bytes
    payload: bytes
    start: int
    stop: int


def scan(  # noqa: PLR0912 - a call a message would cost a quarter more
    data: bytes, position: int, messages: Messages, v5: bool, limit: int
) -> int:
    """Add the PUBLISH packets that stand from ``position`` on; returns where the last one ends.

    Stops before a packet of another kind, before a packet that is not all there, and at a broken
    one, for which `read_packet` finds the words.
    """
    position = bulk.scan(data, position, messages, v5, limit)
    add_payload = messages.found_payloads.single.append
    add_topic = messages.found_topics.single.append
    add_id = messages.ids.append
    read, end = _START.unpack_from, len(data)
    try:
        while True:
            head, length, size = read(data, position)
            start = position + 4
            if length > 127:  # the length takes two bytes, or more: the slow way
                if 0 < size >> 8 < 128:
                    length += (size >> 8) * 128 - 128
                    size = (size & 255) << 8 | data[start]
                    start += 1
                elif head >> 4 == 3:
                    length, size, start = _long(data, position)
                if length > limit:
                    return position
            stop = start - 2 + length
            cut = start + size
            if stop > end:
                return position
            if head == QOS_1:
                rest = cut + 2
            elif head == QOS_0:
                rest = cut
            elif head in _RARE:
                rest = cut + (head & 2)
                messages.again = messages.again or head & _DUP != 0
            else:
                return position
            if v5:
                more = data[rest]
                rest += 1
                if more:
                    rest += more if more < 128 else _long_properties(data, rest)
            if rest > stop:
                return position
            if head & 2:
                add_id(data[cut : cut + 2])
            add_topic(data[start:cut])
            add_payload(data[rest:stop])
            position = stop
    except (IndexError, struct.error, ProtocolError):
        return position


_RARE = frozenset({0x31, 0x33, 0x3A, 0x3B})
"""First bytes with RETAIN, DUP or both; DUP goes with QoS 1 only."""


def _long(data: bytes, position: int) -> tuple[int, int, int]:
    """Length, topic size and topic start of a packet whose length takes three or four bytes."""
    span = length_at(data, position)
    if span is None:
        raise IndexError
    length, body = span
    return length, data[body] << 8 | data[body + 1], body + 2


def _long_properties(data: bytes, position: int) -> int:
    """The bytes of properties of 128 bytes and more, with the rest of their length before them."""
    size = data[position - 1] & 127
    for width in (1, 2, 3):
        byte = data[position + width - 1]
        size |= (byte & 127) << 7 * width
        if byte < 128:
            if byte == 0:
                break
            return size + width
    raise IndexError


def length_at(data: bytes, position: int) -> tuple[int, int] | None:
    """The length of the packet at ``position`` and where its body begins; None if not all there.

    Raises `ProtocolError` where the length is longer than four bytes or than it need be.
    """
    length = 0
    for width in range(1, 5):
        if position + width >= len(data):
            return None
        byte = data[position + width]
        length |= (byte & 127) << 7 * (width - 1)
        if byte < 128:
            if byte == 0 and width > 1:
                raise ProtocolError("a packet's length takes more bytes than it need")
            return length, position + width + 1
    raise ProtocolError("a packet's length takes more than four bytes")


def walk(data: bytes, v5: bool) -> Iterator[Packet]:
    """Every packet of a block that holds whole PUBLISH packets, with all its parts."""
    position = 0
    while position < len(data):
        packet = read_packet(data, position, v5)
        yield packet
        position = packet.stop


def read_packet(data: bytes, position: int, v5: bool) -> Packet:
    """One whole PUBLISH packet; raises `ProtocolError` naming what is wrong with it."""
    span = length_at(data, position)
    if span is None or sum(span) > len(data):
        raise ProtocolError("PUBLISH: the packet is cut short")
    length, body = span
    head = data[position]
    if head & 0x06 == 0x06:
        raise ProtocolError("PUBLISH: QoS 3 does not exist")
    if head & 0x04:
        raise ProtocolError("PUBLISH: a message with QoS 2 came, though QoS 1 was the most asked")
    if head & _DUP and not head & 0x02:
        raise ProtocolError("PUBLISH: a message with QoS 0 is marked as sent before")
    reader = wire.Reader(data[body : body + length], "PUBLISH")
    topic = reader.binary("topic")
    packet_id = reader.number(2, "packet id") if head & 0x02 else 0
    if head & 0x02 and packet_id == 0:
        raise ProtocolError("PUBLISH: the packet id is 0")
    about = reader.take(reader.varint("property length"), "properties") if v5 else b""
    payload = reader.take(reader.left(), "payload")
    return Packet(head, topic, packet_id, about, payload, position, body + length)


def check_topic(topic: bytes) -> str:
    """The topic as text; raises `ProtocolError` where it cannot be a topic."""
    text = decode_text(topic, f"PUBLISH: the topic {topic[:80]!r}")
    if not text:
        raise ProtocolError("PUBLISH: the topic is empty")
    if "+" in text or "#" in text:
        raise ProtocolError(f"PUBLISH: the topic {text[:80]!r} holds a wildcard")
    return text


def encode(topic: bytes, payload: bytes, packet_id: int, *, retain: bool, v5: bool) -> bytes:
    """A PUBLISH packet of QoS 1, or of QoS 0 where ``packet_id`` is 0."""
    if not packet_id:
        return _before(QOS_0 | retain, topic, len(payload), v5) + payload
    middle = packet_id.to_bytes(2, "big") + (_NO_PROPERTIES if v5 else b"")
    return _before(QOS_1 | retain, topic, len(middle) + len(payload), False) + middle + payload


@functools.lru_cache(maxsize=4096)
def _before(head: int, topic: bytes, rest: int, bare: bool) -> bytes:
    """A packet up to the end of its topic, or of no properties where it is ``bare``.

    ``rest`` bytes follow.
    """
    body = struct.pack(">H", len(topic)) + topic + (_NO_PROPERTIES if bare else b"")
    return bytes((head,)) + wire.varint(len(body) + rest) + body
