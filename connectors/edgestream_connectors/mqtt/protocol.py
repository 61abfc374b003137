"""The client's side of MQTT 5 and 3.1.1 without a socket: bytes in, events out.

Rules: PUBLISH packets of one read come out as one `Block`; what came before a broken packet is
still handed out, then `Failed` ends the conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edgestream_connectors.mqtt import packets, publish, wire
from edgestream_connectors.mqtt.messages import Messages
from edgestream_connectors.mqtt.packets import (
    Connack,
    Goodbye,
    Login,
    Pingresp,
    Puback,
    Suback,
)
from edgestream_connectors.mqtt.wire import ProtocolError

_KNOWN_TOPICS = 65_536
_SUBSCRIPTION = 1
"""The packet id of the only subscription of a connection."""


@dataclass(slots=True)
class Block:
    """The messages of one read: their parts, their packets as ``raw`` bytes, and their acks."""

    messages: Messages
    raw: bytes
    acks: bytes = b""


@dataclass(frozen=True, slots=True)
class Failed:
    """The other side broke the protocol: nothing after this is read."""

    message: str


Event: TypeAlias = Connack | Suback | Puback | Pingresp | Goodbye | Block | Failed


class Protocol:
    """One connection's conversation, seen from the client."""

    def __init__(self, login: Login) -> None:
        """Speak as ``login`` says."""
        self.login = login
        self._rest = bytearray()
        self._needed = 0
        self._connected = False
        self._failed = False
        self._subscribed = 0
        self._topics: set[bytes] = set()

    def connect(self) -> bytes:
        """The first packet."""
        return packets.connect(self.login)

    def subscribe(self, filters: Sequence[str], qos: int) -> bytes:
        """A SUBSCRIBE packet; one at a time."""
        self._subscribed = len(filters)
        return packets.subscribe(_SUBSCRIPTION, filters, qos, v5=self.login.v5)

    def receive(self, read: bytes | memoryview) -> list[Event]:
        """What ``read`` completes, in order; the messages of one call are one `Block`."""
        if self._failed:
            return []
        if self._rest and len(self._rest) + len(read) < self._needed:
            self._rest += read
            return []
        data = b"".join((self._rest, read)) if self._rest else bytes(read)
        events: list[Event] = []
        messages = Messages()
        runs: list[tuple[int, int]] = []
        failure = ""
        try:
            self._read(data, events, messages, runs)
        except ProtocolError as error:
            failure = str(error)
        if runs:
            block = Block(messages, _join(data, runs), messages.acks())
            failure = self._checked(block) or failure
            if block.messages:
                events.append(block)
        if failure:
            self._failed = True
            events.append(Failed(failure))
        return events

    def _read(
        self,
        data: bytes,
        events: list[Event],
        messages: Messages,
        runs: list[tuple[int, int]],
    ) -> None:
        """Go through ``data`` packet by packet and keep what is not complete."""
        v5, limit = self.login.v5, self.login.max_packet
        position = 0
        while position < len(data):
            if data[position] >> 4 == packets.PUBLISH and self._connected:
                stop = publish.scan(data, position, messages, v5, limit)
                if stop > position:
                    runs.append((position, stop))
                    position = stop
                    continue
            if not self._connected and data[position] != packets.CONNACK << 4:
                first = data[position : position + 16]
                raise ProtocolError(f"the first packet is not CONNACK: {first!r}")
            span = publish.length_at(data, position)
            if span is None:
                self._needed = len(data) - position + 1
                break
            length, body = span
            if length > limit:
                raise ProtocolError(f"a packet of {length} bytes came, {limit} are allowed")
            if body + length > len(data):
                self._needed = body + length - position
                break
            events.append(self._control(data, position, body, body + length))
            position = body + length
        self._rest = bytearray(data[position:])

    def _control(self, data: bytes, start: int, body: int, stop: int) -> Event:
        """One whole packet that is not a good PUBLISH."""
        kind, flags = data[start] >> 4, data[start] & 15
        if not self._connected:
            answer = packets.read_connack(data[body:stop], v5=self.login.v5)
            self._connected = answer.code == 0
            return answer
        if kind == packets.PUBLISH:
            publish.read_packet(data, start, self.login.v5)
            raise ProtocolError("PUBLISH: the packet is malformed")
        if flags:
            raise ProtocolError(f"reserved flags are set (first byte 0x{data[start]:02X})")
        if kind == packets.SUBACK:
            suback = packets.read_suback(data[body:stop], v5=self.login.v5)
            if suback.packet_id != _SUBSCRIPTION or len(suback.codes) != self._subscribed:
                raise ProtocolError("SUBACK: it does not belong to the subscription")
            return suback
        if kind == packets.PUBACK:
            return packets.read_puback(data[body:stop], v5=self.login.v5)
        if kind == packets.PINGRESP and body == stop:
            return Pingresp()
        if kind == packets.DISCONNECT and self.login.v5:
            return packets.read_disconnect(data[body:stop])
        raise ProtocolError(f"a packet that does not belong here (first byte 0x{data[start]:02X})")

    def _checked(self, block: Block) -> str:
        """Why a message of the block cannot be taken, after cutting the block before it."""
        known, messages = self._topics, block.messages
        sure = messages.sure == len(messages) or known.issuperset(messages.topics)
        if sure and publish.NO_ID not in block.acks:
            return ""
        if len(known) > _KNOWN_TOPICS:
            known.clear()
        good = 0
        try:
            if publish.NO_ID not in block.acks and self._learnt(block.messages.topics):
                return ""
            for packet in publish.walk(block.raw, self.login.v5):
                publish.check_topic(packet.topic)
                good = packet.stop
        except ProtocolError as error:
            block.raw = block.raw[:good]
            block.messages = unpack(block.raw, v5=self.login.v5)
            block.acks = block.messages.acks()
            return str(error)
        return ""

    def _learnt(self, topics: Sequence[bytes]) -> bool:
        """Whether all topics are good; those that are need no further look."""
        for topic in set(topics) - self._topics:
            try:
                publish.check_topic(topic)
            except ProtocolError:
                return False
            self._topics.add(topic)
        return True


def unpack(raw: bytes, *, v5: bool) -> Messages:
    """The messages of a block's raw packets again."""
    messages = Messages()
    stop = publish.scan(raw, 0, messages, v5, wire.MAX_LENGTH)
    if stop != len(raw):
        raise ProtocolError(f"the block is damaged at byte {stop}")
    return messages


def _join(data: bytes, runs: Sequence[tuple[int, int]]) -> bytes:
    """The bytes of the runs; ``data`` itself where it holds nothing else."""
    if len(runs) == 1:
        start, stop = runs[0]
        return data[start:stop]
    return b"".join(data[start:stop] for start, stop in runs)
