import asyncio
import logging
from pathlib import Path

import pytest

from edgestream.batch import Batch
from edgestream.clock import SECOND, ManualClock
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.errors import Retry
from edgestream.operators.protocols import Refreshed
from edgestream.operators.where import Where
from edgestream.runtime.refresh import Refresher
from tests.runtime.parts import Memory, Table, Wire
from tests.runtime.test_running import message, pipeline, running, until


@component("stamped")
class Stamped(Operator):
    """Give each row the number of the load it saw."""

    seen: list = None  # type: ignore[type-arg,assignment]
    every: int = 0
    bad: frozenset = frozenset()  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        self.loads = 0
        self.taken = 0

    def refresh_every(self) -> int:
        return self.every

    def load(self) -> object:
        self.loads += 1
        if self.loads in self.bad:
            raise Retry("the table is away")
        return self.loads

    def take(self, loaded: object) -> None:
        assert isinstance(loaded, int)
        self.taken = loaded

    def process(self, batch: Batch) -> Outputs:
        if self.seen is not None:
            self.seen += [self.taken] * len(batch)
        return [(MAIN, batch)]


def refresher(operator: Stamped, clock: ManualClock) -> Refresher:
    return Refresher("x.0 stamped", operator, clock, logging.getLogger("test"))


async def turn(clock: ManualClock, done) -> None:  # type: ignore[no-untyped-def]
    """One round of refreshing; the load runs in a thread."""
    await clock.advance(SECOND)
    await until(done)
    await asyncio.sleep(0)


def test_which_operators_are_refreshed() -> None:
    assert isinstance(Stamped(), Refreshed)
    assert not isinstance(Where("true"), Refreshed)


async def test_it_is_read_again_and_again() -> None:
    operator, clock = Stamped(every=SECOND), ManualClock()
    made = refresher(operator, clock)
    await made.once()
    assert operator.taken == 1
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    for number in (2, 3):
        await turn(clock, lambda number=number: operator.taken == number)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_only_once_where_there_is_no_time_between() -> None:
    operator = Stamped()
    made = refresher(operator, ManualClock())
    await made.once()
    await made.run()
    assert operator.loads == 1


async def test_a_failure_keeps_what_was_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    operator = Stamped(bad=frozenset({2, 3}))
    made = refresher(operator, ManualClock())
    for taken in (1, 1, 1, 4):
        await made.once()
        assert operator.taken == taken
    assert [record.getMessage() for record in caplog.records] == [
        "x.0 stamped: the table is away; what was read before stays",
        "x.0 stamped: read again",
    ]


async def test_a_pipeline_reads_it_before_the_first_row(tmp_path: Path) -> None:
    seen: list[int] = []
    wire, sink = Wire([[message("a", 1)]]), Memory(Table())
    spec = pipeline(wire, sink, Stamped(seen=seen, every=SECOND // 100))
    async with running(spec, tmp_path) as made:
        await until(lambda: len(seen) == 1)
        operator = made.graph.nodes["steps.0"].operator
        assert isinstance(operator, Stamped)
        assert seen[0] >= 1
        await until(lambda: operator.taken >= 3)
        wire.blocks.append([message("a", 2)])
        await until(lambda: len(seen) == 2)
        assert seen[1] >= 3
