"""What tests of the protocol share: packets by hand, and a protocol that is past CONNACK."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from edgestream_connectors.mqtt.packets import Login
from edgestream_connectors.mqtt.protocol import Block, Event, Protocol

CONNACK_5 = b"\x20\x03\x00\x00\x00"
CONNACK_311 = b"\x20\x02\x00\x00"


def length(size: int) -> bytes:
    out = b""
    while size > 127:
        out += bytes((size & 127 | 128,))
        size >>= 7
    return out + bytes((size,))


def published(
    topic: bytes,
    payload: bytes,
    ident: int = 0,
    *,
    v5: bool = True,
    properties: bytes = b"",
    dup: bool = False,
    retain: bool = False,
) -> bytes:
    """A PUBLISH packet made here, not by the code under test."""
    head = 0x30 | (2 if ident else 0) | (8 if dup else 0) | (1 if retain else 0)
    body = struct.pack(">H", len(topic)) + topic
    if ident:
        body += struct.pack(">H", ident)
    if v5:
        body += length(len(properties)) + properties
    body += payload
    return bytes((head,)) + length(len(body)) + body


def connected(*, v5: bool = True, max_packet: int = 1024 * 1024) -> Protocol:
    protocol = Protocol(Login("test", v5=v5, max_packet=max_packet))
    protocol.subscribe(["#"], 1)
    protocol.receive(CONNACK_5 if v5 else CONNACK_311)
    return protocol


def fed(protocol: Protocol, parts: Sequence[bytes]) -> list[Event]:
    """The events of all parts; blocks are joined to one, at the end."""
    events: list[Event] = []
    for part in parts:
        events += protocol.receive(part)
    blocks = [event for event in events if isinstance(event, Block)]
    others = [event for event in events if not isinstance(event, Block)]
    if not blocks:
        return others
    first, *rest = blocks
    for block in rest:
        first.messages.extend(block.messages)
        first.raw += block.raw
        first.acks += block.acks
    return [*others, first]
