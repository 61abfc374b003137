"""A whole pipeline to be hurt: publisher → broker → worker → windows → sink, and its judge.

    with Rig(folder, "sqlite") as rig:
        rig.begin()             # worker and publisher run
        rig.worker.process.kill()
        rig.start()
        verdict = rig.verdict() # the publisher stops; waits until nothing changes; compares

Sinks: ``sqlite``, ``postgres``, and with ``-append`` behind either, rows are never replaced, so
that a batch written twice is seen.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType

import asyncpg

from tests.chaos.oracle import Key, Verdict, Window, expected, judge
from tests.chaos.proxy import Proxy
from tests.chaos.publisher import END, Sent, fleet_of
from tests.chaos.worker import Settings, environment
from tests.servers.mosquitto import Mosquitto
from tests.servers.postgres import Postgres
from tests.servers.process import Process
from tests.servers.worker import Worker

SECOND = 1_000_000_000
PIPELINE = """
name: chaos
checkpoint: {checkpoint}
sources:
  source:
    mqtt: {{url: "{url}", topics: [sensors/+/telemetry], qos: 1, keep_alive: 5s}}
    time: {{field: ts, unit: ms, delay: 1s, idle: 30s}}
streams:
  steps:
    from: source
    steps:
      - window:
          tumbling: {window}s
          by: device
          aggregate:
            n: count()
            mean: mean(temperature)
            low: min(temperature)
            high: max(temperature)
sinks:
  {sinks}
"""
LOOK = 0.1
QUIET = (3, 10, 80)
"""So many looks at the table without a change are the end: where all is right, where the newest
windows are there, and where they are not."""


class Rig:
    """Everything that runs, in one folder."""

    def __init__(
        self,
        folder: Path,
        sink: str = "sqlite",
        *,
        rate: int = 1_500,
        devices: int = 50,
        window: int = 1,
        checkpoint: str = "1s",
        seed: int = 7,
        settings: Settings | None = None,
        database: Postgres | None = None,
        poison: bool = False,
        also: bool = False,
        jitter: float = 0,
        proxied: bool = False,
        persistent: bool = False,
        before: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.rate, self.devices, self.window, self.seed = rate, devices, window, seed
        self.broker = Mosquitto(folder, persistent=persistent)
        self.line: Proxy | None = Proxy(self.broker.port) if proxied else None
        self.database_line: Proxy | None = None
        self.restarts: list[float] = []
        self.sent = Sent()
        self._poison = poison
        self._also = also
        self._jitter = jitter
        self._before = before
        self._kind, _, mode = sink.partition("-")
        self._mode = mode or "auto"
        self._mark = folder / "first"
        self._settings = replace(settings or Settings(), mark=str(self._mark))
        self._checkpoint = checkpoint
        self._database = database
        self._own_database = database is None
        self._start = 0
        self._publisher: Process | None = None
        self.worker: Worker

    def __enter__(self) -> Rig:
        self.broker.start()
        if self._kind == "postgres" and self._database is None:
            self._database = Postgres().start()
        if self.line is not None:
            self.line.__enter__()
            if self._database is not None:
                self.database_line = Proxy(self._database.port)
                self.database_line.__enter__()
        self.worker = self._worker(self._settings)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._publisher is not None:
            self._publisher.kill()
        self.worker.process.kill()
        self.broker.stop()
        for line in (self.line, self.database_line):
            if line is not None:
                line.__exit__(None, None, None)
        if self._database is not None and self._own_database:
            self._database.remove()

    @property
    def broker_url(self) -> str:
        """Where the worker looks for the broker."""
        return self.broker.url if self.line is None else f"mqtt://127.0.0.1:{self.line.port}"

    @property
    def database_url(self) -> str:
        """Where PostgreSQL is."""
        assert self._database is not None
        return self._database.url()

    def sinks(self) -> str:
        """The sinks of the pipeline, as YAML: that of its kind, and with ``also`` a file beside."""
        also = f"\n  also: {{from: steps, {self._sqlite('also.db')}}}" if self._also else ""
        return f"sink: {{from: steps, {self._sink()}}}{also}"

    def _sqlite(self, name: str) -> str:
        return f"sqlite: {{path: {self.folder}/{name}, table: averages, mode: {self._mode}}}"

    def _sink(self) -> str:
        if self._kind == "sqlite":
            return self._sqlite("out.db")
        line = self.database_line
        url = f"postgresql://postgres@127.0.0.1:{line.port}/postgres" if line else self.database_url
        return f"postgres: {{url: '{url}', table: averages, mode: {self._mode}, timeout: 5s}}"

    def _worker(self, settings: Settings) -> Worker:
        path = self.folder / "chaos.yaml"
        text = PIPELINE.format(
            url=self.broker_url, window=self.window, sinks=self.sinks(), checkpoint=self._checkpoint
        )
        path.write_text(text)
        start = [*self._before, *settings.command()]
        return Worker(self.folder, path, start=start, env=environment())

    def begin(self) -> None:
        """Start the worker, so that its session is there, then publish."""
        self.worker.start()
        self._start = time.time_ns() // SECOND * SECOND
        given = {
            "devices": self.devices,
            "rate": self.rate,
            "start": self._start,
            "jitter": self._jitter,
        }
        command = [sys.executable, "-m", "tests.chaos.publisher", "--url", self.broker.url]
        for name, value in {**given, "seed": self.seed}.items():
            command += [f"--{name}", str(value)]
        command += ["--poison"] * self._poison
        log = self.folder / "publisher.log"
        self._publisher = Process(command, log, env=environment())
        self._publisher.start(lambda: log.stat().st_size > 0)

    def start(self, settings: Settings | None = None, *, first: float = 60) -> float:
        """Start the worker again; the seconds until it first acknowledged a message.

        With ``first`` 0 nothing is waited for, and with ``settings`` those are used.
        """
        self._mark.unlink(missing_ok=True)
        if settings is not None:
            self.worker = self._worker(replace(settings, mark=str(self._mark)))
        began = time.monotonic()
        self.worker.process.start(lambda: True)
        while time.monotonic() - began < first:
            if self._mark.exists():
                took = int(self._mark.read_text()) / SECOND - began
                self.restarts.append(took)
                return took
            assert self.worker.process.running, self.log()
            time.sleep(0.005)
        assert not first, "no message was acknowledged: " + self.log()
        return 0.0

    def signal_publisher(self, number: int) -> None:
        """SIGUSR1: five times the rate; SIGUSR2: nothing more."""
        assert self._publisher is not None
        self._publisher.signal(number)

    def log(self) -> str:
        """The end of the worker's log."""
        return self.worker.log.read_text(errors="replace")[-3000:]

    def stop_publishing(self) -> None:
        """Let the publisher finish, and learn how much it sent."""
        assert self._publisher is not None
        code = self._publisher.terminate(60)
        lines = (self.folder / "publisher.log").read_text().splitlines()
        assert code == 0, lines[-5:]
        told = json.loads(lines[-1])
        self.sent = Sent(
            told["sent"], told["poison"], [(first, count) for first, count in told["repeated"]]
        )

    def table(self) -> Iterable[tuple[Key, Window]]:
        """The windows in the sink, without those of the reading that ends the stream."""
        if self._kind == "sqlite":
            found = sqlite_table(self.folder / "out.db")
        else:
            found = postgres_table(self.database_url)
        return without_end(found)

    def truth(self) -> dict[Key, Window]:
        """What the windows must be."""
        fleet = fleet_of(self.devices, self.rate, self._start, self.seed, self._jitter)
        return expected(fleet, self.sent.sent, self.window * SECOND)

    def verdict(self, seconds: float = 60) -> Verdict:
        """End the stream, wait until nothing changes any more, and judge.

        A good table is looked at twice: what comes twice may come late.
        """
        self.stop_publishing()
        truth = self.truth()
        newest = max((start for _, start in truth), default=0)
        deadline = time.monotonic() + seconds
        quiet, verdict = 0, Verdict(0, 0, 0, 0)
        while time.monotonic() < deadline:
            rows = list(self.table())
            again = self._with_letters(self._with_also(judge(truth, rows), truth))
            quiet = quiet + 1 if again == verdict else 0
            verdict = again
            there = any(start == newest for (_, start), _ in rows)
            if quiet >= QUIET[0 if verdict.clean else 1 if there else 2]:
                break
            time.sleep(LOOK)
        return verdict

    def _with_also(self, verdict: Verdict, truth: dict[Key, Window]) -> Verdict:
        """The second sink must have the same windows."""
        if not self._also:
            return verdict
        beside = judge(truth, without_end(sqlite_table(self.folder / "also.db")))
        return replace(
            verdict,
            lost=verdict.lost + beside.lost,
            duplicated=verdict.duplicated + beside.duplicated,
            wrong=verdict.wrong + beside.wrong,
        )

    def _with_letters(self, verdict: Verdict) -> Verdict:
        """Every unreadable message must be a dead letter, once."""
        kept = letters(self.folder / "state" / "chaos.db") if self._poison else []
        once = set(kept)
        return replace(
            verdict,
            lost=verdict.lost + self.sent.poison - len(once),
            duplicated=verdict.duplicated + len(kept) - len(once),
        )

    def stop(self) -> int | None:
        """Stop the worker in good order; its exit code."""
        return self.worker.process.terminate(30)


def without_end(found: Iterable[tuple[Key, Window]]) -> list[tuple[Key, Window]]:
    """Windows without those of the reading that ends the stream."""
    return [(key, window) for key, window in found if key[0] != END]


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


def letters(path: Path) -> list[bytes]:
    """The payloads of the dead letters in a state file."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [data for (data,) in connection.execute("SELECT data FROM dead_letters")]
    finally:
        connection.close()


def postgres_table(url: str) -> Iterable[tuple[Key, Window]]:
    """The windows in PostgreSQL."""

    async def fetch() -> list[tuple[Key, Window]]:
        connection = await asyncpg.connect(url)
        try:
            with suppress(asyncpg.UndefinedTableError):
                found = await connection.fetch("SELECT * FROM averages")
                return [
                    (
                        (row["device"], int(row["window_start"].timestamp()) * SECOND),
                        (row["n"], row["mean"], row["low"], row["high"]),
                    )
                    for row in found
                ]
            return []
        finally:
            await connection.close()

    return asyncio.run(fetch())
