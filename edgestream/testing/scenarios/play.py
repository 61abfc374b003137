"""Playing a test: the real graph, codecs and watermarks under a clock turned by hand.

No source or sink is opened; a sink that is down has a real spool (`outages`). The clock ticks as
that of the runtime does, because a step that is fed by another sees its rows only between two
ticks; where nothing would leave any step for a while, all ticks of it are made one.
"""

from __future__ import annotations

import copy
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from edgestream.clock import SECOND
from edgestream.codecs.json import Json
from edgestream.component import Codec
from edgestream.config.values import nanos
from edgestream.graph import Arrived, build
from edgestream.packing import decode_state, encode_state
from edgestream.runtime.flow import Flow
from edgestream.runtime.inbox import Item
from edgestream.saved import snapshot
from edgestream.scenario import ONLY, Given, Row, Scenario
from edgestream.spec import PipelineSpec
from edgestream.store.letters import DeadLetter
from edgestream.testing.scenarios.give import give
from edgestream.testing.scenarios.outages import next_end, sinks_of

TICK = SECOND // 10
FIRST_STEPS = 512
"""Ticks made one by one before looking whether as many can be made one: about what a look costs."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came out: the rows of each sink in the order they came, and dead letters.

    ``keys`` names the columns that identify a row of a sink, ``dropped`` counts the rows that its
    spool had no room for.
    """

    rows: dict[str, list[Row]]
    keys: dict[str, tuple[str, ...]]
    letters: list[DeadLetter] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)


def play(spec: PipelineSpec, scenario: Scenario, allowed: Sequence[str] = ()) -> Played:
    """Play a test; raises whatever a step raises."""
    stage = _Stage(spec, scenario, allowed)
    moments: list[tuple[int, int, Given | None]] = [
        (at, 0, given) for at, given in scenario.blocks
    ] + [(nanos(at), 1, None) for at in scenario.restart_at]
    for at, _, given in sorted(moments, key=lambda moment: moment[:2]):
        stage.go_on(at)
        if given is None:
            stage.restart()
        else:
            stage.give(given)
    stage.go_on(scenario.lasts + 1)
    if scenario.end:
        stage.end()
    return stage.finished()


class _Stage:
    """A pipeline under a clock of its own, which starts at 0."""

    def __init__(self, spec: PipelineSpec, scenario: Scenario, allowed: Sequence[str]) -> None:
        self._spec = spec
        self._began = scenario.began
        self._allowed = allowed
        self._flow = self._fresh()
        self._sinks = sinks_of(spec.sinks, scenario.faults, scenario.began)
        self._letters: list[DeadLetter] = []
        self._read: deque[Item] = deque()
        self._codecs: dict[str, Codec] = {
            name: (source.decode or Json()).fresh() for name, source in spec.sources.items()
        }
        self._now = 0
        self._ticks = 0
        self._items = 0

    def give(self, given: Given) -> None:
        """Rows arrive: they wake the loop, which looks at the clock first, or wait with others."""
        source = next(iter(self._spec.sources)) if given.source == ONLY else given.source
        now = self._began + self._now
        entry = self._flow.graph.entries[source]
        data = give(entry, self._codecs[source], given, self._began, now)
        self._items += 1
        if not self._read and not self._held(self._now):
            self._take(self._flow.tick(self._now), self._now)
        self._read.append(Item(source, data, {"seq": self._items}))
        self._process(self._now)

    def go_on(self, moment: int) -> None:
        """Let the clock go on to ``moment``, with all ticks before it."""
        last = -(-moment // TICK)
        one_by_one = FIRST_STEPS
        while self._ticks < last:
            for _ in range(min(one_by_one, last - self._ticks)):
                self._tick(self._ticks * TICK)
                self._ticks += 1
            back = next_end(self._sinks, self._ticks * TICK)
            ahead = (last if back is None else min(last, back // TICK)) - 1 - self._ticks
            while ahead > FIRST_STEPS and not self._nothing_would_leave(self._ticks + ahead):
                ahead //= 2
            if ahead > FIRST_STEPS:
                self._ticks += ahead
                one_by_one = FIRST_STEPS
            else:
                one_by_one *= 2
        self._now = moment

    def restart(self) -> None:
        """Stop and go on from a checkpoint, with nothing but what it holds."""
        states = {
            name: decode_state(encode_state(state))
            for name, state in snapshot(self._flow.graph).items()
        }
        watermarks = json.loads(json.dumps(self._flow.watermarks()))
        ids = {name: [chunk.data] for name, chunk in self._flow.ids().items()}
        self._flow = self._fresh()
        self._flow.restore(states, watermarks)
        self._flow.recall(ids, anew=True)

    def end(self) -> None:
        """All sources end."""
        for source in self._spec.sources:
            self._take(self._flow.end(source, self._now), self._now)

    def finished(self) -> Played:
        """What came out."""
        exits = self._flow.graph.exits
        return Played(
            {name: sink.arrived for name, sink in self._sinks.items()},
            {name: exit_.keys for name, exit_ in exits.items()},
            self._letters,
            {name: sink.dropped for name, sink in self._sinks.items()},
        )

    def _tick(self, now: int) -> None:
        """The clock ticks, unless a sink that is down holds everything."""
        for sink in self._sinks.values():
            sink.come_back(now)
        if not self._held(now):
            self._process(now)
            self._take(self._flow.tick(now), now)

    def _process(self, now: int) -> None:
        """What was read goes through, as far as no sink holds it."""
        while self._read and not self._held(now):
            item, wall = self._read.popleft(), self._began + now
            passed = self._flow.push(item, self._flow.read(item, wall), wall, now)
            self._letters += passed.letters
            self._take(passed.arrived, now)

    def _held(self, now: int) -> bool:
        return any(sink.holds(now) is not None for sink in self._sinks.values())

    def _fresh(self) -> Flow:
        return Flow(build(self._spec, Json(), self._allowed))

    def _take(self, arrived: Arrived, now: int) -> None:
        self._letters += self._flow.letters(self._began + now)
        for sink, batch in arrived:
            self._sinks[sink].take(batch, now)

    def _nothing_would_leave(self, tick: int) -> bool:
        """Whether no step gives anything up to a tick: tried on a copy of all steps.

        What leaves a step by then leaves it as well when the clock gets there at once.
        """
        tried, flow = self._fresh(), self._flow
        tried.restore(snapshot(flow.graph), {})
        for name, entry in flow.graph.entries.items():
            tried.graph.entries[name].watermark = copy.copy(entry.watermark)
        for name, node in flow.graph.nodes.items():
            tried.graph.nodes[name].watermark = node.watermark
        tried.tick(tick * TICK)
        return not any(node.rows_out for node in tried.graph.nodes.values())
