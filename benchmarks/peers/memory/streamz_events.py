"""streamz, reading by reading; a function of one's own keeps the windows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import msgspec
from streamz import Stream

from benchmarks.answers import Windows, Work
from benchmarks.peers.memory.child import Row, from_rows, main
from benchmarks.peers.memory.plain import Event, Sessions, State, hopping, rows

Pane = tuple[int, dict[str, State]]


class Aligned:
    """Panes of ``size`` ms; `add` takes one reading and gives the panes that it closes."""

    def __init__(self, size: int, delay: int) -> None:
        """None yet."""
        self._size = size
        self._delay = delay
        self._panes: dict[int, dict[str, State]] = {}
        self._due = 0

    def add(self, event: Event) -> list[Pane]:
        """One reading."""
        start = event.ts - event.ts % self._size
        pane = self._panes.get(start)
        if pane is None:
            pane = self._panes[start] = {}
            self._due = min(self._panes) + self._size + self._delay
        value = event.temperature
        state = pane.get(event.device)
        if state is None:
            pane[event.device] = [1, value, value * value, value, value]
        else:
            state[0] += 1
            state[1] += value
            state[2] += value * value
            if value < state[3]:
                state[3] = value
            if value > state[4]:
                state[4] = value
        return self.close(event.ts) if event.ts >= self._due else []

    def close(self, front: int) -> list[Pane]:
        """The panes that end at ``front`` less the delay, or before."""
        closed = []
        while self._panes and front >= min(self._panes) + self._size + self._delay:
            first = min(self._panes)
            closed.append((first, self._panes.pop(first)))
        self._due = min(self._panes, default=front) + self._size + self._delay
        return closed


def run(payloads: Sequence[bytes], work: Work) -> Callable[[], Windows]:
    """All windows."""
    decode = msgspec.json.Decoder(Event).decode
    source = Stream()
    events = source.map(decode)
    out: list[Row] = []
    if work.kind == "session":
        sessions = Sessions(work.size, work.delay)
        events.map(lambda event: list(sessions.add((event,)))).filter(bool).sink(out.extend)
        for payload in payloads:
            source.emit(payload)
        return functools.partial(from_rows, [*out, *sessions.end()])
    aligned = Aligned(work.every, work.delay)
    panes: list[Pane] = []
    events.map(aligned.add).filter(bool).sink(panes.extend)
    for payload in payloads:
        source.emit(payload)
    panes += aligned.close(1 << 62)
    if work.kind == "tumbling":
        return functools.partial(from_rows, [row for pane in panes for row in rows(*pane)])
    return functools.partial(from_rows, list(hopping(panes, work.size, work.every)))


if __name__ == "__main__":
    main(run)
