"""What becomes of what was read: decoded, pushed through the graph, followed by the watermark.

Nothing here waits, stores or knows what time it is: the caller says. `Task` does this with what
the readers bring, the tests of a pipeline with the rows they give and a clock turned by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from edgestream.batch import Batch, Strings
from edgestream.component import State
from edgestream.eventid import Chunk
from edgestream.eventtime import ENDED
from edgestream.graph import REJECTED, Arrived, Graph
from edgestream.runtime.blocks import received, rows
from edgestream.runtime.decode import Read, read
from edgestream.runtime.hurry import Hurry
from edgestream.runtime.inbox import Item
from edgestream.runtime.letters import Letters
from edgestream.runtime.memory import Memory
from edgestream.saved import believed, restore
from edgestream.store.letters import DeadLetter, readable


@dataclass(frozen=True, slots=True)
class Passed:
    """What one item led to: rows at sinks, and dead letters."""

    arrived: Arrived
    letters: list[DeadLetter]


class Flow:
    """The way of rows through one graph; ``now`` is the wall clock, ``monotonic`` the other."""

    def __init__(self, graph: Graph) -> None:
        """Through this graph."""
        self.graph = graph
        self.memory = Memory(graph)
        self._maker = Letters(graph.spec)
        self._hurry = Hurry(graph)

    def read(self, item: Item, now: int, *, again: bool = False) -> Read:
        """Decode an item and give its rows their times; ``again``: its ids may be known already."""
        entry = self.graph.entries[item.source]
        return read(entry, item.data, received(item, now), again=again)

    def push(self, item: Item, got: Read, now: int, monotonic: int) -> Passed:
        """Send what was read through; the watermark follows."""
        entry = self.graph.entries[item.source]
        arrived: Arrived = []
        letters = self._refuse(item, got, now, arrived) if got.rejected else []
        came = received(item, now)
        latest = came if isinstance(came, int) else int(came[-1])
        for batch in rows(got.batch):
            if len(batch):
                arrived += self.graph.push(item.source, batch)
            entry.watermark.see(batch, latest, monotonic)
            arrived += self._advance(monotonic)
            self.memory.note(len(batch))
        self._hurry.look()
        return Passed(arrived, letters + self.letters(now, item.position))

    def tick(self, monotonic: int) -> Arrived:
        """Let the clock move the watermarks of silent sources."""
        for entry in self.graph.entries.values():
            entry.watermark.tick(monotonic)
        arrived = self._advance(monotonic)
        self.memory.tick()
        self._hurry.look()
        return arrived

    def end(self, source: str, monotonic: int) -> Arrived:
        """A source gives nothing more."""
        self.graph.entries[source].watermark.end()
        return self._advance(monotonic)

    def refused(
        self,
        sink: str,
        batch: Batch,
        reasons: Mapping[int, str],
        places: Mapping[int, Mapping[str, Any]],
        now: int,
    ) -> list[DeadLetter]:
        """Dead letters of rows that a sink refuses."""
        return self._maker.of_rows("write", sink, batch, reasons, places, now)

    def letters(
        self, now: int, position: Mapping[str, Any] = MappingProxyType({})
    ) -> list[DeadLetter]:
        """Dead letters of the rows on which steps failed since the last call."""
        refused, self.graph.refused = self.graph.refused, []
        return [
            letter
            for one in refused
            for letter in self._maker.of_rows(
                "operator",
                one.step,
                one.batch,
                one.reasons,
                dict.fromkeys(one.reasons, position),
                now,
            )
        ]

    def watermarks(self) -> dict[str, list[int]]:
        """How far each source has got, for a checkpoint."""
        return {name: entry.watermark.snapshot() for name, entry in self.graph.entries.items()}

    def ids(self) -> dict[str, Chunk]:
        """The ids of events that are new since the last checkpoint."""
        found = {
            f"{name}.{kind}": ids.fresh()
            for name, entry in self.graph.entries.items()
            for kind, ids in entry.ids.items()
        }
        return {name: chunk for name, chunk in found.items() if chunk is not None}

    def recall(self, chunks: Mapping[str, Sequence[bytes]], *, anew: bool) -> None:
        """Know the ids of earlier checkpoints; ``anew``: the next one has to hold them again."""
        for name, entry in self.graph.entries.items():
            for kind, ids in entry.ids.items():
                with believed(f"ids of {name}"):
                    ids.load(chunks.get(f"{name}.{kind}", ()), anew=anew)

    def restore(
        self,
        states: Mapping[str, State],
        watermarks: Mapping[str, list[int]],
        accept: Collection[str] = (),
    ) -> None:
        """Go on from a checkpoint; state in ``accept`` may be lost. Raises `DamagedState`."""
        restore(self.graph, states, accept)
        for name, saved in watermarks.items():
            if name in self.graph.entries:
                with believed(f"watermark of {name}"):
                    self.graph.entries[name].watermark.restore(saved)
        with believed("states of the steps, taken together,"):
            self.graph.settle()
        self.memory.weigh()

    def _advance(self, monotonic: int) -> Arrived:
        entries = self.graph.entries
        excluded = {name for name in entries if entries[name].watermark.excluded(monotonic)}
        if len(excluded) == len(entries):
            return []
        marks = {
            name: ENDED if name in excluded else entry.watermark.value
            for name, entry in entries.items()
        }
        return self.graph.advance(marks)

    def _refuse(self, item: Item, got: Read, now: int, arrived: Arrived) -> list[DeadLetter]:
        """What could not be read: to the port of the source, or to dead letters."""
        entry = self.graph.entries[item.source]
        entry.rejected += len(got.rejected)
        letters = self._maker.of_payloads(item, got, now)
        if REJECTED not in entry.targets:
            return letters
        columns = {
            "payload": Strings.of([readable(letter) for letter in letters]),
            "reason": Strings.of([letter.reason for letter in letters]),
        }
        times = np.full(len(letters), now, np.int64)
        arrived += self.graph.push(item.source, Batch(columns, times), REJECTED)
        return []
