"""The other side of a connection: paho-mqtt behind a real broker, or a server made of bytes."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties

from edgestream import Payloads, Source


class Paho:
    """A paho client that publishes and keeps what it receives."""

    def __init__(self, port: int, *, v5: bool = True) -> None:
        version = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self.received: queue.Queue[MQTTMessage] = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=version)
        self.client.max_inflight_messages_set(0)
        self.client.on_message = lambda _client, _data, message: self.received.put(message)
        self._ready: queue.Queue[object] = queue.Queue()
        self.client.on_connect = lambda *arguments: self._ready.put(arguments)
        self.client.on_subscribe = lambda *arguments: self._ready.put(arguments)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self._ready.get(timeout=10)

    def subscribe(self, topic: str, qos: int = 1) -> None:
        self.client.subscribe(topic, qos)
        self._ready.get(timeout=10)

    def publish(
        self,
        topic: str,
        payloads: Sequence[bytes],
        qos: int = 1,
        *,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        """Publish and wait until the broker (QoS 1) or the socket (QoS 0) has them."""
        sent = [self.client.publish(topic, each, qos, retain, properties) for each in payloads]
        for info in sent:
            info.wait_for_publish(20)

    def take(self, count: int) -> list[MQTTMessage]:
        return [self.received.get(timeout=20) for _ in range(count)]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def paho(port: int, *, v5: bool = True) -> Iterator[Paho]:
    made = Paho(port, v5=v5)
    try:
        yield made
    finally:
        made.close()


async def read(source: Source, count: int, seconds: float = 20.0) -> list[Payloads]:
    """Items until ``count`` payloads have come."""
    items: list[Payloads] = []
    async with asyncio.timeout(seconds), aclosing(source.batches()) as batches:
        async for item in batches:
            assert isinstance(item, Payloads)
            items.append(item)
            if sum(map(len, items)) >= count:
                break
    return items


def payloads(items: Sequence[Payloads]) -> list[bytes]:
    return [payload for item in items for payload in item.payloads]


class Script:
    """A server that answers the n-th read with the n-th answer, then stays silent or hangs up."""

    def __init__(self, answers: Sequence[bytes], *, hang_up: bool) -> None:
        self.answers = list(answers)
        self.hang_up = hang_up
        self.heard = b""
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        for answer in self.answers:
            self.heard += await reader.read(65_536)
            writer.write(answer)
        if self.hang_up:
            await writer.drain()
            writer.close()
            return
        while data := await reader.read(65_536):
            self.heard += data


@asynccontextmanager
async def scripted(*answers: bytes, hang_up: bool = False) -> AsyncIterator[Script]:
    script = Script(answers, hang_up=hang_up)
    server = await asyncio.start_server(script.talk, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        for writer in script.writers:
            writer.close()
        server.close()
        await server.wait_closed()
