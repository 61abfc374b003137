"""The properties of MQTT 5: their numbers, names and types, to bytes and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from edgestream_connectors.mqtt import wire
from edgestream_connectors.mqtt.wire import ProtocolError, Reader

_Type: TypeAlias = Literal["1", "2", "4", "varint", "text", "binary", "pair"]

_TABLE: Mapping[int, tuple[str, _Type]] = {
    0x01: ("payload_format", "1"),
    0x02: ("message_expiry", "4"),
    0x03: ("content_type", "text"),
    0x08: ("response_topic", "text"),
    0x09: ("correlation_data", "binary"),
    0x0B: ("subscription_id", "varint"),
    0x11: ("session_expiry", "4"),
    0x12: ("assigned_client_id", "text"),
    0x13: ("server_keep_alive", "2"),
    0x15: ("authentication_method", "text"),
    0x16: ("authentication_data", "binary"),
    0x17: ("request_problem", "1"),
    0x18: ("will_delay", "4"),
    0x19: ("request_response", "1"),
    0x1A: ("response_information", "text"),
    0x1C: ("server_reference", "text"),
    0x1F: ("reason_string", "text"),
    0x21: ("receive_maximum", "2"),
    0x22: ("topic_alias_maximum", "2"),
    0x23: ("topic_alias", "2"),
    0x24: ("maximum_qos", "1"),
    0x25: ("retain_available", "1"),
    0x26: ("user_property", "pair"),
    0x27: ("maximum_packet_size", "4"),
    0x28: ("wildcard_available", "1"),
    0x29: ("subscription_id_available", "1"),
    0x2A: ("shared_available", "1"),
}
_NUMBERS: Mapping[str, int] = {name: number for number, (name, _) in _TABLE.items()}
_REPEATABLE = frozenset({"subscription_id"})


@dataclass(frozen=True, slots=True)
class Properties:
    """What the properties of one packet say."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    binaries: Mapping[str, bytes] = field(default_factory=dict)
    user: Sequence[tuple[str, str]] = ()


def encode(numbers: Mapping[str, int]) -> bytes:
    """Numeric properties, with their length in front (a client sends no others)."""
    body = b""
    for name, value in numbers.items():
        number = _NUMBERS[name]
        size = int(_TABLE[number][1])
        body += bytes((number,)) + value.to_bytes(size, "big")
    return wire.varint(len(body)) + body


def read(packet: Reader, what: str) -> Properties:
    """The properties that stand next in a packet."""
    size = packet.varint("property length")
    return parse(packet.take(size, "properties"), what)


def parse(data: bytes, what: str) -> Properties:
    """Properties without their length; raises `ProtocolError` for unknown or repeated ones."""
    reader = Reader(data, what)
    numbers: dict[str, int] = {}
    texts: dict[str, str] = {}
    binaries: dict[str, bytes] = {}
    user: list[tuple[str, str]] = []
    while reader.left():
        number = reader.varint("property number")
        if number not in _TABLE:
            raise ProtocolError(f"{what}: property 0x{number:02X} does not exist")
        name, kind = _TABLE[number]
        if kind == "pair":
            user.append((reader.text("name of a user property"), reader.text("user property")))
            continue
        if name not in _REPEATABLE and (name in numbers or name in texts or name in binaries):
            raise ProtocolError(f"{what}: the property {name} stands twice")
        if kind == "text":
            texts[name] = reader.text(name)
        elif kind == "binary":
            binaries[name] = reader.binary(name)
        elif kind == "varint":
            numbers[name] = reader.varint(name)
        else:
            numbers[name] = reader.number(int(kind), name)
    return Properties(numbers, texts, binaries, user)
