"""A wall clock that is set: an hour back, three days on, and from 1970 to now."""

import asyncio
import logging
from pathlib import Path

import pytest

from edgestream import Json, count
from edgestream.clock import SECOND
from edgestream.component import Payloads
from edgestream.graph import build
from edgestream.operators.window import Window
from edgestream.runtime.flow import Flow
from edgestream.runtime.inbox import Item
from edgestream.runtime.running import Running
from edgestream.runtime.steady import PATIENCE, SANE, Jumps, SteadyClock, until_set
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, StreamSpec
from tests.runtime.parts import Feed, Memory, Table, Wire

HOUR = 3600 * SECOND
NOW = SANE + 1000 * HOUR


class Settable:
    """Two clocks: one that is set, one that goes on."""

    def __init__(self, wall: int = NOW) -> None:
        self.offset = wall
        self.at = 0
        self.slept = 0

    def wall(self) -> int:
        return self.offset + self.at

    def monotonic(self) -> int:
        return self.at

    async def sleep(self, nanos: int) -> None:
        self.at += nanos
        self.slept += 1
        await asyncio.sleep(0)


def stamps(jumps: list[int]) -> list[int]:
    """What the steady clock says each second, in seconds after its start."""
    clock = Settable()
    steady, found = SteadyClock(clock), []
    for jump in jumps:
        clock.at += SECOND
        clock.offset += jump
        found.append((steady.wall() - NOW) // SECOND)
    return found


@pytest.mark.parametrize(
    ("jumps", "expected"),
    [
        ([0, 0, 0], [1, 2, 3]),
        ([0, -HOUR, 0, 0], [1, 2, 3, 4]),
        ([0, 2 * SECOND, 0], [1, 4, 5]),
        ([0, -2 * SECOND, 0, 0], [1, 1, 1, 2]),
        ([0, 72 * HOUR, 0, -72 * HOUR, 0], [1, *(72 * 3600 + n for n in (2, 3, 4, 5))]),
        ([0, -HOUR, HOUR, 0], [1, 2, 3, 4]),
    ],
)
def test_arrival_follows_the_clock_and_never_goes_back(
    jumps: list[int], expected: list[int]
) -> None:
    assert stamps(jumps) == expected


def test_what_was_saved_further_on_is_gone_on_from() -> None:
    clock = Settable()
    steady = SteadyClock(clock)
    steady.not_before(NOW + HOUR)
    clock.at += SECOND
    assert steady.wall() == NOW + HOUR + SECOND


def test_each_jump_is_counted_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = Settable()
    jumps = Jumps(clock, logging.getLogger("test"))
    for change in (0, -HOUR, 0, SECOND, 0, 72 * HOUR, 0, 0):
        clock.at += SECOND // 10
        clock.offset += change
        jumps.look()
    assert jumps.count == 2
    assert [message.partition(";")[0] for message in caplog.messages] == [
        "the clock was set back by 3600 s",
        "the clock was set forward by 259200 s",
    ]


def test_a_clock_that_is_steered_slowly_never_jumps(caplog: pytest.LogCaptureFixture) -> None:
    clock = Settable()
    jumps = Jumps(clock, logging.getLogger("test"))
    for _ in range(100):
        clock.offset += SECOND // 10
        jumps.look()
    assert (jumps.count, caplog.messages) == (0, [])


@pytest.mark.parametrize("jump", [-HOUR, 72 * HOUR])
def test_no_window_comes_twice_and_no_row_is_lost(jump: int) -> None:
    """Rows that arrive each second, in windows of 10 s by arrival, across a jump."""
    step = Window(tumbling="10s", aggregate={"n": count()})
    made = build(
        PipelineSpec(
            "p",
            {"source": SourceSpec(Feed(Wire()))},
            {"steps": StreamSpec(("source",), (step,))},
            {"sink": SinkSpec(("steps",), Memory(Table()))},
        ),
        Json(),
    )
    clock, flow = Settable(), Flow(made)
    steady = SteadyClock(clock)
    rows: list[dict[str, object]] = []
    marks = [0]
    for second in range(60):
        clock.at += SECOND
        clock.offset += jump if second == 25 else 0
        item = Item("source", Payloads([b'{"x":1}'], received=steady.wall()), {})
        passed = flow.push(item, flow.read(item, clock.wall()), clock.wall(), clock.monotonic())
        rows += [row for _, batch in passed.arrived for row in batch.rows()]
        marks.append(made.nodes["steps.0"].watermark)
    rows += [row for _, b in flow.end("source", clock.monotonic()) for row in b.rows()]
    assert marks == sorted(marks), "the watermark never goes back"
    starts = [row["window_start"] for row in rows]
    assert len(set(starts)) == len(starts), "no window twice"
    assert sum(int(str(row["n"])) for row in rows) == 60


async def test_a_clock_of_1970_is_waited_for_and_not_for_ever() -> None:
    told: list[str] = []
    clock = Settable(wall=0)

    class SetLater(Settable):
        async def sleep(self, nanos: int) -> None:
            await super().sleep(nanos)
            if self.slept == 3:
                self.offset = NOW

    later = SetLater(wall=0)
    await until_set(later, asyncio.Event(), told.append)
    assert later.slept == 3
    assert told == ["the clock says 1970: waiting until it is set, up to 300 s", ""]
    await until_set(clock, asyncio.Event(), told.append)
    assert clock.at == PATIENCE
    stopped = asyncio.Event()
    stopped.set()
    again = Settable(wall=0)
    await until_set(again, stopped, told.append)
    assert again.slept == 0
    right = Settable()
    told.clear()
    await until_set(right, asyncio.Event(), told.append)
    assert told == []


async def test_a_pipeline_by_arrival_starts_when_the_clock_is_set(tmp_path: Path) -> None:
    class SetLater(Settable):
        async def sleep(self, nanos: int) -> None:
            await asyncio.sleep(0.001)
            await super().sleep(nanos)
            if self.slept == 3:
                self.offset = NOW

    table = Table()
    made = PipelineSpec(
        "p",
        {"source": SourceSpec(Feed(Wire([[b'{"x":1}']], ends=True)))},
        {},
        {"sink": SinkSpec(("source",), Memory(table))},
    )
    clock = SetLater(wall=0)
    running = Running(made, tmp_path, clock)
    await asyncio.wait_for(running.run(), 20)
    assert clock.slept >= 3
    assert table.rows == [{"x": 1}]
