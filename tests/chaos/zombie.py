"""A worker is frozen, another goes on with a copy of its state folder, and the first wakes up.

    python -m tests.chaos.zombie --sink postgres --laps 10
    python -m tests.chaos.zombie --sink sqlite --inside --laps 10

With ``--inside`` it is frozen within a transaction of the sink, just before the commit: its
successor finds the place held, and may not read before it has it.

Numbered messages of QoS 1 are appended to a table (in Redis: counted in windows); at the end each
must be there once, and every worker that was frozen must have ended with code 75.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg
import paho.mqtt.client as paho
import redis
from paho.mqtt.enums import CallbackAPIVersion

from tests.chaos.worker import Settings, environment
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.servers.worker import Worker

PIPELINE = """
name: zombie
checkpoint: 1s
source:
  mqtt: {{url: "{url}", topics: [t], qos: 1, keep_alive: 5s}}
  time: {{field: ts, unit: ms, delay: 500ms, idle: 1s}}
{steps}
sink:
  {sink}
"""
WINDOWS = "steps: [{window: {tumbling: 1s, aggregate: {n: count()}}}]"
RATE = 500
COMMITS = (5, 50)
"""The commit in which a worker freezes itself: the first, and one whose predecessor has to end."""
HELD = "waiting for it to"
"""What a sink says that another process holds."""
INSIDE = {"sqlite": "sqlite.token.before", "postgres": "postgres.commit.before"}
Table = Callable[[], "Counts"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages in the sink, and different ones."""

    all: int
    different: int


@dataclass(frozen=True, slots=True)
class Report:
    """What came out, and with what code each worker ended."""

    sent: int
    lost: int
    duplicated: int
    codes: list[int | None]

    @property
    def passed(self) -> bool:
        fenced = [75] * (len(self.codes) - 1) + [0]
        return (self.lost, self.duplicated, self.codes) == (0, 0, fenced)


class Publisher(threading.Thread):
    """Numbered messages until it is told to stop."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.done = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(1_000)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def run(self) -> None:
        while not self.done.wait(1 / RATE):
            text = json.dumps({"n": self.sent, "ts": int(time.time() * 1000)})
            self._client.publish("t", text, qos=1).wait_for_publish(20)
            self.sent += 1
        self._client.disconnect()
        self._client.loop_stop()


@dataclass(frozen=True, slots=True)
class Story:
    """How often, for how long, and with what mistake.

    ``inside`` names a point in the middle of a transaction at which the worker freezes itself.
    ``given_up``: the successor is killed while it waits, and the old one has to go on.
    """

    laps: int = 1
    inside: str = ""
    seconds: float = 0.4
    mutant: str = ""
    slow: float = 0
    given_up: bool = False

    def settings(self, lap: int) -> Settings:
        """What is done to the worker of a lap."""
        inside = self.inside if lap < self.laps else ""
        return Settings(self.slow, mutant=self.mutant, freeze=inside, at=COMMITS[lap > 0])


def freeze(folder: Path, sink: str, steps: str, table: Table, story: Story) -> Report:
    """In each lap freeze the worker, start the next on a copy, and wake the old one up."""
    path = folder / "zombie.yaml"
    with Mosquitto(folder / "broker") as broker:
        path.write_text(PIPELINE.format(url=broker.url, sink=sink, steps=steps))
        workers = [_worker(folder, 0, path, story)]
        codes: list[int | None] = []
        try:
            workers[0].start()
            publisher = Publisher(broker.port)
            publisher.start()
            for lap in range(1, story.laps + 1):
                old = workers[-1]
                if story.inside:
                    _wait(lambda: _stopped(old.process.pid), old)  # noqa: B023
                else:
                    time.sleep(0.8)
                    _stop(old, folder / "out.db")
                shutil.copytree(folder / f"w{lap - 1}" / "state", folder / f"w{lap}" / "state")
                new = _worker(folder, lap, path, story)
                workers.append(new)
                if story.inside:
                    new.process.start(lambda: True)
                    _wait(lambda: HELD in new.log.read_text() or new.ready(), new)  # noqa: B023
                else:
                    new.start()
                time.sleep(story.seconds)
                if story.given_up:
                    workers.pop().process.kill()
                    old.process.signal(signal.SIGCONT)
                    continue
                old.process.signal(signal.SIGCONT)
                codes.append(_ended(old))
            time.sleep(0.5)
            publisher.done.set()
            publisher.join(30)
            found = _settled(table, publisher.sent)
            codes.append(workers[-1].process.terminate(30))
        finally:
            for worker in workers:
                if worker.process.running:
                    os.kill(worker.process.pid, signal.SIGCONT)
                worker.process.kill()
    lost = publisher.sent - found.different
    return Report(publisher.sent, lost, found.all - found.different, codes)


def _stop(worker: Worker, sink: Path) -> None:
    """Freeze a worker that is not within a transaction of SQLite, whose lock it would keep."""
    for _ in range(100):
        worker.process.signal(signal.SIGSTOP)
        time.sleep(0.02)  # a signal takes a moment to arrive
        if not sink.exists():
            return
        with closing(sqlite3.connect(sink, timeout=0, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                worker.process.signal(signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError("it was never seen outside a transaction")


def _wait(condition: Callable[[], bool], worker: Worker) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, worker.log.read_text()
        time.sleep(0.02)


def _stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def _worker(folder: Path, lap: int, path: Path, story: Story) -> Worker:
    home = folder / f"w{lap}"
    home.mkdir(exist_ok=True)
    return Worker(home, path, start=story.settings(lap).command(), env=environment())


def _ended(worker: Worker) -> int | None:
    deadline = time.monotonic() + 20
    while worker.process.running and time.monotonic() < deadline:
        time.sleep(0.05)
    return worker.process.returncode


def _settled(table: Table, sent: int) -> Counts:
    """What is in the sink once nothing moves."""
    found, quiet, deadline = table(), 0, time.monotonic() + 60
    while quiet < (4 if found.different >= sent else 40) and time.monotonic() < deadline:
        time.sleep(0.25)
        before, found = found, table()
        quiet = quiet + 1 if found == before else 0
    return found


def in_sqlite(path: Path) -> Counts:
    """The rows of a SQLite file."""
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT count(*), count(DISTINCT n) FROM rows"
        return Counts(*database.execute(query).fetchone())


def in_postgres(url: str) -> Counts:
    """The rows in PostgreSQL."""

    async def fetch() -> Counts:
        connection = await asyncpg.connect(url)
        try:
            return Counts(
                *await connection.fetchrow("SELECT count(*), count(DISTINCT n) FROM rows")
            )
        finally:
            await connection.close()

    return asyncio.run(fetch())


def in_redis(url: str) -> Counts:
    """The counts of all windows, one hash each: more than were sent makes ``lost`` negative."""
    with closing(redis.Redis.from_url(url, decode_responses=True)) as client:
        found = sum(int(client.hget(key, "n") or 0) for key in client.scan_iter("window:*"))
    return Counts(found, found)


def run(folder: Path, sink: str, story: Story) -> Report:
    """The whole story with one kind of sink."""
    if sink == "sqlite":
        path = folder / "out.db"
        text = f"sqlite: {{path: {path}, table: rows, mode: append}}"
        return freeze(folder, text, "", lambda: in_sqlite(path), story)
    if sink == "redis":
        store = Redis().start()
        try:
            text = f"redis: {{url: '{store.url}', hash: 'window:{{window_start}}'}}"
            return freeze(folder, text, WINDOWS, lambda: in_redis(store.url), story)
        finally:
            store.remove()
    server = Postgres().start()
    try:
        url = server.url()
        text = f"postgres: {{url: '{url}', table: rows, mode: append}}"
        return freeze(folder, text, "", lambda: in_postgres(url), story)
    finally:
        server.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sink", choices=["sqlite", "postgres", "redis"], default="sqlite")
    parser.add_argument("--laps", type=int, default=3)
    parser.add_argument("--inside", action="store_true", help="frozen before a commit")
    parser.add_argument("--seconds", type=float, default=0.4, help="frozen beside its successor")
    parser.add_argument("--commit-delay", type=float, default=0, help="milliseconds")
    given = parser.parse_args()
    if given.inside and given.sink not in INSIDE:
        parser.error(f"{given.sink} holds no lock in the middle of a commit")
    inside = INSIDE[given.sink] if given.inside else ""
    story = Story(given.laps, inside, given.seconds, slow=given.commit_delay)
    with tempfile.TemporaryDirectory(prefix="edgestream-zombie-") as name:
        report = run(Path(name), given.sink, story)
    print(json.dumps(asdict(report), indent=2))
    raise SystemExit(not report.passed)


if __name__ == "__main__":
    main()
