"""What a worker does with pipelines that fail, and how often a source is tried again."""

import asyncio
import itertools
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgestream.clock import SECOND, ManualClock
from edgestream.component import Context, Payloads
from edgestream.errors import Disconnected
from edgestream.eventtime import Time
from edgestream.runtime.backoff import BASE
from edgestream.runtime.inbox import Inbox
from edgestream.runtime.reader import Reader
from edgestream.runtime.running import Running
from edgestream.runtime.status import StepStatus
from edgestream.runtime.worker import Settings, Worker
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec
from tests.runtime.parts import Feed, Memory, Table, Wire

SPEC = PipelineSpec(
    "test",
    {"source": SourceSpec(Feed(Wire()), None, Time("t"))},
    {},
    {"sink": SinkSpec(("source",), Memory(Table()))},
)


class Waiting(ManualClock):
    """A clock on which waiting takes no time and is written down."""

    def __init__(self, last: int = 12) -> None:
        super().__init__()
        self.waited: list[int] = []
        self._last = last

    async def sleep(self, nanos: int) -> None:
        self.waited.append(nanos)
        if len(self.waited) == self._last:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


class Cut(Feed):
    """Opens well, and is cut off after so long."""

    held = 0

    async def open(self, ctx: Context, resume: object) -> None:
        self.clock = ctx.clock

    async def batches(self) -> AsyncIterator[Payloads]:
        await self.clock.advance(self.held)  # type: ignore[attr-defined]
        raise Disconnected("another client uses the name")
        yield


async def waits(held: int) -> list[int]:
    clock, log = Waiting(), logging.getLogger("test")
    source = Cut(Wire())
    source.held = held
    status = StepStatus("source cut", log)
    ctx = Context("test.source", log, clock, status.metrics)
    reader = Reader("source", source, ctx, Inbox(), status, None, itertools.count())
    with pytest.raises(asyncio.CancelledError):
        await reader.run()
    return clock.waited


async def test_a_source_that_is_cut_off_at_once_is_tried_less_and_less_often() -> None:
    assert max(await waits(held=SECOND // 10)) > BASE


async def test_a_source_that_was_well_for_a_while_is_opened_again_soon() -> None:
    assert max(await waits(held=60 * SECOND)) <= BASE


async def test_a_stop_while_a_failed_pipeline_waits_starts_it_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = 0

    async def fails(running: Running, grace: float) -> None:
        nonlocal started
        started += 1
        if started == 1:
            raise ZeroDivisionError

    class Stopping(ManualClock):
        async def sleep(self, nanos: int) -> None:
            worker.stop()

    monkeypatch.setattr(Running, "run", fails)
    worker = Worker([SPEC], Settings(tmp_path), Stopping())
    assert (await worker.run_quietly(), started) == (1, 1)


def test_ctrl_c_ends_run_with_a_checkpoint_and_without_a_traceback(tmp_path: Path) -> None:
    code = (
        "import edgestream as es\n"
        "sink = es.Sqlite(path='o.db', table='t')\n"
        "p = es.pipeline('p').source(es.Generate(rate=100)).sink(sink)\n"
        "es.run(p, state_dir='state')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 20
        while not _rows(tmp_path / "o.db") and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
    state = sqlite3.connect(tmp_path / "state" / "p.db")
    assert state.execute("SELECT count(*) FROM checkpoints").fetchone()[0]
    state.close()


def _rows(path: Path) -> int:
    if not path.exists():
        return 0
    db = sqlite3.connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM t").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()
