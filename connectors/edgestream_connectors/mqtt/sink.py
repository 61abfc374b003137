"""The MQTT sink: one message a row, many messages a write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, cast

from edgestream import (
    Batch,
    ConfigError,
    Context,
    Disconnected,
    Duration,
    Json,
    Problem,
    Rejected,
    Schema,
    Secret,
    Sink,
    SinkDelivery,
    Token,
    component,
    nanos,
    option,
    state,
)
from edgestream_connectors.mqtt import publish
from edgestream_connectors.mqtt.address import Address
from edgestream_connectors.mqtt.client import Client
from edgestream_connectors.mqtt.packets import Login
from edgestream_connectors.mqtt.settings import client_id, connection_problems, revealed
from edgestream_connectors.mqtt.template import Template
from edgestream_connectors.mqtt.tls import Tls
from edgestream_connectors.mqtt.wire import MAX_LENGTH

_WRITE = 256 * 1024
"""Bytes of messages in one write."""
_OVERHEAD = 16
"""Bytes of a PUBLISH packet beside topic and payload, at most."""
_ANSWER_SECONDS = 30.0
_SECOND = 1_000_000_000


@component(
    "mqtt",
    examples=(
        'mqtt: {url: "mqtt://localhost:1883", topic: averages}',
        'mqtt: {url: "mqtt://localhost:1883", topic: "alerts/{device}", retain: true}',
    ),
)
class MqttSink(Sink):
    """Publishes each row to an MQTT broker as a JSON object.

    The topic may hold columns in braces: ``alerts/{device}``. A row whose value cannot stand in a
    topic (empty, or with ``/``, ``+``, ``#`` or control characters) is rejected.

    Delivery: at least once. With QoS 1 a row counts as written when the broker has acknowledged
    it, with QoS 0 when the broker has read it; after a lost connection rows may be published
    twice. As many rows are under way at once as the broker allows: 20 for mosquitto unless it is
    given ``max_inflight_messages 0``.
    """

    delivery: ClassVar[SinkDelivery] = "at_least_once"

    url: str = option(
        help="The broker: mqtt://host:1883, or mqtts://host:8883 for TLS.",
        example="mqtt://localhost:1883",
    )
    topic: str = option(
        help="Where to publish; columns stand in braces.", example="alerts/{device}"
    )
    qos: Literal[0, 1] = option(default=1, help="1: the broker acknowledges every row.")
    retain: bool = option(default=False, help="The broker keeps the last row of each topic.")
    version: Literal["5", "3.1.1"] = option(default="5", help="The version of MQTT.")
    client_id: str = option(
        default="", help="Names the connection; default: made from the step's name."
    )
    keep_alive: Duration = option(
        default="30s",
        help="How soon a dead connection is noticed; 0 is never.",
        minimum=0,
        maximum=65_535 * _SECOND,
    )
    username: str = option(default="", help="User name.")
    password: Secret | str | None = option(
        default=None, help="Password.", example="${MQTT_PASSWORD}"
    )
    tls: Tls = option(factory=Tls, help="TLS settings, for mqtts://.")

    _client: Client | None = state(factory=lambda: None)
    _json: Json = state(factory=cast("Callable[[], Json]", Json))

    def check(self) -> None:
        """The topic and the connection must make sense."""
        problems = connection_problems(self.url, self.tls, self.username, self.password)
        try:
            Template.of(self.topic)
        except ValueError as error:
            problems.append(Problem(str(error), ("topic",)))
        if problems:
            raise ConfigError(problems)

    def accepts(self, schema: Schema, keys: Sequence[str]) -> None:
        """The columns in the topic must be there."""
        for name in Template.of(self.topic).names:
            schema.kind(name)

    async def open(self, ctx: Context) -> Token | None:
        """Connect; raises `Disconnected` where the broker allows less than is asked for."""
        login = Login(
            client_id(self.client_id, ctx.id),
            v5=self.version == "5",
            keep_alive=-int(-nanos(self.keep_alive).seconds // 1),
            username=self.username or None,
            password=revealed(self.password),
        )
        self._client = client = Client(Address.of(self.url), login, ctx.clock)
        await client.connect(self.tls)
        if client.connack.limit("maximum_qos", 2) < self.qos:
            raise Disconnected(f"{self.url} takes QoS 0 only; set qos: 0")
        if self.retain and not client.connack.limit("retain_available", 1):
            raise Disconnected(f"{self.url} keeps no messages; set retain: false")
        return None

    async def write(self, batch: Batch) -> None:
        """Publish the rows; with QoS 1 wait until the broker has answered for each."""
        client = self._connected()
        topics, refused = Template.of(self.topic).topics(batch)
        payloads = self._json.encode(batch)
        limit = client.connack.limit("maximum_packet_size", MAX_LENGTH)
        longest = max(map(len, topics), default=0) + max(map(len, payloads), default=0)
        for row in range(len(batch)) if longest + _OVERHEAD > limit else ():
            if len(topics[row]) + len(payloads[row]) + _OVERHEAD > limit:
                refused[row] = f"its message is larger than the broker takes ({limit} bytes)"
        rows = [row for row in range(len(batch)) if row not in refused]
        await self._publish(client, rows, topics, payloads, max(1, _WRITE // (longest + _OVERHEAD)))
        if client.outgoing.refused or refused:
            reasons = {**refused, **client.outgoing.refused}
            client.outgoing.refused = {}
            raise Rejected(reasons)

    async def _publish(
        self,
        client: Client,
        rows: Sequence[int],
        topics: Sequence[bytes],
        payloads: Sequence[bytes],
        most: int,
    ) -> None:
        """Send the messages of ``rows``, never more than the broker allows and ``most`` at once."""
        outgoing, retain, v5 = client.outgoing, self.retain, self.version == "5"
        sent = 0
        while sent < len(rows):
            if self.qos and not outgoing.room():
                await _answer(client, lambda: outgoing.room() > 0)
            part = rows[sent : sent + (min(most, outgoing.room()) if self.qos else most)]
            ids = [outgoing.send(row) if self.qos else 0 for row in part]
            packets = [
                publish.encode(topics[row], payloads[row], ident, retain=retain, v5=v5)
                for row, ident in zip(part, ids, strict=True)
            ]
            await client.link.write(b"".join(packets))
            client.alive()
            sent += len(part)
        await _answer(client, lambda: not len(outgoing))

    async def flush(self, token: Token | None) -> None:
        """With QoS 0, wait until the broker has read everything; with QoS 1 it has answered.

        Best effort (no token) waits for nothing.
        """
        client = self._connected()
        client.alive()
        if not self.qos and token is not None:
            pongs = client.pongs
            client.ping()
            await _answer(client, lambda: client.pongs > pongs)

    def _connected(self) -> Client:
        if self._client is None:
            raise Disconnected("the MQTT sink is not open")
        return self._client

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


async def _answer(client: Client, condition: Callable[[], bool]) -> None:
    """Wait for the broker, which answers within ``_ANSWER_SECONDS`` or is as good as gone."""
    if condition():
        return
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await client.until(condition)
    except TimeoutError as error:
        raise Disconnected(f"the broker has not answered for {_ANSWER_SECONDS:g} s") from error
