"""F12: poison among good rows; the good ones are exact, and the dead letters are the poison."""

import asyncio
import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis as Client

import edgestream as es
from edgestream.clock import SystemClock
from edgestream.eventtime import Time
from edgestream.runtime.running import Running
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec
from edgestream.store.letters import DeadLetter, Wanted, readable
from edgestream.store.store import Store
from edgestream_connectors.postgres import Postgres
from edgestream_connectors.redis import Geo, Redis
from tests.connectors.mqtt.other_side import paho
from tests.runtime.parts import Feed, Wire
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import Postgres as PostgresServer
from tests.servers.redis import Redis as RedisServer

GOOD = b'{"t":%d,"device":"d%d","v":%d}'
POISON = [
    b"", b" ", b"nonsense", b"{", b"}", b"[", b"[]", b"[1,2]", b"null", b"true", b"17", b'"text"',
    b"\xff\xfe\x00", b"\x00", b"\x1f\x8b\x08\x00\x00", b"<xml/>", b"t=1,v=2", b"NaN", b"{}",
    b'{"t":1', b'{"t":1,}', b"{'t':1}", b'{"t":1}{"t":2}', b'{"t":1,"device":"d1","v":}',
    b'{"t":"soon","device":"d1","v":1}', b'{"t":null,"device":"d1","v":1}',
    b'{"device":"d1","v":1}',
    b'{"t":[1],"device":"d1","v":1}', b'{"t":{"s":1},"device":"d1","v":1}',
    b'{"t":1e400,"device":"d1","v":1}', b'{"t":99999999999999999999,"device":"d1","v":1}',
    b'{"t":1,"device":"d1","v":"high"}', b'{"t":1,"device":"d1","v":[1]}',
    b'{"t":1,"device":"d1","v":{"x":1}}', b'{"t":1,"device":["d1"],"v":1}',
    b'{"t":1,"device":"\xff","v":1}', b'{"t":1,"device":"\\ud800","v":1}',
    b'{"t":1,"device":"d1","v":1}trailing', b'{"t":1,"device":"d1","v":0x10}',
    b"[" * 100_000,
]  # fmt: skip


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(spec: PipelineSpec, folder: Path) -> AsyncIterator[Running]:
    made = Running(spec, folder, SystemClock())
    task = asyncio.create_task(made.run(grace=5))
    try:
        yield made
        made.stop()
        await asyncio.wait_for(task, 20)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def letters_in(folder: Path, name: str) -> list[DeadLetter]:
    store = await Store.open(folder, name)
    try:
        return await store.dead_letters(Wanted())
    finally:
        await store.close()


def test_there_are_forty_kinds() -> None:
    assert len(POISON) == len(set(POISON)) == 40


async def test_poison_among_messages_of_a_broker(tmp_path: Path) -> None:
    every = iter(POISON)
    messages = [
        next(every) if n % 100 == 50 else GOOD % (n // 40, n % 7, n % 13) for n in range(4_000)
    ]
    end = GOOD % (10_000, 0, 0)
    with Mosquitto(tmp_path / "broker") as broker:
        source = es.Mqtt(url=broker.url, topics=["site/+"], client_id="f12")
        spec = (
            es.pipeline("f12", checkpoint="200ms")
            .source(source, time=Time("t", delay="0s"))
            .window(
                tumbling="10s",
                by=["device", "topic"],
                aggregate={"n": "count()", "total": "sum(v)"},
            )
            .sink(es.Sqlite(path=str(tmp_path / "out.db"), table="sums"))
            .spec()
        )
        async with running(spec, tmp_path / "state") as made:
            await until(lambda: made.readers and made.readers["source"].status.state == "connected")
            with paho(broker.port) as other:
                await asyncio.to_thread(other.publish, "site/a", [*messages, end])
            await until(lambda: made.graph.entries["source"].rows_out == 4_000 - 40 + 1)
            await until(lambda: made.task.letters.count == 40)  # type: ignore[union-attr]
            await until(lambda: not made.writers["sink"].lanes.pending)
    expected: dict[tuple[str, int], list[int]] = defaultdict(list)
    for message in messages:
        if message not in POISON:
            row = json.loads(message)
            expected[row["device"], row["t"] // 10].append(row["v"])
    with sqlite3.connect(tmp_path / "out.db") as table:
        found = table.execute(
            "SELECT device, unixepoch(window_start) / 10, n, total FROM sums"
        ).fetchall()
    assert {(d, w): (n, total) for d, w, n, total in found} == {
        key: (len(values), sum(values)) for key, values in expected.items()
    }
    letters = await letters_in(tmp_path / "state", "f12")
    assert sorted(letter.data for letter in letters) == sorted(POISON)
    assert all(letter.reason and letter.stage in ("decode", "time") for letter in letters)
    assert {json.loads(letter.beside)["topic"] for letter in letters} == {"site/a"}


ROWS = 1_000
BAD = {17, 400, 401, 999}


def batch_of(column: Callable[[int], dict[str, Any]]) -> list[bytes]:
    return [json.dumps({"t": n, **column(n)}).encode() for n in range(ROWS)]


async def written(sink: es.Sink, block: list[bytes], folder: Path) -> list[DeadLetter]:
    """The dead letters of a block of rows written to a sink."""
    spec = PipelineSpec(
        "poison",
        {"source": SourceSpec(Feed(Wire([block])), None, Time("t"))},
        {},
        {"sink": SinkSpec(("source",), sink)},
        checkpoint="50ms",
    )
    async with running(spec, folder / "state") as made:
        await until(lambda: made.task and made.task.letters.count == len(BAD))
        await until(lambda: not made.writers["sink"].lanes.pending)
    letters = await letters_in(folder / "state", "poison")
    assert all(letter.stage == "write" for letter in letters)
    assert {json.loads(readable(letter))["t"] for letter in letters} == BAD
    return letters


GOOD_ROWS = [n for n in range(ROWS) if n not in BAD]


async def test_poison_rows_in_a_batch_for_sqlite(tmp_path: Path) -> None:
    """A check that fails with an error of SQL, not with "constraint failed"."""
    with sqlite3.connect(tmp_path / "out.db") as table:
        table.execute("CREATE TABLE r (t INTEGER, note TEXT CHECK (json_extract(note, '$.a') > 0))")
    block = batch_of(lambda n: {"note": "{" if n in BAD else '{"a":1}'})
    sink = es.Sqlite(path=str(tmp_path / "out.db"), table="r", mode="append")
    letters = await written(sink, block, tmp_path)
    assert {letter.reason for letter in letters} == {"table r refuses the row: malformed JSON"}
    with sqlite3.connect(tmp_path / "out.db") as table:
        assert [row[0] for row in table.execute("SELECT t FROM r ORDER BY rowid")] == GOOD_ROWS


async def test_poison_rows_in_a_batch_for_postgresql(tmp_path: Path) -> None:
    server = PostgresServer().start()
    try:
        connection = await asyncpg.connect(server.url())
        await connection.execute("CREATE TABLE r (t bigint, n integer CHECK (n < 5000))")
        block = batch_of(lambda n: {"n": 9_000 if n in BAD else n})
        letters = await written(Postgres(server.url(), "r", mode="append"), block, tmp_path)
        assert all("violates check constraint" in letter.reason for letter in letters)
        assert [
            row["t"] for row in await connection.fetch("SELECT t FROM r ORDER BY t")
        ] == GOOD_ROWS
        await connection.close()
    finally:
        server.remove()


async def test_poison_rows_in_a_batch_for_redis(tmp_path: Path) -> None:
    server = RedisServer().start()
    try:
        block = batch_of(
            lambda n: {
                "device": f"d{n}",
                "longitude": 500.0 if n in BAD else 13.4,
                "latitude": 52.5,
            }
        )
        sink = Redis(server.url, geo=Geo(key="places", member="{device}"))
        letters = await written(sink, block, tmp_path)
        assert all(letter.reason for letter in letters)
        async with Client.from_url(server.url, decode_responses=True) as other:
            members = await other.zrange("places", 0, -1)
        assert sorted(members) == sorted(f"d{n}" for n in GOOD_ROWS)
    finally:
        server.remove()
