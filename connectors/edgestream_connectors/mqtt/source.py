"""The MQTT source: blocks of messages with their topics, acknowledged when they are safe."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from edgestream import (
    ColumnKind,
    ConfigError,
    Context,
    Disconnected,
    Duration,
    Payloads,
    Position,
    Problem,
    Schema,
    Secret,
    Size,
    Source,
    component,
    nanos,
    nbytes,
    option,
    state,
)
from edgestream_connectors.mqtt.address import Address
from edgestream_connectors.mqtt.client import Client
from edgestream_connectors.mqtt.link import Pace
from edgestream_connectors.mqtt.messages import Messages
from edgestream_connectors.mqtt.metadata import NAMED, Columns
from edgestream_connectors.mqtt.packets import RECEIVE_MAXIMUM, Login
from edgestream_connectors.mqtt.protocol import Block, unpack
from edgestream_connectors.mqtt.redelivery import Tail
from edgestream_connectors.mqtt.settings import client_id, connection_problems, revealed
from edgestream_connectors.mqtt.tls import Tls
from edgestream_connectors.mqtt.topics import RETAINED, TOPIC, Pattern, TopicColumns
from edgestream_connectors.mqtt.wire import ProtocolError

_MARK_311 = b"\x04"
"""Stands before the raw packets of MQTT 3.1.1; those of MQTT 5 begin with 0x3 at once."""
_SECOND = 1_000_000_000
_SILENCE = 0.03
"""Seconds after which a broker has perhaps sent all that it may; more where it lingers as long."""


@component(
    "mqtt",
    examples=(
        'mqtt: {url: "mqtt://localhost:1883", topics: [sensors/+/telemetry]}',
        'mqtt: {url: "mqtt://localhost:1883", topics: ["sensors/{device}/telemetry"], qos: 1}',
        'mqtt: {url: "mqtts://plant.example", topics: [plant/#], topic: "plant/{line}/+"}',
    ),
)
class Mqtt(Source):
    """Messages from an MQTT broker (MQTT 5, or 3.1.1 for brokers that know no other).

    A topic may name levels in braces: ``sensors/{device}/telemetry`` subscribes to
    ``sensors/+/telemetry`` and gives the column ``device``. The column ``topic`` holds the whole
    topic. With ``properties: true`` the properties of MQTT 5 become columns too: ``content_type``,
    ``response_topic``, ``correlation_data`` (hex) and ``user.<name>``.

    Several workers share a subscription with ``group``; each then needs a ``client_id`` of its own,
    such as ``${HOSTNAME}``.

    Delivery: with QoS 1 a message is acknowledged when it is in the journal, and the broker keeps
    the session while the worker is away: nothing is lost, and what comes twice after a restart
    of the worker is recognised. With QoS 0, and for a broker that loses its session, messages that
    are on their way are lost. A broker drops what its own queue cannot hold: give mosquitto
    ``max_queued_messages 0``, and ``max_inflight_messages 0`` for more than 1,000 messages/s.
    With MQTT 3.1.1 retained messages come again at every connection.
    """

    replayable: ClassVar[bool] = False
    columns: ClassVar[Mapping[str, str]] = {
        TOPIC: "the topic; beside it one column for each name in braces",
        RETAINED: "whether the broker had kept the message from before (retained: true)",
        "content_type": "what the publisher says the payload is (properties: true)",
        "response_topic": "where the publisher wants an answer (properties: true)",
        "correlation_data": "what an answer must repeat, in hex (properties: true)",
        "user.*": "user properties, one column a name (properties: true)",
    }

    url: str = option(
        help="The broker: mqtt://host:1883, or mqtts://host:8883 for TLS.",
        example="mqtt://localhost:1883",
    )
    topics: Sequence[str] = option(
        default=(),
        help="What to subscribe to; + and # are wildcards, {name} is a + that gives a column.",
        example="[sensors/+/telemetry]",
    )
    topic: str = option(
        default="",
        help="A pattern that gives columns from the topics that come.",
        example="sensors/{device}/telemetry",
    )
    qos: Literal[0, 1] = option(
        default=1, help="1: the broker sends again what was not journalled."
    )
    group: str = option(
        default="", help="Share the subscription with all workers that name this group."
    )
    version: Literal["5", "3.1.1"] = option(default="5", help="The version of MQTT.")
    client_id: str = option(
        default="", help="Names the session; default: made from the step's name."
    )
    clean_start: bool = option(
        default=False, help="Begin a new session; once after topics were removed."
    )
    session_expiry: Duration = option(
        default="7d", help="How long the broker keeps the session (MQTT 5)."
    )
    receive_maximum: int = option(
        default=RECEIVE_MAXIMUM,
        help="Messages that may be under way and not acknowledged (MQTT 5).",
        minimum=1,
        maximum=RECEIVE_MAXIMUM,
    )
    max_packet: Size = option(
        default="1MiB", help="A larger packet is refused.", minimum=1024, maximum=268_435_455
    )
    keep_alive: Duration = option(
        default="30s",
        help="How soon a dead connection is noticed; 0 is never.",
        minimum=0,
        maximum=65_535 * _SECOND,
    )
    linger: Duration | None = option(
        default=None,
        help="Pause after each read, to gather; by itself 1ms, with QoS 0 up to 5ms while "
        "reads bring 16 messages and more; where journalled or windowed 20ms, up to 50ms "
        "far from the end of a window (with QoS 1 while the broker is seen not to wait).",
        minimum=0,
        maximum=10 * _SECOND,
    )
    properties: bool = option(default=False, help="Give the properties of MQTT 5 as columns.")
    retained: bool = option(default=False, help="Give the column retained.")
    username: str = option(default="", help="User name.")
    password: Secret | str | None = option(
        default=None, help="Password.", example="${MQTT_PASSWORD}"
    )
    tls: Tls = option(factory=Tls, help="TLS settings, for mqtts://.")

    _client: Client | None = state(factory=lambda: None)
    _ctx: Context | None = state(factory=lambda: None)
    _pending: deque[tuple[bytes, int]] = state(factory=deque)
    _committed: int = state(factory=int)
    _tail: Tail | None = state(factory=lambda: None)
    _columns: Columns | None = state(factory=lambda: None)
    _pace: Pace = state(factory=Pace)

    def check(self) -> None:
        """Topics, address and limits must make sense together."""
        problems = connection_problems(self.url, self.tls, self.username, self.password)
        for path, text in _written(self):
            try:
                pattern = Pattern.of(text)
            except ValueError as error:
                problems.append(Problem(str(error), path))
                continue
            if self.group and pattern.filter.startswith("$share/"):
                problems.append(Problem("two groups for one topic", path, "leave out group"))
        if not self.topics and not self.topic:
            problems.append(
                Problem("no topics", ("topics",), "for example topics: [sensors/+/telemetry]")
            )
        if any(sign in self.group for sign in "/+#\0"):
            problems.append(Problem("a group holds none of / + #", ("group",)))
        if self.properties and self.version != "5":
            problems.append(Problem("MQTT 3.1.1 has no properties", ("properties",)))
        if self.linger is not None and 0 < nanos(self.keep_alive) <= 2 * nanos(self.linger):
            problems.append(Problem("longer than half of keep_alive", ("linger",), "try 20ms"))
        if problems:
            raise ConfigError(problems)
        self.resends = self.qos == 1

    def _patterns(self) -> list[Pattern]:
        return [Pattern.of(text) for _, text in _written(self)]

    def schema(self) -> Schema:
        """The topic, the names in its patterns, and what else was asked for."""
        kinds: dict[str, ColumnKind] = {TOPIC: "string"}
        for pattern in self._patterns():
            kinds |= dict.fromkeys(pattern.names, "string")
        if self.retained:
            kinds[RETAINED] = "bool"
        if self.properties:
            kinds |= dict.fromkeys(NAMED, "string")
        return Schema(kinds, open=self.properties)

    def beside(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The named levels of a topic; `ConfigError` for one that is not subscribed to."""
        topic = known.get(TOPIC)
        if not isinstance(topic, str):
            return known
        fits = [pattern.match(topic) for pattern in self._patterns()]
        if all(names is None for names in fits):
            hint = "subscribed: " + ", ".join(text for _, text in _written(self))
            raise ConfigError(Problem(f"nothing comes from the topic {topic!r}", (TOPIC,), hint))
        return {**next(filter(None, fits), {}), **known}

    async def open(self, ctx: Context, resume: Position | None) -> None:
        """Connect and subscribe; the broker goes on after the last acknowledged message."""
        login = Login(
            client_id(self.client_id, ctx.id),
            v5=self.version == "5",
            clean_start=self.clean_start,
            session_expiry=min(int(nanos(self.session_expiry).seconds), 0xFFFFFFFE),
            keep_alive=-int(-nanos(self.keep_alive).seconds // 1),
            receive_maximum=self.receive_maximum,
            max_packet=nbytes(self.max_packet),
            username=self.username or None,
            password=revealed(self.password),
        )
        client = Client(Address.of(self.url), login, ctx.clock)
        self._client, self._ctx = client, ctx
        self._pending.clear()
        self._committed = 0
        await client.connect(self.tls)
        if not client.connack.session_present:
            if self._tail is not None and not self.clean_start:
                ctx.log.warning("%s has lost the session and what it held", self.url)
            self._tail = None
        patterns = [Pattern.of(text) for text in self.topics or (self.topic,)]
        share = f"$share/{self.group}/" if self.group else ""
        await client.subscribe([share + each.filter for each in patterns], self.qos)
        if any(qos < self.qos for qos in client.granted):
            ctx.log.warning("%s grants QoS 0 only: messages may be lost", self.url)
        client.link.linger = functools.partial(_pause, self, client)

    async def batches(self) -> AsyncIterator[Payloads]:
        """What each read brought; `Disconnected` once everything received has been given out."""
        client = self._client
        if client is None:
            raise Disconnected("the MQTT source is not open")
        while True:
            block, received = await client.take()
            try:
                item = self._item(client, block, received)
            except ProtocolError as error:
                raise Disconnected(f"{self.url} broke the MQTT protocol: {error}") from error
            if item is not None:
                yield item

    def _item(self, client: Client, block: Block, received: int) -> Payloads | None:
        """A block as payloads, without what is in the journal already."""
        raw, messages, v5 = block.raw, block.messages, self.version == "5"
        size = len(raw)
        if messages.again and self._tail is not None:
            raw, dropped = self._tail.without_known(raw, v5)
            if dropped and self._ctx is not None:
                self._ctx.metrics.add("redelivered", dropped)
                messages = unpack(raw, v5=v5)
        if messages:
            self.silence = max(_SILENCE, 1.5 * self._pace.seconds) if block.acks else None
            columns = self._columns_of(raw, messages, v5)
            self._pending.append((block.acks, size))
            return Payloads(messages.payloads, columns, received, raw if v5 else _MARK_311 + raw)
        # all known: acknowledged now, or after what came before and is not yet safe
        if self._pending:
            acks, before = self._pending.pop()
            self._pending.append((acks + block.acks, before + size))
        else:
            client.link.send(block.acks)
            client.release(size)
        return None

    def _columns_of(self, raw: bytes, messages: Messages, v5: bool) -> dict[str, Any]:
        if self._columns is None:
            topics = TopicColumns(self._patterns(), self.wanted)
            self._columns = Columns(topics, self.wanted, self.retained, self.properties)
        return self._columns.of(raw, messages, v5)

    async def commit(self, items: int) -> None:
        """Acknowledge the messages of the first ``items`` blocks, in order and in one write."""
        acks: list[bytes] = []
        size = 0
        while self._committed < items and self._pending:
            ack, block = self._pending.popleft()
            acks.append(ack)
            size += block
            self._committed += 1
        if self._client is not None and size:
            self._client.link.send(b"".join(acks))
            self._client.release(size)

    def unpack(self, raw: bytes, received: int) -> Payloads:
        """The payloads and columns of a journalled block."""
        packets, v5 = _opened(raw)
        messages = unpack(packets, v5=v5)
        columns = self._columns_of(packets, messages, v5)
        return Payloads(messages.payloads, columns, received, raw)

    def recall(self, blocks: Iterable[bytes]) -> None:
        """Remember what is journalled, so that it is known when the broker sends it again."""
        tail = Tail(_opened(raw) for raw in blocks)
        self._tail = tail if len(tail) else None

    async def close(self) -> None:
        """Disconnect; the broker keeps the session and what was not acknowledged."""
        client, self._client = self._client, None
        self._pending.clear()
        if client is not None:
            await client.close()


def _pause(source: Mqtt, client: Client) -> float:
    """Seconds to linger after a read."""
    pace = source._pace
    if source.linger is not None:
        pace.seconds = nanos(source.linger).seconds
    else:
        pace.note(source.gather_for, client.came, client.link.paused, awaited=client.awaited)
    return pace.seconds


def _written(source: Mqtt) -> list[tuple[tuple[str | int, ...], str]]:
    """Every pattern with its place in the configuration; ``topic`` is the first to match."""
    places: list[tuple[tuple[str | int, ...], str]] = [(("topic",), source.topic)]
    places += [(("topics", index), text) for index, text in enumerate(source.topics)]
    return places[0 if source.topic else 1 :]


def _opened(raw: bytes) -> tuple[bytes, bool]:
    """The packets of a journalled block, and whether they are MQTT 5."""
    return (raw[1:], False) if raw[:1] == _MARK_311 else (raw, True)
