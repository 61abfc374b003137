"""The sink against a real redis-server."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from edgestream.batch import from_rows
from edgestream.errors import ConfigError, Disconnected, Fatal, Rejected, Retry
from edgestream.schema import Schema
from edgestream.testing.connectors import batch, check_sink, context
from edgestream_connectors.redis import Geo, Redis
from tests.servers.redis import Redis as Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server("--repl-diskless-sync-delay", "0").start()
    yield running
    running.remove()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    made = Client.from_url(server.url, decode_responses=True)
    await made.config_set("maxmemory", "0")
    await made.flushall()
    yield made
    await made.aclose()


async def write(sink: Redis, rows: Sequence[dict[str, Any]]) -> dict[int, str]:
    """Write, flush and close; the reasons of the rows refused."""
    reasons: dict[int, str] = {}
    await sink.open(context())
    try:
        await sink.write(from_rows(rows))
    except Rejected as error:
        reasons = error.reasons
    finally:
        await sink.close()
    return reasons


BAD = batch([1, 2, 3]).with_columns(device=["d0", None, "d2"])


async def test_the_kit_with_hashes(server: Server, client: Client) -> None:
    async def read(place: str) -> list[dict[str, Any]]:
        async with Client.from_url(server.url, decode_responses=True) as other:
            return [await other.hgetall(key) for key in await other.keys(f"{place}:*")]

    await check_sink(
        lambda place: Redis(server.url, hash=place + ":{device}"),
        read,
        restart=server.restart,
        refused=(BAD, frozenset({1})),
        unreachable=lambda: Redis("redis://127.0.0.1:1", hash="a:{device}"),
    )


async def test_the_kit_with_a_stream(server: Server, client: Client) -> None:
    async def read(place: str) -> list[dict[str, Any]]:
        async with Client.from_url(server.url, decode_responses=True) as other:
            return [row for _, row in await other.xrange(place)]

    await check_sink(
        lambda place: Redis(server.url, stream=place, hash="h:{device}"),
        read,
        restart=server.restart,
        refused=(BAD, frozenset({1})),
    )


async def test_a_hash_holds_the_latest_of_each_field(server: Server, client: Client) -> None:
    stamp = datetime(2026, 3, 1, 12, 0, 0, 5, UTC)
    sink = Redis(server.url, hash="sensor:{device}", ttl="3m")
    rows = [
        {"device": "a", "t": 20.5, "n": "x", "at": stamp, "ok": True},
        {"device": "b", "t": 1e300, "n": "", "at": None, "ok": False},
        {"device": "a", "t": None, "n": "y", "at": stamp, "ok": False},
    ]
    assert await write(sink, rows) == {}
    assert await client.hgetall("sensor:a") == {
        "device": "a",
        "t": "20.5",
        "n": "y",
        "at": "2026-03-01T12:00:00.000005Z",
        "ok": "false",
    }
    assert await client.hgetall("sensor:b") == {
        "device": "b",
        "t": "1e+300",
        "n": "",
        "ok": "false",
    }
    assert 179_000 < await client.pttl("sensor:a") <= 180_000


async def test_no_value_writes_into_another_key(server: Server, client: Client) -> None:
    hostile = ["a:b", "a b", "*", "{x}", "\r\nFLUSHALL\r\n", "%3A", "grün", "\0", "../../x"]
    sink = Redis(server.url, hash="s:{d}")
    assert await write(sink, [{"d": text, "n": i} for i, text in enumerate(hostile)]) == {}
    keys = sorted(await client.keys("*"))
    assert len(keys) == len(hostile)
    assert {"s:a%3Ab", "s:%2A", "s:%7Bx%7D", "s:%253A", "s:grün", "s:../../x"} < set(keys)
    assert all(key.count(":") == 1 and " " not in key for key in keys)
    assert {(await client.hgetall(key))["d"] for key in keys} == set(hostile)


async def test_rows_without_a_good_key_are_refused(server: Server, client: Client) -> None:
    sink = Redis(server.url, hash="s:{d}:{n}", stream="all")
    rows = [
        {"d": "a", "n": 1},
        {"d": None, "n": 2},
        {"d": "x" * 600, "n": 3},
        {"d": "\ud800", "n": 4},
        {"d": "b", "n": 5},
    ]
    assert await write(sink, rows) == {
        1: "'d' is missing, its key needs it",
        2: "its key would be over 512 characters long",
        3: "'d' holds half a surrogate",
    }
    assert sorted(await client.keys("s:*")) == ["s:a:1", "s:b:5"]
    assert [row["n"] for _, row in await client.xrange("all")] == ["1", "5"]


async def test_positions_go_to_a_geo_set(server: Server, client: Client) -> None:
    geo = Geo(key="client:{cid}:stops", member="{name}", latitude="lat", longitude="lng", ttl="10h")
    sink = Redis(server.url, geo=geo)
    rows = [
        {"cid": 1, "name": "market", "lat": 14.6, "lng": -90.5},
        {"cid": 1, "name": "school", "lat": 99.0, "lng": -90.5},
        {"cid": 2, "name": "pole", "lat": 89.9, "lng": 0.0},
        {"cid": 2, "name": "nowhere", "lat": None, "lng": 0.0},
        {"cid": 1, "name": "market", "lat": 14.7, "lng": -90.6},
    ]
    assert await write(sink, rows) == {
        1: "'lat' is missing or beyond ±85.0511 degrees",
        2: "'lat' is missing or beyond ±85.0511 degrees",
        3: "'lat' is missing or beyond ±85.0511 degrees",
    }
    assert await client.keys("*") == ["client:1:stops"]
    ((longitude, latitude),) = await client.geopos("client:1:stops", "market")
    assert (round(longitude, 3), round(latitude, 3)) == (-90.6, 14.7)
    assert 0 < await client.ttl("client:1:stops") <= 36_000
    found = await client.geosearch(
        "client:1:stops", longitude=-90.6, latitude=14.7, radius=1, unit="km"
    )
    assert found == ["market"]


async def test_positions_that_are_no_numbers_are_refused(server: Server, client: Client) -> None:
    sink = Redis(server.url, geo={"key": "k", "member": "{m}"}, hash="h:{m}")
    assert await write(sink, [{"m": "a", "longitude": "east", "latitude": 1.0}]) == {
        0: "'longitude' is no longitude in degrees"
    }
    assert await client.keys("*") == []


async def test_a_stream_is_kept_short(server: Server, client: Client) -> None:
    sink = Redis(server.url, stream="s", maxlen=100)
    assert await write(sink, [{"n": i} for i in range(3000)]) == {}
    entries = await client.xrange("s")
    assert 100 <= len(entries) < 500
    assert entries[-1][1] == {"n": "2999"}


async def test_a_key_of_another_kind_is_fatal_with_its_name(server: Server, client: Client) -> None:
    await client.set("s:a", "text")
    with pytest.raises(Fatal, match="s:a: the key holds another kind of value") as caught:
        await write(Redis(server.url, hash="s:{d}"), [{"d": "a"}])
    assert caught.value.exit_code == 78


async def test_a_full_server_is_tried_again(server: Server, client: Client) -> None:
    await client.config_set("maxmemory", "1")
    sink = Redis(server.url, hash="s:{d}")
    with pytest.raises(Retry, match="takes no writes for now"):
        await write(sink, [{"d": "a"}])
    await client.config_set("maxmemory", "0")
    assert await write(sink, [{"d": "a"}]) == {}


async def test_a_user_without_the_right_is_told(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.acl_setuser(
        "guest",
        enabled=True,
        passwords=["+pw"],
        keys=["*"],
        categories=["+@read"],
        commands=["+ping", "+client"],
    )
    monkeypatch.setenv("REDIS_GUEST", "pw")
    url = server.url.replace("redis://", "redis://guest@")
    with pytest.raises(Fatal, match="may not do that") as caught:
        await write(Redis(url, hash="s:{d}", password="${REDIS_GUEST}"), [{"d": "a"}])
    assert caught.value.exit_code == 77


async def test_a_password_is_asked_for_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_RIGHT", "right-canary")
    monkeypatch.setenv("REDIS_WRONG", "wrong-canary")
    guarded = Server("--requirepass", "right-canary").start()
    try:
        for options in ({}, {"password": "${REDIS_WRONG}"}):
            sink = Redis(guarded.url, hash="s:{d}", **options)
            with pytest.raises(Disconnected, match="wants a password, or another one") as caught:
                await sink.open(context())
            await sink.close()
            assert "canary" not in str(caught.value) + repr(sink)
        right = Redis(guarded.url, hash="s:{d}", password="${REDIS_RIGHT}")
        assert await write(right, [{"d": "a"}]) == {}
    finally:
        guarded.remove()


async def test_a_checkpoint_waits_for_replicas(server: Server, client: Client) -> None:
    sink = Redis(server.url, hash="s:{d}", replicas=1, timeout="200ms")
    await sink.open(context())
    await sink.write(from_rows([{"d": "a"}]))
    with pytest.raises(Retry, match="0 of 1 replicas answer"):
        await sink.flush(None)
    await sink.close()
    replica = Server("--replicaof", f"127.0.0.1 {server.port}")
    try:
        replica.start()
        patient = Redis(server.url, hash="s:{d}", replicas=1, timeout="20s")
        await patient.open(context())
        await patient.write(from_rows([{"d": "b"}]))
        await patient.flush(None)
        await patient.close()
        there = Client.from_url(replica.url, decode_responses=True)
        assert await there.hgetall("s:b") == {"d": "b"}
        await there.aclose()
        with pytest.raises(Disconnected, match="this server takes no writes"):
            await write(Redis(replica.url, hash="s:{d}"), [{"d": "c"}])
    finally:
        replica.remove()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "say where rows go: hash, stream or geo"),
        ({"hash": "s:{device"}, "this is no key"),
        ({"hash": "s:{}"}, "this is no key"),
        ({"hash": ""}, "say where rows go"),
        ({"geo": {"key": "k", "member": "}"}}, "this is no key"),
        ({"geo": {"key": "k"}}, "'member' is missing"),
        ({"hash": "s", "url": "http://h"}, "no URL of a Redis"),
        ({"hash": "s", "url": "redis://:p@h"}, "no place for a password"),
        ({"hash": "s", "password": "hunter2"}, "a secret is not written here"),
        ({"hash": "s", "ttl": "10us"}, "at least 1ms"),
    ],
)
def test_what_cannot_work_is_refused_at_load(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Redis(**{"url": "redis://h", **options})


def test_a_key_needs_columns_that_come() -> None:
    sink = Redis("redis://h", hash="s:{devise}", geo=Geo("k", "{device}"))
    with pytest.raises(ConfigError, match="did you mean 'device'"):
        sink.accepts(Schema({"device": "string", "longitude": "float", "latitude": "float"}), [])
    sink.accepts(Schema.unknown(), [])


def test_the_promise_depends_on_where_rows_go() -> None:
    assert Redis("redis://h", hash="s").delivery == "idempotent"
    assert Redis("redis://h", stream="s").delivery == "at_least_once"
    assert Redis.delivery == "idempotent"
