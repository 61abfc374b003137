"""A publisher that costs next to nothing: packets are made beforehand and sent as blocks."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from benchmarks.payloads import Message

BLOCK = 500
IN_FLIGHT = 20_000


def packets(sent: Sequence[Message], qos: int) -> list[bytes]:
    """PUBLISH packets of MQTT 3.1.1, joined in blocks of `BLOCK`."""
    blocks = []
    for first in range(0, len(sent), BLOCK):
        parts = []
        for number, message in enumerate(sent[first : first + BLOCK], start=first):
            topic, payload = message.topic, message.payload
            packet_id = (number % 65_535 + 1).to_bytes(2, "big") if qos else b""
            body = len(topic).to_bytes(2, "big") + topic + packet_id + payload
            parts.append(bytes([0x30 | qos << 1]) + _varint(len(body)) + body)
        blocks.append(b"".join(parts))
    return blocks


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

    def send(self, blocks: Sequence[bytes], qos: int, rate: float = 0) -> float:
        """Send everything (``rate`` in messages per second, 0 is all at once); seconds taken."""
        started = time.monotonic()
        acknowledged = sent = 0
        for number, block in enumerate(blocks):
            if rate:
                due = started + number * BLOCK / rate
                time.sleep(max(0.0, due - time.monotonic()))
            self._socket.sendall(block)
            sent += BLOCK
            while qos and sent - acknowledged > IN_FLIGHT:
                acknowledged += len(self._socket.recv(1 << 16)) / 4
        return time.monotonic() - started

    def close(self) -> None:
        """Disconnect."""
        self._socket.sendall(b"\xe0\x00")
        self._socket.close()
