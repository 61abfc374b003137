"""Comparing what an engine at a broker answered with what was sent, and how long it took."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace

import numpy as np

from benchmarks.answers import Windows, Work, compare, truth
from benchmarks.data import Data
from benchmarks.listener import Listener
from benchmarks.peers.live.engine import Engine, Job, Row

_WHOLE = 1 << 50  # one window for all times


def progress(engine: Engine, job: Job) -> int:
    """How many readings the rows of windows hold so far."""
    if engine.counted:
        found = job.select(engine.counted)
        return int(found[0][0] or 0) if found else 0
    return sum(row[2] for row in engine.rows(job)) if engine.rows else 0


def counted(data: Data, engine: Engine, job: Job) -> dict[str, float]:
    """Readings that no window holds, and windows that are wrong.

    An engine whose windows go by arrival is held to the sum of its windows for each device.
    """
    rows = engine.rows(job) if engine.rows else []
    by_time = bool(rows) and rows[0][1] is not None
    size = job.size if by_time else _WHOLE
    expected = truth(data, Work("tumbling", size, size))
    expected = replace(expected, stddev=np.full(len(expected), np.nan))
    found = _windows(rows if by_time else _summed(rows))
    return {
        "lost": float(len(data) - int(found.n.sum())),
        "wrong": float(compare(expected, found)),
        "windows": float(len(rows)),
    }


def _summed(rows: list[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for device, _, n, mean, low, high in rows:
        if device in found:
            _, _, m, other, least, greatest = found[device]
            both = (n * mean + m * other) / (n + m)
            row = (device, 0, n + m, both, min(low, least), max(high, greatest))
        else:
            row = (device, 0, n, mean, low, high)
        found[device] = row
    return list(found.values())


def _windows(rows: list[Row]) -> Windows:
    device, start, n, mean, low, high = list(zip(*rows, strict=True)) or [()] * 6
    return Windows(
        np.array([int(name[7:]) for name in device], np.int64),
        np.array(start, np.int64),
        np.array(n, np.int64),
        np.array(mean, float),
        np.array(low, float),
        np.array(high, float),
        np.full(len(rows), np.nan),
    )


def filtered(data: Data, engine: Engine, listener: Listener, *, latency: bool) -> dict[str, float]:
    """Answers that are missing, and such as nobody asked for; how long they took."""
    assert engine.reading is not None
    passed = data.hundredths > 2_000
    rows = zip(
        data.device[passed].tolist(),
        data.ts[passed].tolist(),
        (data.temperature[passed] * 1.8 + 32).tolist(),
        strict=True,
    )
    expected = Counter((f"sensor-{device:04d}", ts, round(f, 4)) for device, ts, f in rows)
    found: Counter[tuple[str, int, float]] = Counter()
    took = []
    for at, payload in listener.answers():
        device, ts, fahrenheit = engine.reading(json.loads(payload))
        found[device, ts, round(fahrenheit, 4)] += 1
        took.append(at * 1000 - ts)
    figures = {
        "lost": float((expected - found).total()),
        "wrong": float((found - expected).total()),
    }
    return figures | (_quantiles(took) if latency else {})


def _quantiles(took: list[float]) -> dict[str, float]:
    if not took:
        return {}
    p50, p99 = np.quantile(took, [0.5, 0.99])
    return {"p50 ms": float(p50), "p99 ms": float(p99), "max ms": max(took)}


class Watcher:
    """Looks at the database every 2 ms, while it is entered: when is a window's end in it?"""

    def __init__(self, engine: Engine, job: Job) -> None:
        """Nothing seen yet."""
        self._query = engine.last_end
        self._event_time = engine.event_time
        self._job = job
        self._seen: list[tuple[int, float]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._done.set()
        self._thread.join()

    def figures(self, delay: int) -> dict[str, float]:
        """From the earliest moment at which a window can close to when its row can be read.

        That is its end, and for windows of event time ``delay`` later. The first window and the
        last, which closes because nothing more comes, are left out.
        """
        late = delay if self._event_time else 0
        return _quantiles([at * 1000 - end * 1000 - late for end, at in self._seen[1:-1]])

    def _watch(self) -> None:
        with closing(sqlite3.connect(self._job.database)) as connection:
            version, last = None, 0
            while not self._done.wait(0.002):
                now = connection.execute("PRAGMA data_version").fetchone()
                if now == version:
                    continue
                version = now
                found = self._job.select(self._query)
                end = int(found[0][0] or 0) if found else 0
                if end > last:
                    self._seen.append((end, time.time()))
                    last = end
