"""Take a sink away under QoS 1 load, bring it back, and count what is in every sink.

    python -m tests.chaos.outage --minutes 10 --rate 5000
    python -m tests.chaos.outage --minutes 1 --fault slow      # 5 s an operation
    python -m tests.chaos.outage --minutes 1 --fault errors    # one operation in ten fails
    python -m tests.chaos.outage --minutes 1 --kills 10        # the worker dies on the way as well

MQTT goes through a window and a filter; both streams go into PostgreSQL, which is stopped (or
slowed down, or made to fail) and given back, and into SQLite beside it, which must not notice.
Filtered rows are appended, so that one that is written twice is seen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import asyncpg
import numpy as np

from edgestream.cli.simulate import readings
from tests.chaos.oracle import Verdict, judge
from tests.chaos.publisher import END, fleet_of
from tests.chaos.rig import LOOK, Rig, sqlite_table
from tests.chaos.worker import Settings, environment
from tests.servers.worker import Worker

WARM = 20.0
"""Readings above this many degrees pass the filter: about half of them."""
PIPELINE = """
name: chaos
sources:
  readings:
    mqtt: {{url: "{url}", topics: [sensors/+/telemetry], qos: 1}}
    time: {{field: ts, unit: ms, delay: 1s, idle: 30s}}
streams:
  averages:
    from: readings
    steps:
      - window:
          tumbling: {window}s
          by: device
          aggregate:
            n: count()
            mean: mean(temperature)
            low: min(temperature)
            high: max(temperature)
  warm: {{from: readings, steps: [{{where: temperature > {warm}}}]}}
sinks:
  here: {{from: averages, sqlite: {{path: {folder}/out.db, table: averages}}}}
  here_rows: {{from: warm, sqlite: {{path: {folder}/rows.db, table: warm, mode: append}}}}
  town:
    from: averages
    postgres: {{url: '{database}', table: averages}}
    spool: {{max_bytes: {budget}}}
  town_rows:
    from: warm
    postgres: {{url: '{database}', table: warm, mode: append}}
    spool: {{max_bytes: {budget}}}
"""
HURT: Mapping[str, str] = {
    "slow": "PERFORM pg_sleep(5)",
    "errors": "IF random() < 0.1 THEN RAISE EXCEPTION 'made up' USING ERRCODE = '53200'; END IF",
}
Fault = Literal["down", "slow", "errors"]


@dataclass(frozen=True, slots=True)
class Load:
    """How much is published, what happens to the sink, and for how long."""

    minutes: float = 10
    rate: int = 5_000
    fault: Fault = "down"
    devices: int = 50
    before: float = 5
    after: float = 10
    budget: str = "256MiB"
    kills: int = 0
    """SIGKILLs of the worker: half of them during the outage, half while it catches up."""
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Rows:
    """Filtered rows that are missing in a table, and those that are there too often."""

    expected: int
    lost: int
    duplicated: int


@dataclass(slots=True)
class Watched:
    """What was seen while it ran.

    ``gaps`` are the seconds in which the other sink got no row, the longest and that of one in a
    hundred, before, during and after the outage.
    """

    spooled: int = 0
    state_file: int = 0
    rss: int = 0
    gaps: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What came out."""

    load: Load
    sent: int
    windows: Mapping[str, Verdict]
    rows: Mapping[str, Rows]
    watched: Watched
    outage_seconds: float
    catch_up_seconds: float
    replayed_rows: int
    dropped_rows: int
    payload_bytes: int
    written_bytes: int
    exit_code: int | None

    @property
    def clean(self) -> bool:
        whole = all(verdict.clean for verdict in self.windows.values())
        exact = all(r.lost == r.duplicated == 0 for r in self.rows.values())
        return whole and exact and not self.dropped_rows and self.exit_code == 0


class Outage(Rig):
    """The rig with two streams into two databases, of which one goes away."""

    def __init__(self, folder: Path, load: Load) -> None:
        super().__init__(folder, "postgres", rate=load.rate, devices=load.devices, seed=load.seed)
        self.load = load
        self.watched = Watched()
        self.phase = "before"

    def _worker(self, settings: Settings) -> Worker:
        path = self.folder / "chaos.yaml"
        path.write_text(
            PIPELINE.format(
                url=self.broker_url,
                folder=self.folder,
                database=self.database_url,
                window=self.window,
                warm=WARM,
                budget=self.load.budget,
            )
        )
        return Worker(self.folder, path, env=environment())

    def hurt(self) -> None:
        """Begin the fault."""
        assert self._database is not None
        if self.load.fault == "down":
            self._database.stop()
            return
        call = "EXECUTE FUNCTION hurt()"
        body = f"BEGIN {HURT[self.load.fault]}; RETURN NULL; END"
        make = f"CREATE FUNCTION hurt() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"
        arm = [f"CREATE TRIGGER hurt BEFORE INSERT ON {name} {call}" for name in TABLES]
        asyncio.run(self._run(make, *arm))

    def heal(self) -> None:
        """End it."""
        assert self._database is not None
        if self.load.fault == "down":
            self._database.start()
        else:
            asyncio.run(self._run("DROP FUNCTION hurt CASCADE"))

    async def _run(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.database_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    def metrics(self, name: str) -> dict[str, float]:
        """A metric of every sink."""
        body = self.worker.get("/metrics")[1]
        found = re.findall(
            rf'^edgestream_{name}(?:_total)?\{{.*step="(\w+)".*\}} (\S+)$', body, re.M
        )
        return {step: float(value) for step, value in found}

    def watch(self, until: threading.Event) -> None:
        """Look at everything until told to stop."""
        newest, since = 0, time.monotonic()
        gaps: dict[str, list[float]] = {"before": [], "during": [], "after": []}
        file = self.folder / "state" / "chaos.db"
        with closing(sqlite3.connect(f"file:{self.folder}/rows.db?mode=ro", uri=True)) as here:
            while not until.wait(0.05):
                now = time.monotonic()
                rows = here.execute("SELECT max(rowid) FROM warm").fetchone()[0] or 0
                if rows > newest:
                    gaps[self.phase].append(now - since)
                    newest, since = rows, now
                seen = self.watched
                seen.state_file = max(seen.state_file, file.stat().st_size)
                seen.rss = max(seen.rss, self.worker_status("status", "VmRSS") * 1024)
                spooled = self.metrics("spooled_bytes").values()
                seen.spooled = max(seen.spooled, *map(int, spooled), 0)
        for phase, found in gaps.items():
            self.watched.gaps[phase] = max(found), float(np.quantile(found, 0.99))

    def worker_status(self, name: str, key: str) -> int:
        """A number from ``/proc/PID``."""
        with suppress(OSError):  # it was killed just now
            text = Path(f"/proc/{self.worker.process.pid}/{name}").read_text()
            return int((re.findall(rf"{key}:\s+(\d+)", text) or [0])[0])
        return 0

    def kill(self, times: int, seconds: float) -> None:
        """SIGKILL the worker so many times within so many seconds, and start it again."""
        until = time.monotonic() + seconds
        for left in range(times, 0, -1):
            time.sleep(max(0.0, (until - time.monotonic()) / left))
            self.worker.process.kill()
            self.worker.process.start(lambda: True)
        time.sleep(max(0.0, until - time.monotonic()))

    def expected_rows(self) -> np.ndarray:
        """Device and time of the readings that pass the filter, as one sorted number each."""
        fleet = fleet_of(self.devices, self.rate, self._start, self.seed)
        parts = []
        for first in range(0, self.sent.sent, 50_000):
            batch = readings(fleet.rows(first, min(50_000, self.sent.sent - first)))
            warm = batch.take(batch["temperature"] > WARM)
            numbers = warm["device"].map(_number, -1, np.int64)
            parts.append(numbers * 10**14 + warm["ts"])
        return np.sort(np.concatenate(parts))


TABLES = ("averages", "warm")
CATCHING_UP = 0.7
"""Seconds between kills after the outage: less than a start and a page take."""
MOVING = 1024 * 1024
"""Fewer bytes than this are on their way even when all is well."""


def _number(device: str) -> int:
    return int(device.rpartition("-")[2])


def compared(truth: np.ndarray, rows: Iterable[Sequence[Any]]) -> Rows:
    """Rows (device, ts) of a table against what must be there."""
    found = [_number(device) * 10**14 + int(ts) for device, ts in rows if device != END]
    got, counts = np.unique(np.array(found, np.int64), return_counts=True)
    lost = int(np.isin(truth, got, assume_unique=True, invert=True).sum())
    extra = int(np.isin(got, truth, assume_unique=True, invert=True).sum())
    return Rows(len(truth), lost, int((counts - 1).sum()) + extra)


def rows_here(folder: Path) -> list[Sequence[Any]]:
    with closing(sqlite3.connect(f"file:{folder}/rows.db?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT device, ts FROM warm").fetchall()


def rows_in_town(url: str) -> list[Sequence[Any]]:
    async def fetch() -> list[Sequence[Any]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch("SELECT device, ts FROM warm")]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def suffer(folder: Path, load: Load) -> Report:
    """Publish, take the sink away, bring it back, wait until all is delivered, and judge."""
    with Outage(folder, load) as rig:
        rig.begin()
        _until(lambda: (rig.folder / "rows.db").exists() and bool(_there(rig)), 60)
        over = threading.Event()
        watching = threading.Thread(target=rig.watch, args=(over,))
        watching.start()
        try:
            time.sleep(load.before)
            rig.phase = "during"
            rig.hurt()
            began = time.monotonic()
            rig.kill(load.kills // 2, load.minutes * 60)
            rig.heal()
            back = time.monotonic()
            rig.phase = "after"
            rig.kill(load.kills - load.kills // 2, load.kills * CATCHING_UP)
            if load.fault == "down" and not load.kills:
                _until(lambda: rig.metrics("replayed_rows")["town_rows"] > 0, 60)
            _until(lambda: _undelivered(rig) < MOVING, 600)
            caught_up = time.monotonic()
            time.sleep(load.after)
        finally:
            over.set()
            watching.join()
        return _report(rig, back - began, caught_up - back)


def _there(rig: Outage) -> list[Sequence[Any]]:
    try:
        return rows_here(rig.folder)[:1] and rows_in_town(rig.database_url)[:1]
    except (sqlite3.OperationalError, asyncpg.UndefinedTableError):
        return []


def _undelivered(rig: Outage) -> float:
    """Bytes that no sink has taken; as much as can be while nobody answers."""
    return max(rig.metrics("undelivered_bytes").values(), default=math.inf)


def _until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come to that")
        time.sleep(LOOK)


def _report(rig: Outage, outage: float, catch_up: float) -> Report:
    replayed = int(sum(rig.metrics("replayed_rows").values()))
    dropped = int(sum(rig.metrics("dropped_rows").values()))
    town = rig.verdict(120)
    written = rig.worker_status("io", "write_bytes")
    code = rig.stop()
    truth, rows = rig.truth(), rig.expected_rows()
    here = [(key, w) for key, w in sqlite_table(rig.folder / "out.db") if key[0] != END]
    return Report(
        rig.load,
        rig.sent.sent,
        {"town": town, "here": judge(truth, here)},
        {
            "town_rows": compared(rows, rows_in_town(rig.database_url)),
            "here_rows": compared(rows, rows_here(rig.folder)),
        },
        rig.watched,
        outage,
        catch_up,
        replayed,
        dropped,
        _payload_bytes(rig),
        written,
        code,
    )


def _payload_bytes(rig: Outage) -> int:
    """The bytes of all payloads, reckoned from the first ten thousand."""
    fleet = fleet_of(rig.devices, rig.rate, rig._start, rig.seed)
    sample = readings(fleet.rows(0, min(10_000, rig.sent.sent))).rows()
    size = sum(len(json.dumps(row, separators=(",", ":"))) for row in sample)
    return size * rig.sent.sent // len(sample)


def lines(report: Report) -> Iterable[str]:
    """A table for people."""
    seen, mib = report.watched, 1024 * 1024
    yield f"{'':24}{'expected':>10}{'lost':>8}{'twice':>8}{'wrong':>8}"
    for name, verdict in report.windows.items():
        yield (
            f"windows {name:16}{verdict.windows:>10}{verdict.lost:>8}{verdict.duplicated:>8}"
            f"{verdict.wrong:>8}"
        )
    for name, rows in report.rows.items():
        yield f"rows    {name:16}{rows.expected:>10}{rows.lost:>8}{rows.duplicated:>8}"
    yield f"outage {report.outage_seconds:.0f} s, {report.sent} messages in all"
    yield (
        f"caught up in {report.catch_up_seconds:.1f} s: "
        f"{report.replayed_rows / report.catch_up_seconds:.0f} late rows/s"
    )
    yield (
        f"spooled at most {seen.spooled / mib:.1f} MiB (budget {report.load.budget}), state file "
        f"{seen.state_file / mib:.1f} MiB, memory {seen.rss / mib:.0f} MiB"
    )
    told = [f"{p99:.2f} s (longest {most:.2f}) {name}" for name, (most, p99) in seen.gaps.items()]
    yield f"the other sink was without a row for {', '.join(told)}: one gap in a hundred"
    yield f"{report.written_bytes / report.payload_bytes:.2f} bytes written per payload byte"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--fault", choices=["down", *HURT], default="down")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--budget", default="256MiB")
    parser.add_argument("--before", type=float, default=30, help="seconds of calm to compare with")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    load = Load(
        given.minutes,
        given.rate,
        given.fault,
        before=given.before,
        budget=given.budget,
        kills=given.kills,
        seed=given.seed,
    )
    with tempfile.TemporaryDirectory(prefix="edgestream-outage-") as name:
        report = suffer(Path(name), load)
    print(json.dumps(asdict(report), indent=2))
    print(*lines(report), sep="\n")
    raise SystemExit(not report.clean)


if __name__ == "__main__":
    main()
