"""A changed pipeline: what is kept, what is refused, what may be given up by name."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from edgestream.clock import SystemClock
from edgestream.component import Operator
from edgestream.errors import ConfigError, Disconnected
from edgestream.eventtime import Time
from edgestream.operators.where import Where
from edgestream.runtime.running import Running
from edgestream.runtime.view import WorkerView
from edgestream.runtime.worker import RESTARTS, Settings, Worker
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, StreamSpec
from tests.runtime.parts import Feed, Memory, Table, Tally, Wire
from tests.runtime.test_running import message, until


def spec(
    wire: Wire, table: Table, *steps: Operator, source: str = "source", sink: str = "sink"
) -> PipelineSpec:
    return PipelineSpec(
        "test",
        {source: SourceSpec(Feed(wire), None, Time("t", delay="0s"))},
        {"steps": StreamSpec((source,), steps)},
        {sink: SinkSpec(("steps",), Memory(table))},
        None,
        "10ms",
    )


async def run(
    made: PipelineSpec,
    folder: Path,
    condition: Callable[[Running], bool],
    *accept: str,
    crash: bool = False,
) -> None:
    running = Running(made, folder, SystemClock(), accept=accept)
    task = asyncio.create_task(running.run(grace=0.2))
    try:
        await until(lambda: task.done() or condition(running))
        if not crash:
            running.stop()
            await asyncio.wait_for(task, 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_state_that_is_lost_is_refused_until_it_is_named(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()
    await run(spec(wire, table, Tally()), tmp_path, lambda _: wire.acknowledged == [1])
    changed = spec(wire, table, Where("t > 0"))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"steps\.tally\.0 belongs to no step.*accept-loss"):
            await run(changed, tmp_path, lambda _: False)
    with pytest.raises(ConfigError, match=r"steps\.tally\.0"):
        await run(changed, tmp_path, lambda _: False, "steps.tally.1")
    wire.blocks += [[message("b", 2)]]
    await run(changed, tmp_path, lambda _: bool(table.rows), "steps.tally.0")
    assert [row["device"] for row in table.rows] == ["b"]
    await run(changed, tmp_path, lambda running: running.state == "running")


async def test_rows_for_a_sink_that_is_gone_are_refused_until_it_is_named(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()
    table.fail = [Disconnected("down")] * 1_000_000
    one = spec(wire, table, Where("t > 0"))
    await run(one, tmp_path, lambda made: bool(made.task and made.task.checkpoints))
    other = spec(wire, Table(), Where("t > 0"), sink="other")
    with pytest.raises(ConfigError, match="rows wait for the sink sink"):
        await run(other, tmp_path, lambda _: False)
    await run(other, tmp_path, lambda made: made.state == "running", "sink")
    await run(other, tmp_path, lambda made: made.state == "running")


async def test_messages_of_a_source_that_is_gone_are_refused(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()
    step = Tally(fail_on="a")
    made = Running(spec(wire, table, step), tmp_path, SystemClock())
    with pytest.raises(RuntimeError):
        await made.run()
    with pytest.raises(ConfigError, match="1 messages of the source source were accepted and not"):
        await run(spec(wire, table, Tally(), source="renamed"), tmp_path, lambda _: False)


async def test_a_pipeline_that_fails_again_and_again_is_quarantined_and_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good, table = Wire([[message("x", 1)]]), Wire([[message("a", 1)]]), Table()
    failing = spec(bad, Table(), Tally(fail_on="x"))
    well = PipelineSpec(
        "well",
        {"source": SourceSpec(Feed(good), None, Time("t"))},
        {},
        {"sink": SinkSpec(("source",), Memory(table))},
    )

    class Quick(SystemClock):
        async def sleep(self, nanos: int) -> None:
            await asyncio.sleep(0.001)

    for start in (RESTARTS, 1):
        caplog.clear()
        worker = Worker([failing, well], Settings(tmp_path, grace=1), Quick())
        task = asyncio.create_task(worker.run_quietly())
        view = WorkerView(worker.running, SystemClock())
        await until(lambda: "quarantined after" in " ".join(view.ready()))  # noqa: B023
        assert caplog.text.count("stopped by a bug") == start
        await until(lambda: worker.running[1].state == "running")  # noqa: B023
        assert not task.done()
        worker.stop()
        assert await asyncio.wait_for(task, 10) == 1
    bad.blocks = []
    table.rows.clear()
    wire_table = Table()
    mended = spec(Wire([[message("b", 100)]]), wire_table, Tally())
    await run(mended, tmp_path, lambda _: bool(wire_table.rows))
    assert wire_table.rows == [{"device": "b", "n": 1}, {"device": "x", "n": 1}]
