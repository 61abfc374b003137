"""Sources read without lingering in the moments before a window closes.

A source gathers for up to 20 ms, because waking up costs more than a message does; a broker that
waits for an acknowledgement by TCP before it sends the next small packet doubles that. Nobody
notices, but for the row that closes a window: everyone waits for that one. Rule: windows that
close more often than once a second of event time hurry nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgestream.clock import SECOND
from edgestream.graph import Graph

BEFORE = SECOND * 3 // 50
"""So long before a window closes (event time) reading hurries: twice what can be under way."""


class Hurry:
    """Watches the windows of one graph."""

    def __init__(self, graph: Graph) -> None:
        """Nothing closes yet."""
        self._steps = [node for node in graph.nodes.values() if node.operator.gathers]
        self._sources = [
            entry.component for name, entry in graph.entries.items() if graph.gathered(name)
        ]
        self._last = 0
        self._hurried = False

    def look(self) -> None:
        """Rows or the watermark have gone on: tell the sources what that means for them."""
        if not self._sources:
            return
        soonest = min(self._left(), default=None)
        soon = soonest is not None and soonest[0] <= BEFORE
        if soon and soonest is not None and soonest[1] != self._last:
            soon = abs(soonest[1] - self._last) >= SECOND
            self._last = soonest[1]
        elif soon:
            soon = self._hurried
        if soon != self._hurried:
            self._hurried = soon
            for source in self._sources:
                source.unhurried = not soon

    def _left(self) -> Iterator[tuple[int, int]]:
        """How far each step's watermark is from its next closing, and when that is."""
        for node in self._steps:
            due = node.operator.due()
            if due is not None and due > node.watermark:
                yield due - node.watermark, due
