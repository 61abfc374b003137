"""The source against a real mosquitto."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgestream import ConfigError, Disconnected, Payloads, to_python
from edgestream.testing.connectors import check_source, context, counts
from edgestream_connectors.mqtt import Mqtt
from edgestream_connectors.mqtt import client as client_module
from edgestream_connectors.mqtt.link import READ
from tests.connectors.mqtt.other_side import Paho, paho, payloads, read
from tests.servers.mosquitto import Mosquitto

pytestmark = pytest.mark.server


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b'{"n": %d}' % i for i in range(first, first + count)]


async def publish(broker: Mosquitto, topic: str, what: list[bytes], qos: int = 1) -> None:
    def send() -> None:
        with paho(broker.port) as other:
            other.publish(topic, what, qos)

    await asyncio.to_thread(send)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_kit(tmp_path: Path, version: str) -> None:
    with Mosquitto(tmp_path, persistent=True) as broker:
        topic = "kit/dev-1/t"
        await check_source(
            lambda: Mqtt(url=broker.url, topics=["kit/{device}/t"], version=version),
            lambda sent: publish(broker, topic, list(sent)),
            restart=lambda: asyncio.to_thread(broker.restart),
            unreachable=lambda: Mqtt(url="mqtt://127.0.0.1:1", topics=["a"]),
        )


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_receive(broker: Mosquitto, place: str, qos: int, version: str) -> None:
    source = Mqtt(url=broker.url, topics=[f"{place}/+/t"], topic="{p}/{device}/t", qos=qos)
    source = Mqtt(**{**vars_of(source), "version": version})
    await source.open(context(place), None)
    await publish(broker, f"{place}/d1/t", [*numbered(20), b""], qos)
    items = await read(source, 21)
    await publish(broker, f"{place}/ü/t", [b"last"], qos)
    items += await read(source, 1)
    await source.commit(len(items))
    await source.close()
    assert payloads(items) == [*numbered(20), b"", b"last"]
    columns = [item.columns for item in items]
    devices = [name for each in columns for name in to_python(each["device"])]
    assert devices == ["d1"] * 21 + ["ü"]
    assert {name for each in columns for name in to_python(each["p"])} == {place}
    assert to_python(columns[-1]["topic"])[-1] == f"{place}/ü/t"
    if version == "3.1.1":
        assert all(item.raw[:1] == b"\x04" for item in items)


def vars_of(source: Mqtt) -> dict[str, object]:
    names = ("url", "topics", "topic", "qos", "client_id", "group")
    return {name: getattr(source, name) for name in names}


async def test_only_wanted_columns_are_made(broker: Mosquitto, place: str) -> None:
    source = Mqtt(url=broker.url, topics=[f"{place}/{{device}}"], retained=True)
    source.wanted = frozenset({"device"})
    await source.open(context(place), None)
    await publish(broker, f"{place}/x", [b"1"])
    (item,) = await read(source, 1)
    await source.close()
    assert set(item.columns) == {"device"}


async def test_retained_messages(broker: Mosquitto, place: str) -> None:
    """They come once, when the subscription is new, and are rows like others."""
    with paho(broker.port) as other:
        other.publish(f"{place}/a", [b"kept"], retain=True)
    source = Mqtt(url=broker.url, topics=[f"{place}/#"], retained=True)
    for expected in ([b"kept", b"fresh"], [b"fresh"]):
        await source.open(context(place), None)
        await publish(broker, f"{place}/a", [b"fresh"])
        items = await read(source, len(expected))
        await source.commit(len(items))
        await source.close()
        assert payloads(items) == expected
        flags = [flag for item in items for flag in item.columns["retained"].tolist()]
        assert flags == [payload == b"kept" for payload in expected]


def speaking(**values: object) -> Properties:
    made = Properties(PacketTypes.PUBLISH)
    for name, value in values.items():
        setattr(made, name, value)
    return made


async def test_properties(broker: Mosquitto, place: str) -> None:
    source = Mqtt(url=broker.url, topics=[place], properties=True)
    await source.open(context(place), None)
    full = speaking(
        ContentType="application/json",
        ResponseTopic="answers",
        CorrelationData=b"\x00\xff",
        UserProperty=[("unit", "°C"), ("site", "x" * 200)],
    )
    with paho(broker.port) as other:
        other.publish(place, [b"1"], properties=full)
        other.publish(place, [b"2"])
        other.publish(place, [b"3"], properties=speaking(UserProperty=[("unit", "K")]))
    items = await read(source, 3)
    again = [Mqtt(**source_like(source)).unpack(item.raw, item.received) for item in items]
    await source.close()
    for given in (items, again):
        rows: dict[str, list[object]] = {}
        for index, item in enumerate(given):
            for name, values in item.columns.items():
                column = to_python(values) if name == "topic" else list(values)
                rows.setdefault(name, [None] * sum(map(len, given[:index]))).extend(column)
        width = len(payloads(given))
        padded = {name: column + [None] * (width - len(column)) for name, column in rows.items()}
        assert padded == {
            "topic": [place] * 3,
            "content_type": ["application/json", None, None],
            "response_topic": ["answers", None, None],
            "correlation_data": ["00ff", None, None],
            "user.unit": ["°C", None, "K"],
            "user.site": ["x" * 200, None, None],
        }


def source_like(source: Mqtt) -> dict[str, object]:
    return {"url": source.url, "topics": source.topics, "properties": source.properties}


async def test_messages_that_came_while_away(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, persistent=True) as broker:
        source = Mqtt(url=broker.url, topics=["away"])
        await source.open(context("p.away"), None)
        await source.close()
        await publish(broker, "away", numbered(100))
        await asyncio.to_thread(broker.restart)
        await source.open(context("p.away"), None)
        items = await read(source, 100)
        await source.commit(len(items))
        await source.close()
        assert payloads(items) == numbered(100)


async def taken_in_tens(broker: Mosquitto, source: Mqtt, place: str) -> list[Payloads]:
    """Five items of ten messages."""
    items: list[Payloads] = []
    for first in range(0, 50, 10):
        await publish(broker, place, numbered(10, first))
        items += await read(source, 10)
    return items


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_what_is_journalled_and_not_acknowledged_is_recognised(
    broker: Mosquitto, place: str, version: str
) -> None:
    """50 sent, 20 acknowledged, 40 journalled, connection cut: 30 come again, 10 of them new."""
    source = Mqtt(url=broker.url, topics=[place], version=version, linger="0s")
    await source.open(context(place), None)
    items = await taken_in_tens(broker, source, place)
    firsts = [len(payloads(items[:index])) for index in range(len(items))]
    await source.commit(firsts.index(20))
    await heard(source)
    cut(source)
    with pytest.raises(Disconnected):
        await read(source, 1)
    await source.close()

    ctx = context(place)
    source.recall([item.raw for item in items[: firsts.index(40)]])
    await source.open(ctx, None)
    again = await read(source, 10)
    assert payloads(again) == numbered(10, 40)
    assert counts(ctx)["redelivered"] == 20
    await source.commit(len(again))
    await heard(source)
    await source.close()

    other = context(place)
    await source.open(other, None)
    await publish(broker, place, [b"end"])
    assert payloads(await read(source, 1)) == [b"end"]
    await source.close()
    assert counts(other) == {}


async def heard(source: Mqtt) -> None:
    """The broker has read all acknowledgements; a new login would make it drop the rest."""
    client = source._client
    assert client is not None
    before = client.pongs
    client.ping()
    await client.until(lambda: client.pongs > before)


def cut(source: Mqtt) -> None:
    """Break the connection without a word, as a dying process does."""
    assert source._client is not None
    source._client.link.abort()


async def test_a_block_that_is_all_known_is_acknowledged(broker: Mosquitto, place: str) -> None:
    source = Mqtt(url=broker.url, topics=[place])
    await source.open(context(place), None)
    await publish(broker, place, numbered(5))
    items = await read(source, 5)
    cut(source)
    await source.close()
    for known in ([item.raw for item in items], []):
        ctx = context(place)
        source.recall(known)
        await source.open(ctx, None)
        await publish(broker, place, [b"mark"])
        assert payloads(await read(source, 1)) == [b"mark"]
        assert counts(ctx).get("redelivered", 0) == (5 if known else 0)
        await source.commit(100)
        await heard(source)
        await source.close()


async def test_a_new_session_recognises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker forgot: ids mean other messages now, and a warning says what that costs."""
    with Mosquitto(tmp_path) as broker:
        source = Mqtt(url=broker.url, topics=["a"])
        await source.open(context("p.s"), None)
        await publish(broker, "a", [b"same"])
        items = await read(source, 1)
        await source.close()
        await asyncio.to_thread(broker.restart)
        source.recall([item.raw for item in items])
        await source.open(context("p.s"), None)
        assert source._tail is None
        assert "has lost the session" in caplog.text
        await source.close()


async def test_a_broker_that_waits_is_answered_within_20_ms(broker: Mosquitto, place: str) -> None:
    source = Mqtt(url=broker.url, topics=[place])
    source.gather_for = 0.05
    await source.open(context(place), None)
    found = []
    for qos in (0, 1, 0):
        await publish(broker, place, [b"{}"], qos)
        await read(source, 1)
        assert source._client is not None
        found.append(source._client.link.linger())
    await source.close()
    assert found == [0.05, 0.02, 0.05]


@pytest.mark.parametrize(("linger", "silence"), [("1ms", 0.03), ("100ms", 0.15)])
async def test_a_pause_is_no_silence(
    broker: Mosquitto, place: str, linger: str, silence: float
) -> None:
    source = Mqtt(url=broker.url, topics=[place], linger=linger)
    await source.open(context(place), None)
    await publish(broker, place, [b"{}"])
    await read(source, 1)
    await source.close()
    assert source.silence == pytest.approx(silence)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_shared_subscription(broker: Mosquitto, place: str, version: str) -> None:
    members = [
        Mqtt(
            url=broker.url,
            topics=[f"{place}/{{device}}"],
            group="g",
            client_id=f"{place}-{i}",
            version=version,
            linger="0s",
        )
        for i in range(2)
    ]
    for member in members:
        await member.open(context(place), None)
    await publish(broker, f"{place}/x", numbered(100))
    half, other_half = [payloads(await read(member, 50)) for member in members]
    for member in members:
        await member.close()
    assert sorted(half + other_half) == sorted(numbered(100))


async def test_literal_share(broker: Mosquitto, place: str) -> None:
    source = Mqtt(url=broker.url, topics=[f"$share/g/{place}/{{device}}"])
    await source.open(context(place), None)
    await publish(broker, f"{place}/x", [b"1"])
    (item,) = await read(source, 1)
    await source.close()
    assert to_python(item.columns["device"]) == ["x"]


async def test_broker_restart_in_mid_stream(tmp_path: Path) -> None:
    """What was received is given out first; then `Disconnected`; then everything else comes."""
    with Mosquitto(tmp_path, persistent=True) as broker:
        source = Mqtt(url=broker.url, topics=["mid"])
        await source.open(context("p.mid"), None)
        await publish(broker, "mid", numbered(10))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(broker.stop)
        items = await read(source, 10)
        assert payloads(items) == numbered(10)
        with pytest.raises(Disconnected, match="lost mqtt://127"):
            await read(source, 1)
        await source.commit(1)
        await source.close()
        with pytest.raises(Disconnected, match="connection refused; is the broker running"):
            await source.open(context("p.mid"), None)
        await source.close()
        await asyncio.to_thread(broker.start)
        source.recall([item.raw for item in items])
        await source.open(context("p.mid"), None)
        await publish(broker, "mid", numbered(10, 10))
        assert payloads(await read(source, 10)) == numbered(10, 10)
        await source.close()


async def test_another_client_with_the_same_id(broker: Mosquitto, place: str) -> None:
    """This mosquitto hangs up without a reason; see test_client for brokers that give one."""
    sources = [Mqtt(url=broker.url, topics=[place], client_id=place) for _ in range(2)]
    for source in sources:
        await source.open(context(place), None)
    with pytest.raises(Disconnected, match=f"is the client id '{place}' used twice"):
        await read(sources[0], 1)
    for source in sources:
        await source.close()


async def test_reading_stops_at_the_limit(
    broker: Mosquitto, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read beyond the limit, nothing is lost, and a commit lets reading go on."""
    monkeypatch.setattr(client_module, "LIMIT", 512 * 1024)
    source = Mqtt(url=broker.url, topics=[place], linger="0s")
    await source.open(context(place), None)
    assert source._client is not None
    large = [bytes([i]) * 50_000 for i in range(60)]
    task = asyncio.create_task(publish(broker, place, large))
    items: list[Payloads] = []
    while not source._client.link.blocked:
        items += await read(source, 1)
    await task
    # the broker has all messages; a read that is not taken would be in the queue by now
    held = sum(len(item.raw) for item in items) + sum(len(b.raw) for b, _ in source._client._blocks)
    assert 512 * 1024 <= held <= 512 * 1024 + READ + 60_000
    while len(payloads(items)) < 60:
        await source.commit(len(items))
        items += await read(source, 1)
    await source.close()
    assert payloads(items) == large


async def test_fifty_thousand_messages(broker: Mosquitto, place: str) -> None:
    source = Mqtt(url=broker.url, topics=[f"{place}/{{device}}"], qos=0)
    await source.open(context(place), None)
    sent = numbered(50_000)
    task = asyncio.create_task(publish(broker, f"{place}/x", sent, 0))
    count = 0
    got: list[bytes] = []
    async with asyncio.timeout(60):
        async for item in source.batches():
            count += 1
            got += item.payloads
            await source.commit(count)
            if len(got) >= 50_000:
                break
    await task
    await source.close()
    assert got == sent


async def test_commit_of_an_old_connection_is_dropped(broker: Mosquitto, place: str) -> None:
    source = Mqtt(url=broker.url, topics=[place])
    await source.open(context(place), None)
    await publish(broker, place, numbered(3))
    items = await read(source, 3)
    await source.close()
    await source.commit(len(items))
    await source.open(context(place), None)
    assert payloads(await read(source, 3)) == numbered(3)
    await source.close()


async def test_not_open() -> None:
    source = Mqtt(url="mqtt://localhost", topics=["a"])
    with pytest.raises(Disconnected, match="not open"):
        await read(source, 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "http://x"}, "not the URL of an MQTT broker"),
        ({"url": "mqtt://"}, "not the URL"),
        ({"url": "mqtt://x:99999"}, "is not a URL"),
        ({"url": "mqtt://user:pw@x"}, "use the fields username and password"),
        ({"url": "mqtt://x/topic"}, "has a path"),
        ({"topics": []}, "topics: no topics"),
        ({"topics": ["a/#/b"]}, r"topics.0: 'a/#/b'"),
        ({"topic": "a/{"}, "topic: "),
        ({"group": "a/b"}, "a group holds none"),
        ({"group": "g", "topics": ["$share/h/a"]}, "two groups"),
        ({"qos": 2}, "qos"),
        ({"version": "4"}, "version"),
        ({"version": "3.1.1", "properties": True}, "has no properties"),
        ({"password": "secret"}, "password: a secret is not written here"),
        ({"linger": "11s"}, "linger: must be at most 10s"),
        ({"linger": "5s", "keep_alive": "10s"}, "linger: longer than half"),
        ({"keep_alive": "1d"}, "keep_alive"),
        ({"receive_maximum": 0}, "receive_maximum"),
        ({"tls": {"ca": "x.pem"}}, "write mqtts://"),
        ({"url": "mqtts://x", "tls": {"key": "x.pem"}}, "tls.key: a key without"),
        ({"url": "mqtts://x", "tls": {"insecure": True}}, "tls.insecure: .*would not be checked"),
    ],
)
def test_bad_configuration(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Mqtt(**{"url": "mqtt://localhost", "topics": ["a"], **fields})


def test_schema() -> None:
    source = Mqtt(url="mqtt://x", topics=["a/{b}"], topic="{c}/#", retained=True)
    assert source.schema().fields == {
        "topic": "string",
        "b": "string",
        "c": "string",
        "retained": "bool",
    }
    assert not source.schema().open
    assert Mqtt(url="mqtt://x", topics=["a"], properties=True).schema().open


def test_topics_may_be_left_out() -> None:
    assert Mqtt(url="mqtt://x", topic="a/{b}").schema().kind("b") == "string"


def test_paho_is_what_the_tests_think(broker: Mosquitto, place: str) -> None:
    other = Paho(broker.port)
    other.subscribe(place)
    other.publish(place, [b"x"])
    assert [message.payload for message in other.take(1)] == [b"x"]
    other.close()
