"""The sink against a real mosquitto, read by paho."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgestream import ConfigError, Disconnected, Rejected, Token, from_rows
from edgestream.testing.connectors import batch, check_sink, context
from edgestream_connectors.mqtt import MqttSink
from tests.connectors.mqtt.other_side import paho, scripted
from tests.connectors.mqtt.packets_for_tests import CONNACK_5
from tests.servers.mosquitto import Mosquitto

pytestmark = pytest.mark.server


class Store:
    """Everything published to ``kit/…`` since the last look, by place."""

    def __init__(self, broker: Mosquitto) -> None:
        self.broker = broker
        self.rows: dict[str, list[Mapping[str, Any]]] = {}

    async def read(self, place: str) -> list[Mapping[str, Any]]:
        return await asyncio.to_thread(self._read, place)

    def _read(self, place: str) -> list[Mapping[str, Any]]:
        """The retained message of each topic: one a device."""
        with paho(self.broker.port) as other:
            other.subscribe(f"kit/{place}/#")
            other.subscribe("mark")
            other.publish("mark", [b"end"])
            found = []
            while (message := other.take(1)[0]).topic != "mark":
                found.append(json.loads(message.payload))
            return found


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_kit(tmp_path: Path, version: str) -> None:
    with Mosquitto(tmp_path, persistent=True) as broker:
        bad = batch([1, 2, 3]).with_columns(device=["ok", "a/b", "fine"])
        await check_sink(
            lambda place: MqttSink(
                url=broker.url, topic=f"kit/{place}/{{device}}", retain=True, version=version
            ),
            Store(broker).read,
            restart=lambda: asyncio.to_thread(broker.restart),
            refused=(bad, frozenset({1})),
            unreachable=lambda: MqttSink(url="mqtt://127.0.0.1:1", topic="a"),
        )


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker as it comes: 20 messages in flight, and small packets."""
    with Mosquitto(tmp_path, ["max_inflight_messages 20", "max_packet_size 2000"]) as broker:
        yield broker


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_rows_become_json_objects(
    broker: Mosquitto, place: str, qos: int, version: str
) -> None:
    rows = batch(list(range(300)))
    with paho(broker.port) as other:
        other.subscribe(f"{place}/#", 1)
        sink = MqttSink(url=broker.url, topic=f"{place}/{{device}}", qos=qos, version=version)
        await sink.open(context(place))
        await sink.write(rows)
        await sink.write(batch([]))
        await sink.flush(Token("store", 1))
        await sink.close()
        got = await asyncio.to_thread(other.take, 300)
    assert [message.topic for message in got] == [f"{place}/d{i}" for i in range(300)]
    assert {message.qos for message in got} == {qos}
    first = json.loads(got[0].payload)
    assert first == {
        "device": "d0",
        "window_start": "2023-11-14T22:13:20Z",
        "n": 0,
        "average": None,
        "ok": True,
    }


async def test_no_more_in_flight_than_the_broker_allows(narrow: Mosquitto, place: str) -> None:
    """mosquitto hangs up on a client that exceeds its receive maximum."""
    sink = MqttSink(url=narrow.url, topic=f"{place}/{{device}}")
    await sink.open(context(place))
    assert sink._client is not None
    assert sink._client.outgoing.room() == 20
    with paho(narrow.port) as other:
        other.subscribe(f"{place}/#", 0)
        await sink.write(batch(list(range(500))))
        await sink.flush(Token("store", 1))
        got = await asyncio.to_thread(other.take, 500)
    await sink.close()
    assert len({message.topic for message in got}) == 500


async def test_too_large_for_the_broker(narrow: Mosquitto, place: str) -> None:
    sink = MqttSink(url=narrow.url, topic=place)
    await sink.open(context(place))
    rows = from_rows([{"text": "small"}, {"text": "x" * 5000}, {"text": "small"}])
    with pytest.raises(Rejected) as caught:
        await sink.write(rows)
    await sink.flush(Token("store", 1))
    await sink.close()
    assert set(caught.value.reasons) == {1}
    assert "larger than the broker takes (2000 bytes)" in caught.value.reasons[1]


async def test_a_publish_that_the_broker_refuses_is_a_rejected_row() -> None:
    """Not against mosquitto 2.0.11, which hangs up instead of refusing."""
    answers = b"\x40\x02\x00\x01" + b"\x40\x03\x00\x02\x87" + b"\x40\x03\x00\x03\x10"
    async with scripted(CONNACK_5, answers, b"\x40\x02\x00\x04") as server:
        sink = MqttSink(url=f"mqtt://127.0.0.1:{server.port}", topic="{where}/x")
        await sink.open(context("p.s"))
        rows = from_rows([{"where": where} for where in ("open", "shut", "open")])
        with pytest.raises(Rejected) as caught:
            await sink.write(rows)
        await sink.write(rows.take([0]))
        await sink.flush(Token("store", 1))
        await sink.close()
    assert set(caught.value.reasons) == {1}
    assert "the server refused it: not authorised" in caught.value.reasons[1]


@pytest.mark.parametrize(
    ("connack", "fields", "words"),
    [
        (b"\x20\x05\x00\x00\x02\x24\x00", {}, "takes QoS 0 only; set qos: 0"),
        (b"\x20\x05\x00\x00\x02\x25\x00", {"retain": True}, "keeps no messages; set retain: false"),
    ],
)
async def test_brokers_that_allow_less(connack: bytes, fields: dict[str, Any], words: str) -> None:
    async with scripted(connack) as server:
        sink = MqttSink(url=f"mqtt://127.0.0.1:{server.port}", topic="a", **fields)
        with pytest.raises(Disconnected, match=words):
            await sink.open(context("p.s"))
        await sink.close()


async def written(sink: MqttSink) -> None:
    await sink.write(batch([1, 2]))
    await sink.flush(Token("store", 1))


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_lost_connection(qos: int) -> None:
    """Neither a write nor a flush goes well that the broker has not answered."""
    async with scripted(CONNACK_5, b"", hang_up=True) as server:
        sink = MqttSink(url=f"mqtt://127.0.0.1:{server.port}", topic="a", qos=qos)
        await sink.open(context("p.s"))
        with pytest.raises(Disconnected):
            await written(sink)
        with pytest.raises(Disconnected):
            await sink.flush(Token("store", 1))
        await sink.close()
        with pytest.raises(Disconnected, match="not open"):
            await sink.write(batch([1]))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"topic": "a/+"}, "topic: .*no wildcard"),
        ({"url": "tcp://x"}, "url: "),
        ({"qos": 2}, "qos"),
    ],
)
def test_bad_configuration(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        MqttSink(**{"url": "mqtt://localhost", "topic": "a", **fields})
