"""Running an engine at a real mosquitto: publish, wait until everything is answered, compare.

Publisher, broker and measuring share processor 0; the engine has processor 1. What it used is read
just before the first message and after the last answer, so start-up is not in it, and the work of
closing the last windows is.
"""

from __future__ import annotations

import http.client
import re
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import check
from benchmarks.data import TOPICS, Data, make
from benchmarks.listener import Listener
from benchmarks.peers.build import Missing
from benchmarks.peers.live import bento, ekuiper, mosquitto_sub, node_red, ours, telegraf
from benchmarks.peers.live.engine import Engine, Job, Task
from benchmarks.pinned import pinned
from benchmarks.publisher import Block, Publisher, block_size, blocks
from benchmarks.runs import Run
from benchmarks.usage import Usage, ended, usage
from tests.servers.mosquitto import Mosquitto
from tests.servers.process import Process, free_port

ENGINES = {
    engine.name: engine
    for engine in (
        ours.ENGINE,
        ours.DURABLE,
        telegraf.ENGINE,
        bento.ENGINE,
        ekuiper.ENGINE,
        node_red.ENGINE,
        mosquitto_sub.ENGINE,
    )
}
_BURST = 50_000  # event time of what is sent at once, per second
_AHEAD = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent and how; ``rate`` 0 is all at once."""

    task: Task
    count: int
    rate: float = 0
    qos: int = 0
    durable: bool = False
    durability: str = ""
    devices: int = 1_000
    size: int = 10_000
    delay: int = 2_000
    latency: bool = False
    variant: str = ""

    def job(self, folder: Path, port: int) -> Job:
        """What the engine is told."""
        return Job(
            self.task,
            folder,
            port,
            self.count,
            free_port(),
            self.qos,
            self.durable,
            self.size,
            self.delay,
            prompt=self.latency,
            durability=self.durability,
        )

    def data(self, start: float) -> Data:
        """Readings whose times are those at which they are sent."""
        begin = int(start * 1000) if self.rate else int(start) // 10 * 10_000
        made = make(self.count, self.devices, self.rate or _BURST, start=begin)
        if not self.rate:
            return made
        size = block_size(self.rate)
        due = np.arange(self.count) // size * size * 1000 / self.rate
        return replace(made, ts=begin + due.astype(np.int64))


def run(plan: Plan, name: str) -> Run:
    """One engine once; where it cannot run, why."""
    engine = ENGINES[name]
    note = engine.note if plan.task == "window" else ""
    unfit = (
        engine.reads and (plan.task == "filter" or plan.latency),
        plan.latency and plan.task == "window" and not engine.last_end,
    )
    if any(unfit):
        return Run(name, plan.variant, failed="it cannot do this")
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        return Run(name, plan.variant, failed="there is no broker: mosquitto is not installed")
    try:
        with tempfile.TemporaryDirectory(prefix="edgestream-bench-") as folder:
            figures = _run(plan, engine, Path(folder))
    except (Missing, RuntimeError) as why:
        return Run(name, plan.variant, note=note, failed=str(why))
    return Run(name, plan.variant, figures, note)


def _run(plan: Plan, engine: Engine, folder: Path) -> dict[str, float]:
    with pinned(0):
        broker = Mosquitto(folder / "broker", ["log_type subscribe", "log_type error"])
        job = plan.job(folder, broker.port)
        command = engine.command(job)
        broker.start()
        try:
            # nobody who reads shall hold up who writes
            with closing(sqlite3.connect(job.database)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
            process = Process(command, folder / "engine.log", cwd=folder)
            with pinned(1):
                process.start(lambda: engine.configure(job), 60)
            try:
                _subscribed(broker, process)
                return _measure(plan, engine, job, process)
            finally:
                process.terminate(20)
        finally:
            broker.stop()


def _subscribed(broker: Mosquitto, process: Process) -> None:
    deadline = time.monotonic() + 60
    while TOPICS not in broker.log.read_text():
        if ended(process.pid) or time.monotonic() > deadline:
            raise RuntimeError(f"it did not subscribe: {_last_line(process.log)}")
        time.sleep(0.02)


def _measure(plan: Plan, engine: Engine, job: Job, process: Process) -> dict[str, float]:
    watcher = check.Watcher(engine, job) if plan.latency and plan.task == "window" else None
    with (
        Listener(job) if plan.task == "filter" else _nobody() as listener,
        _peaks(process) as peaks,
    ):
        data, made, start = _prepared(plan)
        before = usage(process.pid)
        publisher = Publisher(job.port)
        with watcher or _nobody(), _reading(job, plan) as reading:
            late = publisher.send(made, plan.qos, start)
            after = _answered(plan, engine, job, process, listener, data)
        publisher.close()
    figures = {
        "µs/message": (after.cpu - before.cpu) * 1e6 / plan.count,
        "peak MiB": max(peaks),
        "B written/message": (after.written - before.written) / plan.count,
        "B written/payload byte": (after.written - before.written) / sum(map(len, data.payloads())),
    }
    if reading:
        figures["messages/s"] = plan.count / reading[0]
    if listener is not None:
        figures |= check.filtered(data, engine, listener, latency=plan.latency)
    elif not engine.reads:
        figures |= check.counted(data, engine, job)
    if watcher is not None:
        figures |= watcher.figures(plan.delay)
    if plan.latency:
        figures["publisher late p99 ms"] = float(np.quantile(late, 0.99)) * 1e3
    return figures


def _prepared(plan: Plan) -> tuple[Data, list[Block], float]:
    """Packets for the moment when they will be ready."""
    seconds = 0.5 + _AHEAD + plan.count / 150_000
    start = time.time() + (seconds if plan.rate else 0)
    if plan.latency:
        start = float(int(start) + 1)
    data = plan.data(start)
    made = blocks(data, plan.qos, plan.rate)
    return data, made, start if plan.rate else time.time()


def _answered(
    plan: Plan,
    engine: Engine,
    job: Job,
    process: Process,
    listener: Listener | None,
    data: Data,
) -> Usage:
    """Wait until everything sent is answered, or nothing has moved for long; the usage then."""
    wanted = plan.count if listener is None else int((data.hundredths > 2_000).sum())
    patience = 3.0 if listener is not None else job.size / 1000 + 5
    seen, moved = -1, time.monotonic()
    busy = usage(process.pid)
    while time.monotonic() - moved < patience:
        if ended(process.pid):
            if engine.reads:
                break
            raise RuntimeError(f"it ended early: {_last_line(process.log)}")
        now = listener.count() if listener is not None else check.progress(engine, job)
        if now >= wanted:
            break
        used = usage(process.pid)
        if now != seen or used.cpu - busy.cpu > 0.2:
            seen, moved, busy = now, time.monotonic(), used
        time.sleep(0.2)
    return usage(process.pid)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "without a word"


@contextmanager
def _nobody() -> Iterator[None]:
    yield None


@contextmanager
def _reading(job: Job, plan: Plan) -> Iterator[list[float]]:
    """The seconds until our worker says that it has read everything; nothing of the others."""
    found: list[float] = []
    started, done = time.perf_counter(), threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            if _rows_read(job.control) >= plan.count:
                found.append(time.perf_counter() - started)
                return

    thread = threading.Thread(target=watch)
    if plan.durability:
        thread.start()
    try:
        yield found
    finally:
        done.set()
        if plan.durability:
            thread.join()


def _rows_read(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    counts = re.findall(r"^edgestream_source_rows_total\{.*\} (\d+)$", text, re.M)
    return sum(map(int, counts))


@contextmanager
def _peaks(process: Process) -> Iterator[Sequence[float]]:
    """The peak memory so far, looked at again and again: one that has ended shows none."""
    found = [usage(process.pid).peak]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            found.append(usage(process.pid).peak)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
