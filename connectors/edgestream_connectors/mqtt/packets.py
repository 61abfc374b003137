"""The control packets: those a client sends as bytes, those it receives as values.

PUBLISH is in `publish`; everything here is rare and read field by field.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from edgestream_connectors.mqtt import properties, wire
from edgestream_connectors.mqtt.properties import Properties
from edgestream_connectors.mqtt.reasons import from_connack_311, reason
from edgestream_connectors.mqtt.wire import ProtocolError, Reader

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)

PING = bytes((PINGREQ << 4, 0))
MAX_PACKET = 1024 * 1024
"""The largest packet accepted unless asked otherwise."""
RECEIVE_MAXIMUM = 65_535


@dataclass(frozen=True, slots=True)
class Login:
    """What a client says of itself when it connects."""

    client_id: str
    v5: bool = True
    clean_start: bool = True
    session_expiry: int = 0
    """Seconds (MQTT 5)."""
    keep_alive: int = 30
    """Seconds; 0 is off."""
    receive_maximum: int = RECEIVE_MAXIMUM
    max_packet: int = MAX_PACKET
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Connack:
    """The server's answer to CONNECT; ``code`` is an MQTT 5 reason code."""

    session_present: bool
    code: int
    properties: Properties = field(default_factory=Properties)

    def limit(self, name: str, default: int) -> int:
        """A limit that the server set, or ``default``."""
        return self.properties.numbers.get(name, default)


@dataclass(frozen=True, slots=True)
class Suback:
    """The server's answer to SUBSCRIBE: one code a filter."""

    packet_id: int
    codes: Sequence[int]
    said: str = ""

    def refused(self, filters: Sequence[str]) -> str:
        """Those of the ``filters`` that were refused, with why."""
        return ", ".join(
            f"{name!r}: {reason(code, self.said)}"
            for name, code in zip(filters, self.codes, strict=True)
            if code >= 0x80
        )


@dataclass(frozen=True, slots=True)
class Puback:
    """The server has a message that was published with QoS 1."""

    packet_id: int
    code: int = 0
    said: str = ""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """The server is alive."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The server ends the connection and says why (MQTT 5)."""

    code: int
    said: str = ""


def connect(login: Login) -> bytes:
    """A CONNECT packet."""
    flags = (login.clean_start and 0x02) | (login.username is not None and 0x80)
    flags |= login.password is not None and 0x40
    version = 5 if login.v5 else 4
    body = wire.text("MQTT") + struct.pack(">BBH", version, flags, login.keep_alive)
    if login.v5:
        body += properties.encode(
            {
                "session_expiry": login.session_expiry,
                "receive_maximum": login.receive_maximum,
                "maximum_packet_size": login.max_packet,
            }
        )
    body += wire.text(login.client_id)
    for given in (login.username, login.password):
        if given is not None:
            body += wire.text(given)
    return wire.packet(CONNECT << 4, body)


def subscribe(packet_id: int, filters: Sequence[str], qos: int, *, v5: bool) -> bytes:
    """A SUBSCRIBE packet; with MQTT 5 retained messages come for new subscriptions only."""
    options = bytes((qos | (0x10 if v5 else 0),))
    body = struct.pack(">H", packet_id) + (b"\0" if v5 else b"")
    body += b"".join(wire.text(name) + options for name in filters)
    return wire.packet(SUBSCRIBE << 4 | 2, body)


def disconnect(code: int = 0, *, v5: bool) -> bytes:
    """A DISCONNECT packet; MQTT 3.1.1 has no reason."""
    return wire.packet(DISCONNECT << 4, bytes((code,)) if v5 and code else b"")


def read_connack(body: bytes, *, v5: bool) -> Connack:
    """A CONNACK packet's body."""
    reader = Reader(body, "CONNACK")
    flags = reader.number(1, "flags")
    if flags > 1:
        raise ProtocolError(f"CONNACK: reserved flags are set (0x{flags:02X})")
    code = reader.number(1, "reason code")
    if v5 and reader.left():
        known = properties.read(reader, "CONNACK")
        reader.end()
        return Connack(flags == 1, code, known)
    reader.end()
    return Connack(flags == 1, from_connack_311(code))


def read_suback(body: bytes, *, v5: bool) -> Suback:
    """A SUBACK packet's body."""
    reader = Reader(body, "SUBACK")
    packet_id = reader.number(2, "packet id")
    said = _said(reader, "SUBACK") if v5 else ""
    return Suback(packet_id, tuple(reader.take(reader.left(), "reason codes")), said)


def read_puback(body: bytes, *, v5: bool) -> Puback:
    """A PUBACK packet's body."""
    reader = Reader(body, "PUBACK")
    packet_id = reader.number(2, "packet id")
    if packet_id == 0:
        raise ProtocolError("PUBACK: the packet id is 0")
    if not v5 or not reader.left():
        reader.end()
        return Puback(packet_id)
    code = reader.number(1, "reason code")
    return Puback(packet_id, code, _rest(reader, "PUBACK"))


def read_disconnect(body: bytes) -> Goodbye:
    """A DISCONNECT packet's body."""
    reader = Reader(body, "DISCONNECT")
    code = reader.number(1, "reason code") if reader.left() else 0
    return Goodbye(code, _rest(reader, "DISCONNECT"))


def _said(reader: Reader, what: str) -> str:
    return properties.read(reader, what).texts.get("reason_string", "")


def _rest(reader: Reader, what: str) -> str:
    said = _said(reader, what) if reader.left() else ""
    reader.end()
    return said
