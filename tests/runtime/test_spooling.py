"""Outages of sinks: what waits, what goes first, what is dropped, and whom it concerns."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from edgestream.batch import Batch
from edgestream.clock import SECOND, SystemClock
from edgestream.component import MAIN, Operator, Outputs, Sink, component
from edgestream.errors import Disconnected, Fatal
from edgestream.eventtime import Time
from edgestream.runtime import backoff
from edgestream.runtime.running import Running
from edgestream.runtime.view import WorkerView
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, Spool, StreamSpec
from edgestream.store import spool as store_spool
from tests.runtime.parts import Feed, Memory, MemoryUpsert, Table, Wire
from tests.runtime.test_running import crash, message, running, until

DOWN = "the database is down"


@component("unordered")
class Unordered(Memory):
    """A table: nobody sees the order of writing."""

    ordered: ClassVar[bool] = False


@component("windowed")
class Windowed(Operator):
    """Rows by device and a window that they name themselves."""

    def process(self, batch: Batch) -> Outputs:
        start = batch["w"].astype(np.int64).astype("datetime64[us]")
        made = batch.with_columns(window_start=start)
        return [(MAIN, Batch(made.columns, made.times, ("device", "window_start")))]

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        return ("device", "window_start")


def pipeline(wire: Wire, sinks: dict[str, SinkSpec], **more: Any) -> PipelineSpec:
    named = any("named" in sink.inputs for sink in sinks.values())
    return PipelineSpec(
        "test",
        {"readings": SourceSpec(Feed(wire), None, Time("t", delay="0s"))},
        {"named": StreamSpec(("readings",), (Windowed(),))} if named else {},
        sinks,
        checkpoint="50ms",
        **more,
    )


def one(sink: Sink, spool: Spool | None = None, *, feeds: str = "readings") -> dict[str, SinkSpec]:
    return {"sink": SinkSpec((feeds,), sink, "spool", spool or Spool())}


def down(table: Table) -> None:
    table.fail = [Disconnected(DOWN)] * 1_000_000


def numbers(table: Table) -> list[int]:
    return [row["n"] for row in table.rows]


def rows_of(first: int, last: int, **more: object) -> list[list[bytes]]:
    return [[message("a", n, n=n, **more)] for n in range(first, last)]


async def waits(made: Running, rows: int, sink: str = "sink") -> None:
    """Until so many rows are in the spool or dropped."""

    def enough() -> bool:
        return sink in made.writers and made.writers[sink].tap.count >= rows

    await until(enough)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "CAP", SECOND // 20)


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_spool, "PAGE_BATCHES", 1)


async def test_a_dead_sink_holds_no_other(tmp_path: Path) -> None:
    wire, dead, alive = Wire(rows_of(0, 50)), Table(), Table()
    down(dead)
    sinks = {
        "dead": SinkSpec(("readings",), Memory(dead)),
        "alive": SinkSpec(("readings",), Memory(alive)),
    }
    async with running(pipeline(wire, sinks), tmp_path) as made:
        await until(lambda: len(alive.rows) == 50)
        wire.blocks += rows_of(50, 100)
        await until(lambda: len(alive.rows) == 100)
        assert dead.rows == []
        await waits(made, 100, "dead")
        dead.fail = []
        await until(lambda: len(dead.rows) == 100)
    assert numbers(dead) == numbers(alive) == list(range(100))


async def test_wait_stops_everything_until_the_sink_is_back(tmp_path: Path) -> None:
    wire, dead, alive = Wire(rows_of(0, 1)), Table(), Table()
    sinks = {
        "dead": SinkSpec(("readings",), Memory(dead), "wait"),
        "alive": SinkSpec(("readings",), Memory(alive)),
    }
    async with running(pipeline(wire, sinks), tmp_path) as made:
        await until(lambda: len(dead.rows) == len(alive.rows) == 1)
        down(dead)
        wire.blocks += rows_of(1, 2)
        await until(lambda: made.writers["dead"].full)
        await until(lambda: len(alive.rows) == 2)
        wire.blocks += rows_of(2, 40)
        await until(lambda: wire.next == 40)
        await asyncio.sleep(0.3)
        assert len(alive.rows) < 40, "what is read while the sink is away is not processed"
        held = len(alive.rows)
        assert made.task is not None
        assert made.task.stuck_for(SystemClock().monotonic() + 10**12) == 0
        dead.fail = []
        await until(lambda: len(dead.rows) == len(alive.rows) == 40)
    assert held <= 3
    assert numbers(dead) == numbers(alive) == list(range(40))


@pytest.mark.usefixtures("short_pages")
async def test_new_rows_go_first_into_a_table(tmp_path: Path) -> None:
    wire, table = Wire(), Table()
    down(table)
    async with running(pipeline(wire, one(Unordered(table))), tmp_path) as made:
        for n in range(8):
            wire.blocks += rows_of(n, n + 1)
            await waits(made, n + 1)
        opened, write = made.writers["sink"], Unordered.write

        async def slowly(self: Unordered, batch: Batch) -> None:
            if not table.rows:
                wire.blocks.extend(rows_of(8, 9))
            await asyncio.sleep(0.05)
            await write(self, batch)

        opened.sink.write = slowly.__get__(opened.sink)  # type: ignore[method-assign]
        table.fail = []
        await until(lambda: len(table.rows) == 9)
    assert sorted(numbers(table)) == list(range(9))
    assert numbers(table).index(8) < 7
    late = [n for n in numbers(table) if n != 8]
    assert late == sorted(late)


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("spool", [Spool(), Spool(order="oldest_first")])
async def test_a_correction_is_never_overwritten_by_an_older_row(
    tmp_path: Path, spool: Spool
) -> None:
    wire, table = Wire(), Table()
    down(table)
    spec = pipeline(wire, one(Unordered(table), spool, feeds="named"))
    rng = random.Random(5)
    newest: dict[int, int] = {}

    def more(count: int) -> None:
        for _ in range(count):
            n = len(wire.blocks)
            window = rng.randrange(max(0, n // 4 - 3), n // 4 + 1)
            newest[window] = n
            wire.blocks.append([message("a", n, n=n, w=window)])

    async with running(spec, tmp_path) as made:
        for round_ in range(4):
            more(15)
            await waits(made, len(wire.blocks))
            table.fail = [] if round_ % 2 else [Disconnected(DOWN)] * 1_000_000
            await asyncio.sleep(0.1)
        table.fail = []
        await until(lambda: len(table.rows) == len(wire.blocks))
    last: dict[int, int] = {}
    for row in table.rows:
        last[row["w"]] = row["n"]
    assert last == newest


async def test_rows_sent_late_are_marked_where_asked(tmp_path: Path) -> None:
    wire, table = Wire(rows_of(0, 1)), Table()
    spec = pipeline(wire, one(Memory(table), Spool(mark="replayed")))
    async with running(spec, tmp_path) as made:
        await until(lambda: len(table.rows) == 1)
        down(table)
        wire.blocks += rows_of(1, 3)
        await until(lambda: made.writers["sink"].down)
        wire.blocks += rows_of(3, 5)
        await waits(made, 5)
        table.fail = []
        await until(lambda: len(table.rows) == 5)
        assert made.writers["sink"].replayed >= 2
    marks = [row["replayed"] for row in table.rows]
    assert marks[0] is False
    assert marks[-2:] == [True, True]


async def test_a_mark_that_rows_have_already_is_refused(tmp_path: Path) -> None:
    wire = Wire(rows_of(0, 1, replayed=1))
    made = Running(
        pipeline(wire, one(Memory(Table()), Spool(mark="replayed"))), tmp_path, SystemClock()
    )
    with pytest.raises(Fatal, match="rows have a column 'replayed' already"):
        await asyncio.wait_for(made.run(), 10)


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("order", ["live_first", "oldest_first"])
async def test_crashes_while_catching_up_lose_nothing_and_repeat_nothing(
    tmp_path: Path, order: Any
) -> None:
    wire, table = Wire(), Table()
    rng = random.Random(3)
    for _ in range(8):
        spec = pipeline(wire, one(Memory(table), Spool(order=order)))
        made = Running(spec, tmp_path, SystemClock())
        task = asyncio.create_task(made.run())
        down(table)
        for _ in range(4):
            wire.acknowledged.clear()
            wire.blocks += rows_of(len(wire.blocks), len(wire.blocks) + 3)
            await asyncio.sleep(0.06)
        table.fail = []
        table.lose_replies = rng.choice([0, 1, 2])
        have = len(table.rows)
        with_more = have + rng.randrange(1, 8)
        await until(lambda enough=with_more: len(table.rows) >= enough)  # type: ignore[misc]
        table.lose_replies = 0
        await until(lambda: wire.next == len(wire.blocks))
        await until(lambda: bool(wire.acknowledged))
        await asyncio.sleep(0.02)
        await crash(made, task)
    async with running(pipeline(wire, one(Memory(table), Spool(order=order))), tmp_path):
        await until(lambda: len(table.rows) >= len(wire.blocks))
        await asyncio.sleep(0.1)
    assert sorted(numbers(table)) == list(range(len(wire.blocks)))


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "downsample"])
async def test_every_dropped_row_is_counted_and_told_of(
    tmp_path: Path, overflow: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wire, table = Wire(), Table()
    down(table)
    spec = pipeline(wire, one(Memory(table), Spool("1KiB", overflow=overflow)))
    for count in (12, 24):
        async with running(spec, tmp_path) as made:
            for n in range(count - 12, count):
                wire.blocks += rows_of(n, n + 1)
                await waits(made, n + 1 - (count - 12))
            writer = made.writers["sink"]
            assert writer.lanes.waiting.size <= 1024
            assert f"; {writer.drops.rows} rows dropped" in "".join(
                WorkerView([made], SystemClock()).ready()
            )
    table.fail = []
    async with running(spec, tmp_path) as made:
        await until(lambda: "sink" in made.writers and not made.writers["sink"].lanes.pending)
        samples = WorkerView([made], SystemClock()).metrics()
        dropped = next(s.value for s in samples if s.name == "edgestream_dropped_rows")
    assert len(table.rows) + dropped == 24
    assert dropped > 0
    assert f"rows dropped so far: the spool may hold {spec.sinks['sink'].spool}" in caplog.text


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_best_effort_drops_from_memory_and_counts(tmp_path: Path, overflow: Any) -> None:
    wire, table = Wire(), Table()
    down(table)
    spool = Spool("512B", overflow=overflow)
    spec = pipeline(wire, one(MemoryUpsert(table), spool), delivery="best_effort")
    async with running(spec, tmp_path) as made:
        for n in range(30):
            wire.blocks += rows_of(n, n + 1)
            await waits(made, n + 1)
        table.fail = []
        await until(lambda: not made.writers["sink"].lanes.pending)
        await until(lambda: len(table.rows) + made.writers["sink"].drops.rows == 30)
    assert (29 in numbers(table)) == (overflow == "drop_oldest")


async def test_pause_stops_reading_at_the_budget_and_drops_nothing(tmp_path: Path) -> None:
    wire, table = Wire(), Table()
    down(table)
    spec = pipeline(wire, one(Memory(table), Spool("2KiB")))
    async with running(spec, tmp_path) as made:
        task: Callable[[], bool] = lambda: made.writers["sink"].full  # noqa: E731
        n = 0
        while not ("sink" in made.writers and task()):
            wire.blocks += rows_of(n, n + 1)
            n += 1
            await asyncio.sleep(0.02)
        wire.blocks += rows_of(n, n + 50)
        await until(lambda: wire.next == n + 50)
        await asyncio.sleep(0.2)
        assert made.writers["sink"].tap.count < n + 10
        assert made.writers["sink"].lanes.waiting.size < 2 * 2048
        table.fail = []
        await until(lambda: len(table.rows) == n + 50)
    assert numbers(table) == list(range(n + 50))


@pytest.mark.parametrize("again", [False, True])
async def test_rows_that_get_too_old_go_although_nothing_comes(
    tmp_path: Path, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read meanwhile; ``again``: not even since the start."""
    monkeypatch.setattr(store_spool, "PAGE_BATCHES", 1)  # the first may have been offered: it stays
    wire, table = Wire(), Table()
    down(table)
    rows = [Spool(max_age=age, overflow="drop_oldest") for age in ("1h", "200ms")]
    spec = pipeline(wire, one(Memory(table), rows[0] if again else rows[1]))
    async with running(spec, tmp_path) as made:
        await until(lambda: bool(made.writers) and made.writers["sink"].down)
        for n in range(3):
            wire.blocks += rows_of(n, n + 1)
            await waits(made, n + 1)
        if not again:
            await until(lambda: made.writers["sink"].drops.rows == 3)
    if again:
        async with running(pipeline(wire, one(Memory(table), rows[1])), tmp_path) as made:
            await until(lambda: bool(made.writers) and made.writers["sink"].drops.rows == 2)
            assert made.writers["sink"].lanes.waiting.size > 0, "the first one may be there"


async def test_rows_that_are_too_old_pause_reading(tmp_path: Path) -> None:
    wire, table = Wire(rows_of(0, 1)), Table()
    down(table)
    spec = pipeline(wire, one(Memory(table), Spool(max_age="1ms")))
    async with running(spec, tmp_path) as made:
        await waits(made, 1)
        await until(lambda: made.writers["sink"].full)
        table.fail = []
        await until(lambda: len(table.rows) == 1)
        wire.blocks += rows_of(1, 2)
        await until(lambda: len(table.rows) == 2)
