"""Kill the worker with SIGKILL again and again under QoS 1 load, then count what is in the sink.

Long form:  python -m tests.chaos.kill --kills 200 --rate 10000 --sink sqlite --commit-delay 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from edgestream import Generate
from edgestream.sources.signals import Fleet
from edgestream.testing import context
from tests.chaos.oracle import Key, Verdict, Window, expected, judge
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import Postgres
from tests.servers.process import Process
from tests.servers.worker import Worker

WINDOW = 2
SECOND = 1_000_000_000
PIPELINE = """
name: chaos
checkpoint: 1s
source:
  mqtt: {{url: "{url}", topics: [sensors/+/telemetry], qos: 1}}
  time: {{field: ts, unit: ms, delay: 1s, idle: 3s}}
steps:
  - window:
      tumbling: {window}s
      by: device
      aggregate:
        n: count()
        mean: mean(temperature)
        low: min(temperature)
        high: max(temperature)
sink:
  {sink}
"""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is published, and how often the worker dies."""

    kills: int
    rate: int = 5_000
    devices: int = 50
    pause: tuple[float, float] = (0.6, 1.4)
    commit_delay: float = 0
    seed: int = 7

    @property
    def count(self) -> int:
        """Messages: enough to outlast the kills."""
        seconds = self.kills * (sum(self.pause) / 2 + 0.3) + 2
        return int(seconds * self.rate)


@dataclass(frozen=True, slots=True)
class Report:
    """What came out."""

    load: Load
    sent: int
    verdict: Verdict
    exit_code: int | None
    restart_seconds: list[float]


def worker_for(folder: Path, pipeline: str, commit_delay: float) -> Worker:
    """The worker, with slowed commits where asked for."""
    path = folder / "chaos.yaml"
    path.write_text(pipeline)
    if not commit_delay:
        return Worker(folder, path)
    slow = str(Path(__file__).with_name("slow_worker.py"))
    return Worker(folder, path, start=[sys.executable, slow, str(commit_delay)])


def timed_start(worker: Worker) -> float:
    """Start and wait until ready; the seconds it took."""
    started = time.monotonic()
    worker.start()
    return time.monotonic() - started


def torture(
    folder: Path, load: Load, sink: str, table: Callable[[], Iterable[tuple[Key, Window]]]
) -> Report:
    """Publish, kill, restart, wait until everything is in the sink, stop, and judge."""
    broker = Mosquitto(folder)
    broker.start()
    text = PIPELINE.format(url=broker.url, window=WINDOW, sink=sink)
    worker = worker_for(folder, text, load.commit_delay)
    restarts = [timed_start(worker)]
    begin = datetime.now(UTC).replace(microsecond=0)
    source = Generate(
        devices=load.devices,
        rate=load.rate,
        count=load.count,
        start=begin.isoformat(),
        seed=load.seed,
    )
    publisher = Process(
        [sys.executable, "-m", "edgestream", "simulate", "--url", broker.url, "--qos", "1",
         "--devices", str(load.devices), "--rate", str(load.rate), "--count", str(load.count),
         "--start", begin.isoformat(), "--seed", str(load.seed)],
        folder / "publisher.log",
    )  # fmt: skip
    try:
        publisher.start(lambda: True)
        rng = random.Random(load.seed)
        for _ in range(load.kills):
            time.sleep(rng.uniform(*load.pause))
            worker.process.kill()
            restarts.append(timed_start(worker))
        fleet = asyncio.run(_fleet(source))
        truth = expected(source, load.count, fleet, WINDOW * SECOND)
        verdict = _settle(truth, table, publisher)
        code = worker.process.terminate(30)
        return Report(load, load.count, verdict, code, restarts)
    finally:
        publisher.kill()
        worker.process.kill()
        broker.stop()


async def _fleet(source: Generate) -> Fleet:
    """The rows of a generator, by number."""
    await source.open(context("oracle"), None)
    fleet = source._fleet
    assert fleet is not None
    return fleet


def _settle(
    truth: dict[Key, Window], table: Callable[[], Iterable[tuple[Key, Window]]], publisher: Process
) -> Verdict:
    """Wait until nothing changes any more, then judge."""
    deadline = time.monotonic() + 120
    while publisher.running and time.monotonic() < deadline:
        time.sleep(0.2)
    verdict = judge(truth, table())
    quiet = 0
    while not verdict.clean and quiet < 30 and time.monotonic() < deadline:
        time.sleep(0.5)
        again = judge(truth, table())
        quiet = quiet + 1 if again == verdict else 0
        verdict = again
    time.sleep(1)
    return judge(truth, table())


def sqlite_table(path: Path) -> Iterable[tuple[Key, Window]]:
    """The windows in a SQLite file."""
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        found = connection.execute("SELECT device, window_start, n, mean, low, high FROM averages")
        return [
            (
                (device, int(datetime.fromisoformat(start).timestamp()) * SECOND),
                (n, mean, low, high),
            )
            for device, start, n, mean, low, high in found.fetchall()
        ]
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


def postgres_table(url: str) -> Iterable[tuple[Key, Window]]:
    """The windows in PostgreSQL."""

    async def fetch() -> list[tuple[Key, Window]]:
        connection = await asyncpg.connect(url)
        try:
            found = await connection.fetch("SELECT * FROM averages")
        except asyncpg.UndefinedTableError:
            return []
        finally:
            await connection.close()
        return [
            (
                (row["device"], int(row["window_start"].timestamp()) * SECOND),
                (row["n"], row["mean"], row["low"], row["high"]),
            )
            for row in found
        ]

    return asyncio.run(fetch())


def _run(folder: Path, load: Load, sink: str) -> Report:
    if sink == "sqlite":
        database = folder / "out.db"
        text = f"sqlite: {{path: {database}, table: averages}}"
        return torture(folder, load, text, lambda: sqlite_table(database))
    server = Postgres().start()
    try:
        text = f"postgres: {{url: '{server.url()}', table: averages}}"
        return torture(folder, load, text, lambda: postgres_table(server.url()))
    finally:
        server.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument(
        "--commit-delay", type=float, default=0, help="milliseconds before each commit"
    )
    parser.add_argument("--sink", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    load = Load(
        given.kills, given.rate, given.devices, commit_delay=given.commit_delay, seed=given.seed
    )
    with tempfile.TemporaryDirectory(prefix="edgestream-chaos-") as name:
        report = _run(Path(name), load, given.sink)
    print(json.dumps(asdict(report), indent=2))


if __name__ == "__main__":
    main()
