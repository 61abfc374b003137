import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from edgestream.clock import SystemClock
from edgestream.component import Operator, Sink
from edgestream.errors import Disconnected, Fatal, Retry, StoreLocked
from edgestream.eventtime import Time
from edgestream.operators.where import Where
from edgestream.runtime.running import Running
from edgestream.runtime.view import WorkerView
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, StreamSpec
from tests.runtime.parts import Feed, Memory, MemoryUpsert, Table, Tally, Wire


def message(device: str, t: float, **more: object) -> bytes:
    return json.dumps({"device": device, "t": t, **more}).encode()


def pipeline(
    wire: Wire, sink: Sink, *steps: Operator, delivery: str | None = None, checkpoint: str = "50ms"
) -> PipelineSpec:
    return PipelineSpec(
        "test",
        {"source": SourceSpec(Feed(wire), None, Time("t", delay="0s"))},
        {"steps": StreamSpec(("source",), steps)} if steps else {},
        {"sink": SinkSpec(("steps",) if steps else ("source",), sink)},
        delivery,  # type: ignore[arg-type]
        checkpoint,
    )


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(spec: PipelineSpec, folder: Path):  # type: ignore[no-untyped-def]
    made = Running(spec, folder, SystemClock())
    task = asyncio.create_task(made.run(grace=1))
    try:
        yield made
        if not task.done():
            made.stop()
        await asyncio.wait_for(task, 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def crash(made: Running, task: asyncio.Task[None]) -> None:
    """End everything at once, as far as a process can do that to itself: no last checkpoint."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_rows_reach_the_sink_and_are_acknowledged(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1), message("b", 2)], [message("a", 3)]]), Table()
    async with running(pipeline(wire, Memory(table)), tmp_path):
        await until(lambda: len(table.rows) == 3)
        await until(lambda: wire.acknowledged[-1:] == [2])
    assert [row["device"] for row in table.rows] == ["a", "b", "a"]


async def test_a_bounded_source_ends_the_pipeline(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]], ends=True), Table()
    made = Running(pipeline(wire, Memory(table), Tally()), tmp_path, SystemClock())
    await asyncio.wait_for(made.run(), 10)
    assert table.rows == [{"device": "a", "n": 1}]
    assert made.state == "stopped"


async def test_state_survives_a_graceful_stop(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()
    async with running(pipeline(wire, Memory(table), Tally()), tmp_path):
        await until(lambda: wire.acknowledged == [1])
    wire.blocks += [[message("a", 2)], [message("a", 20)]]
    async with running(pipeline(wire, Memory(table), Tally()), tmp_path):
        await until(lambda: bool(table.rows))
    assert table.rows == [{"device": "a", "n": 3}]


@pytest.mark.parametrize("checkpoint", ["10ms", "1h"])
async def test_a_crash_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path, checkpoint: str
) -> None:
    wire, table = Wire(), Table()
    for lap in range(5):
        spec = pipeline(wire, Memory(table), Tally(), checkpoint=checkpoint)
        made = Running(spec, tmp_path, SystemClock())
        task = asyncio.create_task(made.run())
        wire.acknowledged.clear()
        wire.blocks += [[message("a", 1 + lap / 10)] * 3, [message("b", 1 + lap / 10)]]
        await until(lambda: wire.acknowledged[-1:] == [2])
        await crash(made, task)
    wire.blocks += [[message("a", 100)]]
    async with running(pipeline(wire, Memory(table), Tally()), tmp_path):
        await until(lambda: bool(table.rows))
    assert table.rows == [{"device": "a", "n": 16}, {"device": "b", "n": 5}]


async def test_a_lost_commit_reply_writes_nothing_twice(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()
    table.lose_replies = 2
    async with running(pipeline(wire, Memory(table)), tmp_path):
        await until(lambda: table.opened == 2)
        wire.blocks += [[message("b", 2)]]
        await until(lambda: len(table.rows) == 2 and table.opened == 3)
        wire.blocks += [[message("c", 3)]]
        await until(lambda: len(table.rows) == 3)
    assert [row["device"] for row in table.rows] == ["a", "b", "c"]


async def test_rows_wait_in_the_state_file_while_the_sink_is_gone(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)], [message("b", 2)]]), Table()
    table.fail = [Disconnected("the database is down")] * 1_000_000
    async with running(pipeline(wire, Memory(table)), tmp_path) as made:
        await until(lambda: made.task and made.task.checkpoints and wire.acknowledged[-1:] == [2])
        status = made.writers["sink"].status
        assert (status.state, status.message) == ("waiting", "the database is down")
    assert table.rows == []
    table.fail = []
    async with running(pipeline(wire, Memory(table)), tmp_path):
        await until(lambda: len(table.rows) == 2)
    assert [row["device"] for row in table.rows] == ["a", "b"]


async def test_a_sink_that_says_retry_is_asked_again(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()
    table.fail = [Retry("busy")] * 3
    async with running(pipeline(wire, MemoryUpsert(table)), tmp_path):
        await until(lambda: len(table.rows) == 1)


async def test_a_source_that_breaks_is_opened_again_with_what_may_come_twice(
    tmp_path: Path,
) -> None:
    wire, table = Wire([[message("a", 1)], [message("b", 2)]]), Table()
    wire.breaks_after = 1
    async with running(pipeline(wire, Memory(table)), tmp_path):
        await until(lambda: len(table.rows) == 2)
    assert wire.opened == 2
    assert wire.recalled == [[], [message("a", 1)]]


async def test_bad_payloads_become_dead_letters_and_their_neighbours_go_on(tmp_path: Path) -> None:
    block = [message("a", 1), b"not json", message("b", 2), b'{"device":"c"}', b"[" * 100_000]
    wire, table = Wire([block]), Table()
    async with running(pipeline(wire, Memory(table)), tmp_path) as made:
        await until(lambda: len(table.rows) == 2)
        assert made.task.letters.count == 3
    letters = (
        sqlite3.connect(tmp_path / "test.db")
        .execute("SELECT step, stage, position, reason, data FROM dead_letters ORDER BY position")
        .fetchall()
    )
    assert [json.loads(letter[2])["row"] for letter in letters] == [1, 3, 4]
    assert [bytes(letter[4]) for letter in letters] == [block[1], block[3], block[4]]
    assert [letter[:2] for letter in letters] == [
        ("source", "decode"),
        ("source", "time"),
        ("source", "decode"),
    ]
    assert letters[1][3] == "the time column 't' is missing"


async def test_rows_a_sink_refuses_become_dead_letters(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1), message("bad", 2), message("b", 3)]]), Table()
    async with running(pipeline(wire, Memory(table)), tmp_path):
        await until(lambda: len(table.rows) == 2)
    letters = sqlite3.connect(tmp_path / "test.db").execute(
        "SELECT stage, reason FROM dead_letters"
    )
    assert letters.fetchall() == [("write", "it says bad")]


async def test_dead_letters_are_told_of_once_a_minute_and_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire, table = Wire([[b"nonsense", message("a", 1)]]), Table()
    async with running(pipeline(wire, Memory(table)), tmp_path):
        await until(lambda: "1 dead letter so far" in caplog.text)
        wire.blocks += [[b"[1]"], [message("bad", 2), message("b", 3)]]
        await until(lambda: len(table.rows) == 2)
        assert len(caplog.records) == 1
    first, last = caplog.messages
    kept = f"kept in {tmp_path / 'test.db'}; the last: "
    assert first.startswith(f"source: 1 dead letter so far, {kept}not JSON")
    assert f"3 dead letters so far, {kept}" in last


async def test_rows_of_best_effort_that_cannot_be_written_are_said_to_be_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()
    table.fail = [Disconnected("gone")] * 1000
    async with running(pipeline(wire, Memory(table), delivery="best_effort"), tmp_path) as made:
        await until(lambda: made.state == "running" and made.writers["sink"].lanes.live.head == 1)
    assert "sink: its last rows are lost: delivery is best_effort" in caplog.messages


async def test_rejected_rows_can_be_a_stream(tmp_path: Path) -> None:
    wire, table, refused = Wire([[message("a", 1), b"nonsense"]]), Table(), Table()
    spec = PipelineSpec(
        "test",
        {"readings": SourceSpec(Feed(wire), None, Time("t"))},
        {},
        {
            "good": SinkSpec(("readings",), Memory(table)),
            "bad": SinkSpec(("readings.rejected",), Memory(refused)),
        },
    )
    async with running(spec, tmp_path) as made:
        await until(lambda: bool(table.rows) and bool(refused.rows))
        assert made.task.letters.count == 0
    assert refused.rows[0]["payload"] == "nonsense"


async def test_an_operator_that_fails_stops_the_pipeline_and_loses_nothing(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)], [message("x", 2)]]), Table()
    made = Running(pipeline(wire, Memory(table), Tally(fail_on="x")), tmp_path, SystemClock())
    with pytest.raises(RuntimeError, match="cannot count x") as caught:
        await asyncio.wait_for(made.run(), 10)
    assert "step steps.0 (tally) failed on a batch of 1 rows" in caught.value.__notes__[0]
    assert "it keeps state" in made.message
    assert made.state == "failed"
    wire.blocks += [[message("a", 100)]]
    async with running(pipeline(wire, Memory(table), Tally()), tmp_path):
        await until(lambda: bool(table.rows))
    assert table.rows == [{"device": "a", "n": 2}, {"device": "x", "n": 1}]


async def test_a_fatal_sink_stops_the_pipeline(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()
    table.fail = [Fatal("no permission", 77)]
    made = Running(pipeline(wire, Memory(table)), tmp_path, SystemClock())
    with pytest.raises(Fatal, match="no permission") as caught:
        await asyncio.wait_for(made.run(), 10)
    assert caught.value.exit_code == 77


async def test_a_failed_pipeline_is_not_ready_for_one_reason(tmp_path: Path) -> None:
    table = Table()
    table.fail = [Fatal("the database is of another kind", exit_code=78)]
    made = Running(pipeline(Wire(), Memory(table)), tmp_path, SystemClock())
    with pytest.raises(Fatal):
        await made.run()
    assert WorkerView([made], SystemClock()).ready() == ["test: the database is of another kind"]


async def test_a_second_worker_is_refused(tmp_path: Path) -> None:
    wire, table = Wire(), Table()
    async with running(pipeline(wire, Memory(table)), tmp_path) as made:
        await until(lambda: made.state == "running")
        with pytest.raises(StoreLocked):
            await Running(pipeline(wire, Memory(table)), tmp_path, SystemClock()).run()


async def test_best_effort_journals_nothing(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)], [message("b", 2)]]), Table()
    spec = pipeline(wire, Memory(table), delivery="best_effort")
    async with running(spec, tmp_path):
        await until(lambda: len(table.rows) == 2 and wire.acknowledged[-1:] == [2])
        count = sqlite3.connect(tmp_path / "test.db").execute("SELECT count(*) FROM journal")
        assert count.fetchone() == (0,)
    assert table.tokens[-1] is None


async def test_best_effort_keeps_state_over_a_clean_stop_but_not_over_a_crash(
    tmp_path: Path,
) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()

    def spec() -> PipelineSpec:
        return pipeline(wire, Memory(table), Tally(), delivery="best_effort")

    async with running(spec(), tmp_path):
        await until(lambda: wire.acknowledged == [1])
    made = Running(spec(), tmp_path, SystemClock())
    task = asyncio.create_task(made.run())
    wire.blocks += [[message("a", 2)]]
    await until(lambda: wire.acknowledged == [1, 1])
    await crash(made, task)
    wire.blocks += [[message("b", 100)]]
    async with running(spec(), tmp_path):
        await until(lambda: bool(table.rows))
    assert table.rows == [{"device": "b", "n": 1}]


async def test_a_column_that_never_comes_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire, table = Wire([[message("a", n, temperature=20)] * 60 for n in range(3)]), Table()
    step = Where("temprature > 10 or temperature > 10")
    async with running(pipeline(wire, Memory(table), step), tmp_path):
        await until(lambda: "temprature" in caplog.text)
    warned = [record for record in caplog.records if "temprature" in record.getMessage()]
    assert len(warned) == 1
    assert "did you mean 'temperature'?" in warned[0].getMessage()


async def test_a_pipeline_that_has_ended_stops_although_its_sink_is_gone(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]], ends=True), Table()
    table.fail = [Disconnected("the database is down")] * 1_000_000
    made = Running(pipeline(wire, Memory(table)), tmp_path, SystemClock())
    task = asyncio.create_task(made.run(grace=0.2))
    await until(lambda: made.task is not None and made.task.checkpoints > 0)
    await asyncio.sleep(0.3)
    assert not task.done()
    made.stop()
    await asyncio.wait_for(task, 5)
    table.fail = []
    again = Running(pipeline(wire, Memory(table)), tmp_path, SystemClock())
    await asyncio.wait_for(again.run(), 10)
    assert [row["device"] for row in table.rows] == ["a"]
