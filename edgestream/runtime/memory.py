"""The memory budget of a pipeline: what its steps hold is weighed between two blocks.

Rule: above the budget, steps that hold more than an equal share of it take no new keys until they
hold less; their rows leave by the port ``overflow``. All other rows go on as ever. Codecs give up
the texts they remember first. Nothing is refused while the budget is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgestream.clock import SECOND
from edgestream.component import OVERFLOW
from edgestream.config.values import Bytes, nbytes
from edgestream.graph import Graph, Node

OFTEN = 4096
"""After so many rows the state is weighed; it cannot have grown by much more than these."""
MINUTE = 60 * SECOND
_TEXTS = 8
"""Above the budget, a codec gives up its texts from this part of the budget on."""


class Memory:
    """What the steps of one graph hold, against its budget."""

    def __init__(self, graph: Graph) -> None:
        """Weigh this graph."""
        self._graph = graph
        self._most = nbytes(graph.spec.memory)
        self._rows = 0
        self._told: dict[str, int] = {}
        self._told_at: int | None = None

    def note(self, rows: int) -> None:
        """Rows have passed: weigh once they are many."""
        self._rows += rows
        if self._rows >= OFTEN:
            self.weigh()

    def tick(self) -> None:
        """Time has passed: what is held may have become less."""
        if self._rows or any(node.full for node in self._graph.nodes.values()):
            self.weigh()

    def weigh(self) -> None:
        """Look at what is held, and say which steps are full."""
        self._rows = 0
        nodes = self._graph.nodes.values()
        held = {node.id: node.operator.state_bytes() for node in nodes}
        over = sum(held.values()) + self._texts() > self._most
        if over:
            over = sum(held.values()) + self._texts(shrink=True) > self._most
        share = self._most / max(1, sum(size > 0 for size in held.values()))
        for node in nodes:
            node.full = over and held[node.id] > share

    def warnings(self, monotonic: int) -> Iterator[str]:
        """A line for each step whose rows were dropped since the last one, one a minute."""
        if self._told_at is not None and monotonic - self._told_at < MINUTE:
            return
        for node in self._graph.nodes.values():
            dropped = node.rows_out.get(OVERFLOW, 0)
            new = dropped - self._told.get(node.id, 0)
            if new and not node.targets.get(OVERFLOW):
                self._told[node.id], self._told_at = dropped, monotonic
                yield _warning(node, new, self._most)

    def _texts(self, *, shrink: bool = False) -> int:
        """The bytes of texts that codecs remember, and of the watermarks of devices."""
        total = 0
        for entry in self._graph.entries.values():
            total += entry.watermark.nbytes
            size = entry.codec.state_bytes()
            if shrink and size > self._most // _TEXTS:
                entry.codec.shrink()
                size = entry.codec.state_bytes()
            total += size
        return total


def _warning(node: Node, rows: int, most: int) -> str:
    keys, size = node.operator.state_keys(), Bytes(node.operator.state_bytes())
    return (
        f"{node.operator.about.name} {node.id} holds {keys:,} keys, {size}, and memory: is "
        f"{Bytes(most)}; {rows:,} rows of new keys were set aside: raise memory:, let it hold "
        "fewer keys or a shorter time, or take the rows from its port overflow"
    )
