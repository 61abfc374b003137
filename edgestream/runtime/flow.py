"""What becomes of what was read: decoded, pushed through the graph, followed by the watermark.

Nothing here waits, stores or knows what time it is: the caller says. `Task` does this with what
the readers bring, the tests of a pipeline with the rows they give and a clock turned by hand.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgestream.batch import Batch, Strings, to_python
from edgestream.component import Payloads, State
from edgestream.eventid import Chunk
from edgestream.eventtime import ENDED
from edgestream.graph import REJECTED, Arrived, Graph
from edgestream.runtime.blocks import origin, received, rows
from edgestream.runtime.decode import Read, read
from edgestream.runtime.hurry import Hurry
from edgestream.runtime.inbox import Item
from edgestream.runtime.memory import Memory
from edgestream.saved import restore
from edgestream.store.tables import DeadLetter


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
        self._hurry = Hurry(graph)

    def read(self, item: Item, now: int) -> Read:
        """Decode an item and give its rows their times."""
        return read(self.graph.entries[item.source], item.data, received(item, now))

    def push(self, item: Item, got: Read, now: int, monotonic: int) -> Passed:
        """Send what was read through; the watermark follows."""
        entry = self.graph.entries[item.source]
        arrived: Arrived = []
        letters = self._refuse(item, got.rejected, now, arrived) if got.rejected else []
        came = received(item, now)
        latest = came if isinstance(came, int) else int(came[-1])
        for batch in rows(got.batch):
            if len(batch):
                arrived += self.graph.push(item.source, batch)
            entry.watermark.see(batch, latest, monotonic)
            arrived += self._advance(monotonic)
            self.memory.note(len(batch))
        self._hurry.look()
        return Passed(arrived, letters)

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
                ids.load(chunks.get(f"{name}.{kind}", ()), anew=anew)

    def restore(
        self,
        states: Mapping[str, State],
        watermarks: Mapping[str, list[int]],
        accept: Collection[str] = (),
    ) -> None:
        """Go on from a checkpoint; state in ``accept`` may be lost."""
        restore(self.graph, states, accept)
        for name, saved in watermarks.items():
            if name in self.graph.entries:
                self.graph.entries[name].watermark.restore(saved)
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

    def _refuse(
        self, item: Item, reasons: Mapping[int, str], now: int, arrived: Arrived
    ) -> list[DeadLetter]:
        """What could not be read: to the port of the source, or to dead letters."""
        entry = self.graph.entries[item.source]
        entry.rejected += len(reasons)
        data = [_bytes_of(item.data, row) for row in reasons]
        if REJECTED in entry.targets:
            texts = [raw.decode("utf-8", "backslashreplace") for raw in data]
            columns = {"payload": Strings.of(texts), "reason": Strings.of(list(reasons.values()))}
            times = np.full(len(texts), now, np.int64)
            arrived += self.graph.push(item.source, Batch(columns, times), REJECTED)
            return []
        return [
            DeadLetter(now, item.source, "decode", json.dumps(origin(item, row)), reason, raw)
            for (row, reason), raw in zip(reasons.items(), data, strict=True)
        ]


def _bytes_of(data: Payloads | Batch, row: int) -> bytes:
    """What a rejected row was, as bytes."""
    if isinstance(data, Payloads):
        return bytes(data.payloads[row])
    values = {name: to_python(column[row : row + 1])[0] for name, column in data.columns.items()}
    return json.dumps(values, default=str).encode()
