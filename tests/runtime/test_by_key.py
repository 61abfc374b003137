"""``time: {by: …}`` through the graph: which steps go by keys, restarts, silence, forgetting."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from edgestream.batch import Batch, Strings
from edgestream.clock import SECOND
from edgestream.codecs.json import Json
from edgestream.component import Operator
from edgestream.errors import ConfigError
from edgestream.eventtime import Time
from edgestream.graph import build
from edgestream.operators.rename import Rename
from edgestream.operators.set import Set
from edgestream.operators.sort import Sort
from edgestream.operators.where import Where
from edgestream.operators.window import Window
from edgestream.packing import decode_state, encode_state
from edgestream.runtime.flow import Flow
from edgestream.runtime.inbox import Item
from edgestream.saved import snapshot
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, StreamSpec
from edgestream.window import fronts
from edgestream.window.fronts import Fronts
from tests.runtime.parts import Feed, Memory, Table, Wire

NOON = 1_000_000 * SECOND
DAY = 86_400
Rows = list[tuple[str, int]]
COUNT = {"n": "count()"}


class Line:
    """A flow under a clock turned by hand; seconds count from noon."""

    def __init__(self, *steps: Operator, sources: tuple[str, ...] = ("one",)) -> None:
        time = Time("t", unit="s", delay="2s", by="device")
        names = [f"step{at}" for at in range(len(steps))]
        feeds = [sources, *((name,) for name in names)]
        self.spec = PipelineSpec(
            "test",
            {name: SourceSpec(Feed(Wire()), None, time) for name in sources},
            {
                n: StreamSpec(feed, (step,))
                for n, feed, step in zip(names, feeds, steps, strict=False)
            },
            {
                "sink": SinkSpec((names[-1],), Memory(Table())),
                "late": SinkSpec((f"{names[-1]}.late",), Memory(Table())),
            },
        )
        self.flow = Flow(build(self.spec, Json()))
        self.now = 0
        self.out: dict[str, list[tuple[Any, ...]]] = {"sink": [], "late": []}

    def give(self, rows: Rows, source: str = "one", **more: Any) -> None:
        columns = {
            "device": Strings.of([device for device, _ in rows]),
            "t": np.array([t + 1_000_000 for _, t in rows]),
            **{name: np.full(len(rows), value) for name, value in more.items()},
        }
        item = Item(source, Batch(columns, np.zeros(len(rows), np.int64)), {})
        wall = NOON + self.now * SECOND
        got = self.flow.read(item, wall)
        self._take(self.flow.push(item, got, wall, self.now * SECOND).arrived)

    def wait(self, seconds: int) -> None:
        self.now += seconds
        self._take(self.flow.tick(self.now * SECOND))

    def restart(self) -> None:
        states = {
            name: decode_state(encode_state(state))
            for name, state in snapshot(self.flow.graph).items()
        }
        marks = json.loads(json.dumps(self.flow.watermarks()))
        self.flow = Flow(build(self.spec, Json()))
        self.flow.restore(states, marks)

    def left(self, sink: str = "sink") -> list[tuple[Any, ...]]:
        found, self.out[sink] = sorted(self.out[sink]), []
        return found

    def _take(self, arrived: list[tuple[str, Batch]]) -> None:
        for sink, batch in arrived:
            for row in batch.rows():
                if sink == "late":
                    self.out[sink].append((row["device"], int(row["t"]) - 1_000_000))
                else:
                    start = row.pop("window_start").timestamp() - 1_000_000
                    row.pop("window_end")
                    self.out[sink].append((*row.values(), int(start)))


def per_device(**more: Any) -> Window:
    return Window(**{"tumbling": "10s", "by": "device", "aggregate": COUNT, **more})


def test_a_device_a_day_behind_closes_its_own_windows_and_hurts_nobody() -> None:
    line = Line(per_device())
    line.give([("live", 1), ("back", 1 - DAY)])
    line.give([("live", 2), ("back", 9 - DAY), ("back", 15 - DAY)])
    assert line.left() == [("back", 2, -DAY)]
    line.give([("back", 3)])
    assert line.left() == [("back", 1, 10 - DAY)]
    line.give([("live", 12), ("back", 4)])
    assert line.left() == [("live", 2, 0)]
    assert line.left("late") == []


@pytest.mark.parametrize("again", [False, True])
def test_what_a_silent_device_kept_is_counted_but_for_windows_that_have_left(again: bool) -> None:
    line = Line(per_device())
    line.give([("a", 1), ("b", 1)])
    line.wait(45)
    assert line.left() == [("a", 1, 0), ("b", 1, 0)]
    line.wait(3600)
    if again:
        line.restart()
    line.give([("a", 2), ("a", 15), ("a", 3600)])
    assert line.left("late") == [("a", 2)]
    assert line.left() == [("a", 1, 10)]
    line.give([("a", 3620)])
    assert line.left() == [("a", 1, 3600)]


def test_a_row_far_ahead_moves_nothing_and_a_clock_from_1970_recovers() -> None:
    line = Line(per_device())
    line.give([("good", 1), ("ahead", 30 * DAY), ("booting", 5 - 1_000_000)])
    line.give([("good", 2), ("booting", 2), ("ahead", 3)])
    assert line.left() == [("booting", 1, -1_000_000)]
    line.give([("good", 12), ("booting", 12), ("ahead", 12)])
    assert line.left() == [("ahead", 1, 0), ("booting", 1, 0), ("good", 2, 0)]
    assert line.left("late") == []


@pytest.mark.parametrize(
    ("steps", "keyed"),
    [
        ([per_device()], True),
        ([Where("t > 0"), per_device(by=["device", "t"])], True),
        ([Rename(columns={"device": "name"}), per_device(by="name")], True),
        ([per_device(by=["t"])], False),
        ([per_device(by=[])], False),
        ([Set(columns={"device": "'x'"}), per_device()], False),
        ([Sort(), per_device()], False),
        ([per_device(), per_device(tumbling="20s")], True),
        ([per_device(by=["t"]), per_device(by="t")], False),
    ],
)
def test_a_window_goes_by_keys_where_it_knows_them(steps: list[Operator], keyed: bool) -> None:
    nodes = list(Line(*steps).flow.graph.nodes.values())
    assert bool(nodes[-1].by_key) is keyed


def test_two_windows_one_after_the_other_lose_nothing() -> None:
    second = per_device(tumbling="20s", aggregate={"n": "sum(n)"})
    line = Line(per_device(), second, sources=("one", "two"))
    line.give([("live", 1), ("back", 1 - DAY)], "one")
    line.give([("live", 5)], "two")
    for at in range(2, 60):
        line.give([("back", at - DAY)], "one")
    line.give([("live", 29)], "one")
    line.give([("live", 30)], "two")
    assert line.left() == [("back", 19, -DAY), ("back", 20, 20 - DAY), ("live", 2, 0)]
    assert line.left("late") == []


def test_what_is_not_keyed_goes_by_the_devices_near_the_foremost() -> None:
    line = Line(Where("t > 0"), per_device(by=[]))
    line.give([("a", 1), ("slow", -5), ("back", -DAY)])
    line.give([("a", 15)])
    assert line.left() == [(1, -86_400)]
    line.give([("slow", 5)])
    assert line.left() == [(1, -10)]
    assert line.left("late") == []


def test_a_row_goes_by_all_sources_that_know_its_device() -> None:
    line = Line(per_device(), sources=("one", "two"))
    line.give([("a", 1)], "one")
    line.give([("a", 2), ("b", 2)], "two")
    line.give([("a", 20), ("b", 20)], "one")
    assert line.left() == []
    line.give([("a", 20)], "two")
    assert line.left() == [("a", 2, 0)]


def test_silent_devices_are_forgotten_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "_FEW", 8)
    line = Line(per_device())
    line.give([(f"d{n}", 1) for n in range(20)])
    line.wait(2 * DAY)
    line.give([("d3", 2 * DAY), ("new", 2 * DAY)])
    marks = line.flow.graph.entries["one"].watermark
    assert isinstance(marks, Fronts)
    line.give([("d3", 2 * DAY + 1), ("new", 2 * DAY + 1)])
    assert len(marks.reached.marks) == 2  # type: ignore[arg-type]
    line.left()
    line.give([("d3", 2 * DAY + 30), ("d7", DAY), ("d7", DAY + 20)])
    line.give([("d7", DAY + 32)])
    assert line.left() == [("d3", 2, 2 * DAY), ("d7", 1, DAY), ("d7", 1, DAY + 20)]


def test_columns_of_by_must_be_there() -> None:
    with pytest.raises(ConfigError, match="twice"):
        Time("t", by=["device", "device"])
    time = Time("t", by=["nothing"])
    assert time.by == ("nothing",)
