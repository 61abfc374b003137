"""Nothing is read or acknowledged before the sinks are this worker's own."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgestream.clock import SECOND, SystemClock
from edgestream.component import Context, Token, component
from edgestream.errors import Disconnected, Fatal, Fenced, Held
from edgestream.runtime import ownership, writer
from edgestream.runtime import running as starting
from edgestream.runtime.ownership import Pulse
from edgestream.runtime.running import Running
from tests.runtime.parts import Memory, MemoryUpsert, Table, Wire
from tests.runtime.test_running import message, pipeline, running, until


class Hands:
    """Time and computing time, moved by hand."""

    def __init__(self) -> None:
        self.time = self.computed = 0

    def pulse(self) -> Pulse:
        return Pulse(lambda: self.time, lambda: self.computed)


@pytest.mark.parametrize(
    ("passed", "computed", "pauses"),
    [
        (SECOND // 5, 0, 0),
        (SECOND, 0, 1),
        (SECOND, SECOND, 0),
        (4 * SECOND, SECOND, 0),
        (60 * SECOND, SECOND, 1),
    ],
)
def test_time_in_which_nothing_was_done_is_a_pause(passed: int, computed: int, pauses: int) -> None:
    hands = Hands()
    pulse = hands.pulse()
    hands.time += passed
    hands.computed += computed
    assert [pulse.look(), pulse.look()] == [pauses, pauses]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "AGAIN", SECOND // 100)
    monkeypatch.setattr(ownership, "GIVE_WAY", SECOND // 10)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hands]:
    made = Hands()
    monkeypatch.setattr(starting, "Pulse", made.pulse)
    return made


class Door(Table):
    """A `Table` that another process can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.held = False
        self.tries = 0
        self.fenced = False


@component("guarded")
class Guarded(Memory):
    """A sink with a door."""

    async def open(self, ctx: Context) -> Token | None:
        self.table.tries += 1
        if self.table.held:
            raise Held("somebody is in there")
        if self.table.fenced:
            raise Fenced("the table", ctx.id)
        return await super().open(ctx)


async def test_nothing_is_read_while_another_process_holds_a_sink(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]]), Door()
    table.held = True
    async with running(pipeline(wire, Guarded(table)), tmp_path) as made:
        await until(lambda: table.tries > 20)
        assert (wire.opened, made.writers["sink"].guard.held) == (0, True)
        table.held = False
        await until(lambda: len(table.rows) == 1)
        assert wire.opened == 1


@pytest.mark.parametrize("sink", [Memory, MemoryUpsert])
async def test_a_sink_that_is_away_holds_no_reading_up(tmp_path: Path, sink: Any) -> None:
    wire, table = Wire([[message("a", 1)]]), Table()
    table.fail = [Disconnected("it is away")] * 1000
    async with running(pipeline(wire, sink(table)), tmp_path):
        await until(lambda: wire.acknowledged == [1])
        table.fail.clear()


async def test_a_sink_that_is_refused_while_another_is_held_ends_the_pipeline(
    tmp_path: Path,
) -> None:
    wire, table = Wire([[message("a", 1)]]), Door()
    table.held = True
    made = Running(pipeline(wire, Guarded(table)), tmp_path, SystemClock())
    task = asyncio.create_task(made.run(grace=1))
    await until(lambda: table.tries > 3)
    table.held, table.fail = False, [Fatal("it is gone for good")]
    with pytest.raises(Fatal, match="for good"):
        await asyncio.wait_for(task, 10)
    assert wire.opened == 0


async def test_a_worker_that_waits_for_a_sink_can_be_stopped(tmp_path: Path) -> None:
    wire, table = Wire([[message("a", 1)]]), Door()
    table.held = True
    async with running(pipeline(wire, Guarded(table)), tmp_path):
        await until(lambda: table.tries > 3)
    assert (wire.opened, wire.acknowledged) == (0, [])


async def test_after_a_pause_the_sink_is_claimed_again_before_more_is_acknowledged(
    tmp_path: Path, hands: Hands
) -> None:
    wire, table = Wire([[message("a", 1)]]), Door()
    async with running(pipeline(wire, Guarded(table)), tmp_path):
        await until(lambda: wire.acknowledged == [1] and len(table.rows) == 1)
        hands.time += 60 * SECOND
        table.held = True
        wire.blocks.append([message("a", 2)])
        await until(lambda: table.tries > 20)
        assert wire.acknowledged == [1]
        table.held = False
        await until(lambda: wire.acknowledged == [1, 2] and len(table.rows) == 2)
    assert table.opened == 2
    assert [row["t"] for row in table.rows] == [1, 2]


async def test_who_was_replaced_during_a_pause_acknowledges_and_writes_nothing(
    tmp_path: Path, hands: Hands
) -> None:
    wire, table = Wire([[message("a", 1)]]), Door()
    made = Running(pipeline(wire, Guarded(table)), tmp_path, SystemClock())
    task = asyncio.create_task(made.run(grace=1))
    await until(lambda: wire.acknowledged == [1] and len(table.rows) == 1)
    hands.time += 60 * SECOND
    table.fenced = True
    wire.blocks.append([message("a", 2)])
    with pytest.raises(Fenced):
        await asyncio.wait_for(task, 10)
    assert (wire.acknowledged, len(table.rows)) == ([1], 1)


async def test_best_effort_has_nothing_to_be_sure_of(tmp_path: Path, hands: Hands) -> None:
    wire, table = Wire([[message("a", 1)]]), Door()
    async with running(pipeline(wire, Guarded(table), delivery="best_effort"), tmp_path):
        await until(lambda: len(table.rows) == 1)
        hands.time += 60 * SECOND
        wire.blocks.append([message("a", 2)])
        await until(lambda: len(table.rows) == 2)
    assert table.opened == 1
