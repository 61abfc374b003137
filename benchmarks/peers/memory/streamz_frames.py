"""streamz: partitions of 10,000 payloads, aggregated by pandas; sessions by a loop over each.

streamz has no windows of event time, so a function of one's own keeps them. Partitions are what it
does best: reading by reading it takes three times as long.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import msgspec
import pandas as pd
from streamz import Stream

from benchmarks.answers import Windows, Work
from benchmarks.peers.memory.child import Row, from_rows, main, numbers
from benchmarks.peers.memory.plain import Event, Sessions

PARTITION = 10_000
_MERGE = {"n": "sum", "total": "sum", "squares": "sum", "min": "min", "max": "max"}


def run(payloads: Sequence[bytes], work: Work) -> Callable[[], Windows]:
    """All windows."""
    return _sessions(payloads, work) if work.kind == "session" else _frames(payloads, work)


def _sessions(payloads: Sequence[bytes], work: Work) -> Callable[[], Windows]:
    decoder = msgspec.json.Decoder(Event)
    sessions = Sessions(work.size, work.delay)
    out: list[Row] = []
    source = Stream()
    events = source.map(lambda part: decoder.decode_lines(b"\n".join(part)))
    events.map(sessions.add).sink(out.extend)
    for first in range(0, len(payloads), PARTITION):
        source.emit(payloads[first : first + PARTITION])
    out += sessions.end()
    return functools.partial(from_rows, out)


class Panes:
    """Partial aggregates by device and pane; `add` gives the windows that are complete."""

    def __init__(self, work: Work) -> None:
        """Nothing yet."""
        self._work = work
        self._parts: list[pd.DataFrame] = []
        self._front = 0
        self._done = 0

    def add(self, frame: pd.DataFrame) -> pd.DataFrame | None:
        """Take a partition."""
        value = frame["temperature"]
        frame = frame.assign(
            pane=frame["ts"] // self._work.every * self._work.every, square=value * value
        )
        by = frame.groupby(["device", "pane"], sort=False)
        values = by["temperature"]
        # one by one: `agg` with names takes a quarter more of everything
        part = pd.DataFrame(
            {
                "n": values.size(),
                "total": values.sum(),
                "squares": by["square"].sum(),
                "min": values.min(),
                "max": values.max(),
            }
        )
        self._parts.append(part.reset_index())
        self._front = max(self._front, int(frame["ts"].max()))
        passed = (self._front - self._work.delay) // self._work.every * self._work.every
        return self.close(passed) if passed > self._done else None

    def close(self, passed: int) -> pd.DataFrame | None:
        """The windows that end after those given before, up to ``passed``."""
        panes = pd.concat(self._parts)
        panes = panes.groupby(["device", "pane"], sort=False).agg(_MERGE).reset_index()
        size, every = self._work.size, self._work.every
        copies = [panes.assign(start=panes["pane"] - back) for back in range(0, size, every)]
        spread = pd.concat(copies)
        ends = spread["start"] + size
        spread = spread[(ends > self._done) & (ends <= passed)]
        # panes that no later window needs
        self._parts = [panes[panes["pane"] + size > passed]]
        self._done = passed
        if spread.empty:
            return None
        return spread.groupby(["device", "start"], sort=False).agg(_MERGE).reset_index()


def _frames(payloads: Sequence[bytes], work: Work) -> Callable[[], Windows]:
    decoder = msgspec.json.Decoder(Event)
    panes = Panes(work)
    out: list[pd.DataFrame] = []

    def decode(part: Sequence[bytes]) -> pd.DataFrame:
        events = decoder.decode_lines(b"\n".join(part))
        return pd.DataFrame(
            {
                "device": [event.device for event in events],
                "ts": [event.ts for event in events],
                "temperature": [event.temperature for event in events],
            }
        )

    source = Stream()
    closed = source.map(decode).map(panes.add)
    closed.filter(lambda rows: rows is not None).sink(out.append)
    for first in range(0, len(payloads), PARTITION):
        source.emit(payloads[first : first + PARTITION])
    rest = panes.close(1 << 62)
    rows = pd.concat(out if rest is None else [*out, rest])
    mean = rows["total"] / rows["n"]
    # of a single value it is 0/0: missing, as it should be
    spread = ((rows["squares"] - rows["total"] * mean) / (rows["n"] - 1)).clip(lower=0) ** 0.5
    columns = (mean, rows["min"], rows["max"], spread.where(rows["n"] > 1))
    return lambda: Windows(
        numbers(rows["device"]),
        rows["start"].to_numpy("int64"),
        rows["n"].to_numpy("int64"),
        *(column.to_numpy(float) for column in columns),
    )


if __name__ == "__main__":
    main(run)
