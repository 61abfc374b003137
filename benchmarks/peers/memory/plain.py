"""Plain Python, written by hand for these windows: dictionaries, and msgspec for the JSON.

What somebody writes who needs no framework, as fast as it goes without numpy: hopping windows are
kept as panes of one hop and put together when they close.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from benchmarks.answers import Windows, Work
from benchmarks.peers.memory.child import Row, from_rows, main


class Event(msgspec.Struct, gc=False):
    """The fields that are used."""

    device: str
    ts: int
    temperature: float


State = list[float]
Panes = dict[int, dict[str, State]]


def run(payloads: Sequence[bytes], work: Work) -> Callable[[], Windows]:
    """All windows, in the order in which they close."""
    return functools.partial(from_rows, _all(payloads, work))


def _all(payloads: Sequence[bytes], work: Work) -> list[Row]:
    decode: Callable[[bytes], Event] = msgspec.json.Decoder(Event).decode
    events = map(decode, payloads)
    if work.kind == "session":
        sessions = Sessions(work.size, work.delay)
        return [*sessions.add(events), *sessions.end()]
    panes = aligned(events, work.every, work.delay)
    if work.kind == "tumbling":
        return [row for start, pane in panes for row in rows(start, pane)]
    return list(hopping(panes, work.size, work.every))


def aligned(
    events: Iterable[Event], size: int, delay: int
) -> Iterator[tuple[int, dict[str, State]]]:
    """Panes of ``size`` ms as the watermark passes them, oldest first."""
    panes: Panes = {}
    front = floor = due = 0
    for event in events:
        ts, value = event.ts, event.temperature
        start = ts - ts % size
        if start < floor:  # too late: none of the data sets has any
            continue
        pane = panes.get(start)
        if pane is None:
            pane = panes[start] = {}
            due = min(panes) + size + delay
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
        if ts > front:
            front = ts
            while front >= due:
                first = min(panes)
                floor = first + size
                yield first, panes.pop(first)
                due = min(panes, default=front) + size + delay
    for start in sorted(panes):
        yield start, panes[start]


def rows(start: int, pane: dict[str, State]) -> Iterator[Row]:
    """One row a device."""
    for device, (n, total, squares, low, high) in pane.items():
        yield device, start, int(n), total, squares, low, high


def hopping(panes: Iterable[tuple[int, dict[str, State]]], size: int, every: int) -> Iterator[Row]:
    """Windows of ``size`` from panes of ``every``."""
    kept: Panes = {}
    end = 0
    for start, pane in panes:
        while kept and end < start + every:
            yield from rows(end - size, _merged(kept, end - size))
            end += every
            kept.pop(end - size - every, None)
        kept[start] = pane
        end = start + every
    while kept:
        yield from rows(end - size, _merged(kept, end - size))
        kept.pop(end - size, None)
        end += every


def _merged(kept: Panes, start: int) -> dict[str, State]:
    whole: dict[str, State] = {}
    for at, pane in kept.items():
        if at < start:
            continue
        for device, state in pane.items():
            have = whole.get(device)
            if have is None:
                whole[device] = state.copy()
            else:
                merge(have, state)
    return whole


def merge(have: State, more: State) -> None:
    """Add one state to another."""
    have[0] += more[0]
    have[1] += more[1]
    have[2] += more[2]
    if more[3] < have[3]:
        have[3] = more[3]
    if more[4] > have[4]:
        have[4] = more[4]


class Sessions:
    """The open sessions of each device, which leave as the watermark passes their end."""

    def __init__(self, gap: int, delay: int) -> None:
        """None yet."""
        self._gap = gap
        self._delay = delay
        # of a device: [first, last, n, sum, squares, least, greatest]
        self._live: dict[str, list[State]] = {}
        self._front = 0
        self._look = 0

    def add(self, events: Iterable[Event]) -> Iterator[Row]:
        """Take events; the sessions that have ended."""
        live, gap = self._live, self._gap
        front, look = self._front, self._look
        for event in events:
            ts, value = event.ts, event.temperature
            mine = live.get(event.device)
            if mine is None:
                live[event.device] = [[ts, ts, 1, value, value * value, value, value]]
            elif len(mine) == 1 and mine[0][0] - gap < ts < mine[0][1] + gap:
                _grow(mine[0], ts, value)
            else:
                live[event.device] = _placed(mine, ts, value, gap)
            if ts > front:
                front = ts
                if front >= look:
                    # looking at all devices is dear: ten times a second of event time will do
                    look = front + 100
                    yield from _ended(live, front - self._delay - gap)
        self._front, self._look = front, look

    def end(self) -> Iterator[Row]:
        """Those still open."""
        yield from _ended(self._live, self._front)


def _grow(session: State, ts: float, value: float) -> None:
    if ts < session[0]:
        session[0] = ts
    elif ts > session[1]:
        session[1] = ts
    session[2] += 1
    session[3] += value
    session[4] += value * value
    if value < session[5]:
        session[5] = value
    if value > session[6]:
        session[6] = value


def _placed(mine: list[State], ts: float, value: float, gap: int) -> list[State]:
    """The sessions of a device with one more reading, which may join two of them."""
    new: State = [ts, ts, 1, value, value * value, value, value]
    apart = []
    for session in mine:
        if session[0] - gap < new[1] and new[0] < session[1] + gap:
            new[0], new[1] = min(new[0], session[0]), max(new[1], session[1])
            rest = new[2:]
            merge(rest, session[2:])
            new[2:] = rest
        else:
            apart.append(session)
    return [*apart, new]


def _ended(live: dict[str, list[State]], before: float) -> Iterator[Row]:
    for device in [name for name, mine in live.items() if mine[0][1] <= before or len(mine) > 1]:
        mine = live[device]
        for first, last, n, total, squares, low, high in mine:
            if last <= before:
                yield device, int(first), int(n), total, squares, low, high
        left = [session for session in mine if session[1] > before]
        if left:
            live[device] = left
        else:
            del live[device]


if __name__ == "__main__":
    main(run)
