"""The memory budget: new keys are set aside once it is reached, and counted; known ones go on."""

from pathlib import Path

import numpy as np
import pytest

from edgestream.batch import Batch, Strings
from edgestream.clock import SECOND
from edgestream.codecs.json import Json
from edgestream.component import OVERFLOW, Operator, Payloads
from edgestream.eventtime import Time
from edgestream.graph import build
from edgestream.operators.dedupe import Dedupe
from edgestream.operators.lag import Lag
from edgestream.operators.sort import Sort
from edgestream.operators.window import Window
from edgestream.runtime.flow import Flow
from edgestream.runtime.inbox import Item
from edgestream.saved import snapshot
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, StreamSpec
from tests.runtime.parts import Feed, Memory, Table, Wire

BLOCK = 4096


def flow(*steps: Operator, memory: str, aside: bool = False, delay: str = "0s") -> Flow:
    sinks = {"sink": SinkSpec(("steps",), Memory(Table()))}
    if aside:
        sinks["aside"] = SinkSpec(("steps.overflow",), Memory(Table()))
    source = SourceSpec(Feed(Wire()), None, Time("t", unit="s", delay=delay))
    streams = {"steps": StreamSpec(("source",), steps)}
    spec = PipelineSpec("test", {"source": source}, streams, sinks, memory=memory)
    return Flow(build(spec, Json()))


def give(flow: Flow, data: Payloads | Batch) -> list[tuple[str, Batch]]:
    item = Item("source", data, {})
    return flow.push(item, flow.read(item, 10**12), 10**12, 0).arrived


def block(keys: list[str], t: float = 1.0) -> Batch:
    columns = {"key": Strings.of(keys), "t": np.full(len(keys), t)}
    return Batch(columns, np.zeros(len(keys), np.int64))


def counts(arrived: list[tuple[str, Batch]]) -> dict[str, int]:
    rows = [row for sink, batch in arrived if sink == "sink" for row in batch.rows()]
    found: dict[str, int] = {}
    for row in rows:
        found[row["key"]] = found.get(row["key"], 0) + row["n"]
    return found


def resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


def test_a_flood_of_keys_is_set_aside_and_known_keys_are_counted_right() -> None:
    running = flow(
        Window(tumbling="1h", by="key", aggregate={"n": "count()", "mean": "mean(t)"}),
        memory="32MiB",
    )
    known = [b'{"key": "known-%d", "t": 1}' % k for k in range(96)]
    give(running, Payloads(known))
    before, peak, given = resident(), 0, 96
    for at in range(0, 1_000_000, 4000):
        flood = [b'{"key": "sensor-%d", "t": 2}' % key for key in range(at, at + 4000)]
        give(running, Payloads([*flood, *known]))
        given += len(flood) + len(known)
        peak = max(peak, resident())
    node = running.graph.nodes["steps.0"]
    held = node.operator.state_bytes()
    windows = counts(running.end("source", 0))
    refused = node.rows_out[OVERFLOW]
    assert refused + sum(windows.values()) == given
    assert {windows[f"known-{k}"] for k in range(96)} == {251}
    assert 50_000 < len(windows) < 400_000
    assert held < 48 << 20
    assert peak - before < 128 << 20
    (line,) = running.memory.warnings(0)
    assert f"{refused:,} rows of new keys" in line
    assert "window steps.0 holds" in line
    assert not list(running.memory.warnings(59 * SECOND))


@pytest.mark.parametrize(
    "step",
    [
        Window(tumbling="1h", by="key", aggregate={"n": "count()"}),
        Window(session="1h", by="key", aggregate={"n": "count()"}),
        Window(session="1h", max="2h", by="key", aggregate={"n": "count()"}),
    ],
)
def test_keys_whose_rows_still_wait_are_known(step: Window) -> None:
    running = flow(step, memory="1B", aside=True)
    give(running, block(["a", "b"]))
    running.memory.weigh()
    assert running.graph.nodes["steps.0"].full
    arrived = give(running, block(["a", "c", "b", "d"]))
    assert [batch["key"].to_list() for sink, batch in arrived if sink == "aside"] == [["c", "d"]]
    assert counts(running.end("source", 0)) == {"a": 2, "b": 2}
    assert not list(running.memory.warnings(0)), "somebody takes them"


@pytest.mark.parametrize("by", ["key", ["key", "t"], ["t", "key"]])
def test_steps_with_a_table_know_their_keys(by: str | list[str]) -> None:
    running = flow(Lag(column="t", by=by), memory="1B", aside=True)
    give(running, block(["a", "b"]))
    running.memory.weigh()
    arrived = give(running, block(["a", "c", "b"]))
    assert [(sink, batch["key"].to_list()) for sink, batch in arrived] == [
        ("aside", ["c"]),
        ("sink", ["a", "b"]),
    ]


def test_dedupe_takes_new_keys_again_once_old_ones_are_forgotten() -> None:
    running = flow(Dedupe(by="key", within="10s"), memory="200KiB", aside=True)
    give(running, block([f"k{n}" for n in range(BLOCK)]))
    arrived = give(running, block(["k1", "x"]))
    assert [(sink, len(batch)) for sink, batch in arrived] == [("aside", 1)]
    give(running, block(["k1"], t=100))
    give(running, block(["y"], t=100))
    running.tick(0)
    assert ("sink", ["z"]) in [
        (sink, batch["key"].to_list()) for sink, batch in give(running, block(["z"], t=100))
    ]


def test_after_a_restart_other_new_keys_may_be_refused_and_each_row_still_goes_one_way() -> None:
    """As docs/pipelines.md says: what is weighed are arrays, and those of a restart are smaller."""
    step = Window(tumbling="1h", by="key", aggregate={"n": "count()"})
    running = flow(step, memory="512KiB")
    given = [block([f"k{lap}-{n}" for n in range(1000)] + ["known"] * 24) for lap in range(12)]
    for one in given[:4]:
        give(running, one)
    states, marks = snapshot(running.graph), running.watermarks()
    before = running.graph.nodes["steps.0"].rows_out.get(OVERFLOW, 0)
    again = flow(step, memory="512KiB")
    again.restore(states, marks)
    for one in (running, again):
        for rows in given[4:]:
            give(one, rows)
    found = [counts(one.end("source", 0)) for one in (running, again)]
    refused = [one.graph.nodes["steps.0"].rows_out[OVERFLOW] for one in (running, again)]
    total = sum(map(len, given))
    assert sum(found[0].values()) + refused[0] == total
    assert sum(found[1].values()) + refused[1] == total - before
    assert found[0]["known"] == found[1]["known"] == 12 * 24


def test_a_step_below_its_share_is_never_full() -> None:
    running = flow(
        Sort(within="1s"),
        Window(tumbling="1h", by="key", aggregate={"n": "count()"}),
        memory="128KiB",
    )
    give(running, block([f"k{n}" for n in range(BLOCK)], t=1))
    give(running, block(["k0"], t=5))
    running.memory.weigh()
    assert not running.graph.nodes["steps.0"].full
    assert running.graph.nodes["steps.1"].full
    give(running, block(["k0", "new"], t=6))
    assert counts(running.end("source", 0))["k0"] == 3


def test_nothing_is_refused_within_the_budget_and_room_is_used_again() -> None:
    running = flow(
        Window(tumbling="1s", by="key", aggregate={"n": "count()"}), memory="1MiB", aside=True
    )
    for second in range(400):
        keys = [f"{second}-{n}" for n in range(50)]
        give(running, block(keys, t=second))
    assert OVERFLOW not in running.graph.nodes["steps.0"].rows_out
