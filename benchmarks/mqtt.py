"""End to end: a real mosquitto → the worker → tumbling windows → SQLite."""

from __future__ import annotations

import http.client
import os
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.payloads import messages, windows
from benchmarks.process import usage
from benchmarks.publisher import Publisher, packets
from tests.servers.mosquitto import Mosquitto
from tests.servers.process import Process, free_port

PIPELINE = """
name: bench
{delivery}
source:
  mqtt: {{url: "{url}", topics: [sensors/+/telemetry], qos: {qos}}}
  time: {{field: ts, unit: ms, delay: 2s, idle: 3s}}
steps:
  - where: temperature > -40 and temperature < 85
  - window:
      tumbling: 10s
      by: device
      aggregate:
        n: count()
        mean: mean(temperature)
        min: min(temperature)
        max: max(temperature)
sink:
  sqlite: {{path: {path}, table: averages}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent and how."""

    count: int
    rate: float = 0
    qos: int = 0
    delivery: str = ""
    devices: int = 1_000


@dataclass(frozen=True, slots=True)
class Result:
    """What the worker did with it."""

    case: Case
    received: int
    lost: int
    wrong_windows: int
    windows: int
    cpu_us: float
    peak_mib: float
    bytes_written: float
    seconds: float


def run(case: Case) -> Result:
    """One run; publisher and broker share processor 0, the worker has processor 1."""
    per_second = case.rate or 50_000
    start = int(time.time() * 1000) // 10_000 * 10_000
    sent = messages(case.count, case.devices, start, per_second)
    blocks = packets(sent, case.qos)
    with tempfile.TemporaryDirectory(prefix="edgestream-bench-") as name:
        folder = Path(name)
        with _pinned(0):
            broker = Mosquitto(folder)
            broker.start()
        try:
            return _measure(case, folder, broker, blocks, windows(sent, 10_000))
        finally:
            broker.stop()


def _measure(
    case: Case, folder: Path, broker: Mosquitto, blocks: list[bytes], truth: dict
) -> Result:  # type: ignore[type-arg]
    database = folder / "out.db"
    delivery = f"delivery: {case.delivery}" if case.delivery else ""
    path = folder / "bench.yaml"
    path.write_text(PIPELINE.format(delivery=delivery, url=broker.url, qos=case.qos, path=database))
    port = free_port()
    command = [sys.executable, "-m", "edgestream", "worker", str(path)]
    command += ["--http", f"127.0.0.1:{port}", "--state-dir", str(folder / "state")]
    worker = Process(command, folder / "worker.log")
    with _pinned(1):
        worker.start(lambda: _get(port, "/readyz")[0] == 200)
    try:
        with _pinned(0):
            before = usage(worker.pid)
            publisher = Publisher(broker.port)
            started = time.monotonic()
            publisher.send(blocks, case.qos, case.rate)
            received = _drained(port, case.count)
            seconds = time.monotonic() - started
            publisher.close()
            _settled(database, len(truth))
            after = usage(worker.pid)
        worker.terminate(30)
    finally:
        worker.kill()
    wrong, counted = _compare(database, truth)
    return Result(
        case,
        received,
        case.count - counted,
        wrong,
        len(truth),
        (after.cpu - before.cpu) * 1e6 / case.count,
        after.peak,
        (after.written - before.written) / case.count,
        seconds,
    )


@contextmanager
def _pinned(cpu: int) -> Iterator[None]:
    """Children started here, and this process, run on one processor, where there are several."""
    everywhere = os.sched_getaffinity(0)
    if len(everywhere) > 1:
        os.sched_setaffinity(0, {sorted(everywhere)[cpu]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, everywhere)


def _get(port: int, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""


def _drained(port: int, count: int) -> int:
    """Wait until all messages are read or no more come; how many there are."""
    seen, still = 0, 0
    while seen < count and still < 40:
        time.sleep(0.25)
        found = re.search(r"edgestream_source_rows_total\{[^}]*\} (\d+)", _get(port, "/metrics")[1])
        now = int(found[1]) if found else 0
        still = still + 1 if now == seen else 0
        seen = now
    return seen


def _settled(database: Path, count: int) -> None:
    """Wait until all windows are in the database: the last ones close by the clock."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and len(_rows(database)) < count:
        time.sleep(0.5)


def _rows(database: Path) -> dict[tuple[str, str], tuple[int, float]]:
    if not database.exists():
        return {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            found = connection.execute("SELECT device, window_start, n, mean FROM averages")
            return {(device, start): (n, mean) for device, start, n, mean in found.fetchall()}
        except sqlite3.OperationalError:
            return {}


def _compare(database: Path, truth: dict) -> tuple[int, int]:  # type: ignore[type-arg]
    """(wrong windows, messages counted)."""
    rows = _rows(database)
    wrong = 0
    for (device, start), (n, total) in truth.items():
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start / 1000))
        got = rows.get((device, text), (0, 0.0))
        wrong += got[0] != n or abs(got[1] - total / n) > 1e-9
    return wrong, sum(n for n, _ in rows.values())
