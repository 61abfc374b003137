"""`pipelines/lora_garden.yaml` with real parts: a modem on a pty, PostgreSQL, Redis."""

import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis as redis_client

from tests.servers.modem import Rylr
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.servers.worker import Worker

GARDEN = Path(__file__).parents[2] / "pipelines" / "lora_garden.yaml"
NOISE = [
    b"\x00\xff\x7f",
    b"+RCV=7,\r\n",
    b"+ERR=12\r\n",
    b"+RCV=9,5,hel",
    b"garbage\r\n",
    b"\r\n\r\n",
]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    running = Postgres().start()
    yield running
    running.remove()


@pytest.fixture
def redis() -> Iterator[Redis]:
    running = Redis().start()
    yield running
    running.remove()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def rows(server: Postgres, sql: str) -> list[dict[str, Any]]:
    async def fetch() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(server.url())
        try:
            return [dict(row) for row in await connection.fetch(sql)]
        except asyncpg.UndefinedTableError:
            return []
        finally:
            await connection.close()

    return asyncio.run(fetch())


def test_every_good_packet_arrives_once(tmp_path: Path, postgres: Postgres, redis: Redis) -> None:
    path = tmp_path / "ttyLoRa"
    environment = {
        **os.environ,
        "LORA_PORT": str(path),
        "GARDEN_DB": postgres.url(),
        "GARDEN_REDIS": redis.url,
        "GARDEN_WINDOW": "1s",
    }
    worker = Worker(tmp_path, GARDEN, env=environment)
    rng = random.Random(4)
    last: dict[int, dict[str, Any]] = {}
    sent = 0

    def burst(modem: Rylr, count: int) -> None:
        nonlocal sent
        for _ in range(count):
            device = rng.randrange(1, 6)
            packet = {"t": rng.randrange(15, 30), "h": rng.randrange(30, 70), "d": device}
            if rng.random() < 0.2:
                modem.send(rng.choice(NOISE) + b"\r\n")
            data = json.dumps(packet).encode()
            modem.receive(data, device, -rng.randrange(40, 110), 9, pieces=rng.choice([1, 1, 3]))
            last[device] = packet
            sent += 1
            time.sleep(0.003)

    with Rylr(path) as modem:
        try:
            worker.start()
            burst(modem, 150)
            until(lambda: worker.metric("source_rows_total") == sent)
            modem.unplug()
            until(lambda: "waiting for it" in worker.get("/readyz")[1])
            modem.plug()
            until(worker.ready)
            burst(modem, 150)
            sql = "SELECT sum(n)::int AS n FROM garden"
            until(lambda: (rows(postgres, sql) or [{"n": 0}])[0]["n"] == sent)
            store = redis_client.Redis.from_url(redis.url, decode_responses=True)
            for device, packet in last.items():
                latest = store.hgetall(f"garden:{device}")
                assert (float(latest["t"]), float(latest["h"])) == (packet["t"], packet["h"])
                assert 0 < store.ttl(f"garden:{device}") <= 3600
            store.close()
            assert worker.process.terminate() == 0
        finally:
            worker.process.kill()
    found = rows(postgres, "SELECT * FROM garden ORDER BY d, window_start")
    assert {row["d"] for row in found} == set(last)
    assert sum(row["n"] for row in found) == sent == 300
    for row in found:
        assert row["fahrenheit"] == pytest.approx(row["celsius"] * 9 / 5 + 32)
