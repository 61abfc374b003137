"""A publisher that costs next to nothing: packets are made beforehand and sent as blocks."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.data import Data

IN_FLIGHT = 20_000
_BLOCKS_A_SECOND = 200


@dataclass(frozen=True, slots=True)
class Block:
    """PUBLISH packets that are sent together, and when: seconds after the first."""

    packets: bytes
    count: int
    due: float


def block_size(rate: float) -> int:
    """Messages a block: 5 ms of a paced stream, 500 of one that is sent at once."""
    return max(1, int(rate / _BLOCKS_A_SECOND)) if rate else 500


def blocks(data: Data, qos: int, rate: float) -> list[Block]:
    """The data as packets of MQTT 3.1.1."""
    size = block_size(rate)
    payloads = data.payloads()
    topics = [b"sensors/%04d/telemetry" % device for device in data.device.tolist()]
    made = []
    for first in range(0, len(payloads), size):
        parts = []
        for number in range(first, min(first + size, len(payloads))):
            packet_id = (number % 65_535 + 1).to_bytes(2, "big") if qos else b""
            topic = topics[number]
            body = len(topic).to_bytes(2, "big") + topic + packet_id + payloads[number]
            parts.append(bytes([0x30 | qos << 1]) + _varint(len(body)) + body)
        made.append(Block(b"".join(parts), len(parts), first / rate if rate else 0.0))
    return made


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


class Publisher:
    """One connection to a broker."""

    def __init__(self, port: int) -> None:
        """Connect as an MQTT 3.1.1 client."""
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = b"benchmark-publisher"
        body = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2, "big") + name
        self._socket.sendall(b"\x10" + _varint(len(body)) + body)
        answer = self._socket.recv(4, socket.MSG_WAITALL)
        if answer[3:] != b"\x00":
            raise RuntimeError(f"the broker refused the publisher: {answer!r}")

    def send(self, made: Sequence[Block], qos: int, start: float) -> list[float]:
        """Send every block when it is due after ``start`` (wall clock); seconds each was late."""
        late = []
        sent = 0
        acknowledged = 0.0
        for block in made:
            wait = start + block.due - time.time()
            if wait > 0:
                time.sleep(wait)
            late.append(time.time() - start - block.due)
            self._socket.sendall(block.packets)
            sent += block.count
            while qos and sent - acknowledged > IN_FLIGHT:
                acknowledged += self._acknowledged()
        while qos and acknowledged < sent:
            acknowledged += self._acknowledged()
        return late

    def _acknowledged(self) -> float:
        read = len(self._socket.recv(1 << 16))
        if not read:
            raise RuntimeError("the broker closed the connection of the publisher")
        return read / 4

    def close(self) -> None:
        """Disconnect."""
        self._socket.sendall(b"\xe0\x00")
        self._socket.close()
