"""A stop ends in time, whatever hangs, and waits for nobody who is away."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgestream.clock import SystemClock
from edgestream.component import Context, Token, component
from edgestream.errors import Disconnected
from edgestream.runtime.running import Running
from edgestream.spec import PipelineSpec
from tests.runtime.parts import Feed, Memory, Table, Wire
from tests.runtime.test_running import message, pipeline, until
from tests.source_tree import ROOT


@component("hanging")
class Hanging(Memory):
    """Hangs in the call that its table names."""

    async def open(self, ctx: Context) -> Token | None:
        await self._hang("open")
        return await super().open(ctx)

    async def flush(self, token: Token | None) -> None:
        await self._hang("flush")
        await super().flush(token)

    async def close(self) -> None:
        await self._hang("close")

    async def _hang(self, call: str) -> None:
        while call in self.table.hangs:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if call != "close":
                    raise


def spec(wire: Wire, hangs: str, sink: type[Memory] = Hanging) -> tuple[PipelineSpec, Table]:
    table = Table()
    table.hangs = hangs.split()  # type: ignore[attr-defined]
    return pipeline(wire, sink(table)), table


async def stopped(made: Running, grace: float, ready: Any) -> None:
    task = asyncio.create_task(made.run(grace=grace))
    await until(ready)
    made.stop()
    await asyncio.wait_for(task, 20)


@pytest.mark.parametrize("hangs", ["flush", "open", "flush close", "close"])
async def test_a_hung_sink_is_left_at_the_end_of_the_grace(tmp_path: Path, hangs: str) -> None:
    wire = Wire([[message("a", 1)]])
    made, table = spec(wire, hangs)
    running = Running(made, tmp_path, SystemClock())
    await stopped(running, 0.3, lambda: running.task and running.task.checkpoints)
    assert running.saved
    assert running.state == "stopped"
    table.hangs = []  # type: ignore[attr-defined]
    again = Running(made, tmp_path, SystemClock())
    await stopped(again, 5, lambda: len(table.rows) == 1)
    assert [row["device"] for row in table.rows] == ["a"]


async def test_a_stop_waits_for_no_sink_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire([[message("a", 1)]])
    made, table = spec(wire, "")
    table.fail = [Disconnected("the database is down")] * 1_000_000
    running = Running(made, tmp_path, SystemClock())
    await stopped(running, 600, lambda: running.task and running.task.checkpoints)
    assert running.saved
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_a_source_that_hangs_in_its_last_acknowledgement_holds_up_no_checkpoint(
    tmp_path: Path,
) -> None:
    class Deaf(Feed):
        async def commit(self, items: int) -> None:
            await asyncio.sleep(3600)

    wire, table = Wire([[message("a", 1)]]), Table()
    made = pipeline(wire, Memory(table))
    made.sources["source"].component.__class__ = Deaf
    running = Running(made, tmp_path, SystemClock())
    await stopped(running, 0.9, lambda: running.task and running.task.checkpoints)
    assert running.saved


CODE = """
import asyncio, sys, time
from pathlib import Path
from edgestream.runtime.worker import Settings, Worker
from edgestream.runtime import worker
from tests.runtime.parts import Wire
from tests.runtime.test_ending import Hanging, spec
from tests.runtime.test_running import message

worker.MARGIN = 0.2

class Blocking(Hanging):
    async def close(self):
        print("closing", flush=True)
        time.sleep(0.01)
        await asyncio.to_thread(time.sleep, 3600)

made, _ = spec(Wire([[message("a", 1)]]), "", Blocking)
sys.exit(asyncio.run(Worker([made], Settings(Path(sys.argv[1]), grace=0.5)).run(
    lambda: print("started", flush=True))))
"""


def test_the_process_is_left_although_a_thread_hangs(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, errors
