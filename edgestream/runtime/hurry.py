"""How long sources gather what comes: longest far from the end of a window, not just before it.

A source lingers, because waking up costs more than a message does: far from the end of a window
50 ms, else 20. A broker that waits for an acknowledgement by TCP before it sends the next small
packet doubles that. Nobody notices, but for the row that closes a window: everyone waits for that
one. Rule: windows that close more often than once a second of event time hurry nobody.

Where each key closes its windows by its own rows, the foremost key says when that begins, and the
others follow with their next rows: for a tenth of the time between two closings reading hurries on.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgestream.clock import SECOND
from edgestream.graph import Graph
from edgestream.operators.timed import Timed

AT_ONCE = 0.001
"""Seconds to gather where somebody waits for a single row."""
SOME = 0.02
"""Where nobody does, as what is read is journalled or only windows take it."""
LONG = 0.05
"""Where no window closes soon."""
BEFORE = SECOND * 3 // 50
"""So long before a window closes (event time) reading hurries: twice what can be under way."""
FOLLOWING = 10
"""For so many parts of the time between two closings the keys behind the foremost are awaited."""
FAR = SECOND // 4
"""So long before, nothing that is read after the longest gathering closes it."""


class Hurry:
    """Watches the windows of one graph."""

    def __init__(self, graph: Graph) -> None:
        """Nothing closes yet."""
        self._steps = [node for node in graph.nodes.values() if node.operator.gathers]
        self._sources = [
            entry.component for name, entry in graph.entries.items() if graph.gathered(name)
        ]
        self._last = 0
        self._now = 0.0
        self._closing: dict[str, tuple[int, int]] = {}
        """By step with watermarks of keys: what is due, and how far closings are apart."""
        self._tell(SOME)

    def look(self) -> None:
        """Rows or the watermark have gone on: tell the sources what that means for them."""
        if not self._sources:
            return
        soonest = min(self._left(), default=None)
        self._tell(SOME if soonest is None else self._for(*soonest))

    def _tell(self, seconds: float) -> None:
        if seconds != self._now:
            self._now = seconds
            for source in self._sources:
                source.gather_for = seconds

    def _for(self, left: int, due: int) -> float:
        if left > BEFORE:
            return LONG if left > FAR else SOME
        if due == self._last:
            return self._now
        often = abs(due - self._last) < SECOND
        self._last = due
        return SOME if often else AT_ONCE

    def _left(self) -> Iterator[tuple[int, int]]:
        """How far each step's watermark is from its next closing, and when that is."""
        for node in self._steps:
            due = node.operator.due()
            if due is None:
                continue
            mark = node.watermark
            if node.by_key and isinstance(node.operator, Timed):
                mark = node.operator.foremost()
                apart = self._apart(node.id, due)
                if 0 <= mark - (due - apart) < apart // FOLLOWING:
                    yield 0, due - apart
            if due > mark:
                yield due - mark, due

    def _apart(self, step: str, due: int) -> int:
        """How far closings of a step are apart; 0 before the second."""
        known, apart = self._closing.get(step, (due, 0))
        if due > known:
            apart = min(apart, due - known) if apart else due - known
        self._closing[step] = due, apart
        return apart
