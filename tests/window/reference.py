"""What windows must give, in plain Python: one row at a time, every row kept, exact numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

SECOND = 1_000_000_000
NEVER = -(2**63)


@dataclass(frozen=True)
class Row:
    """One row: time in ns, key and values by column."""

    time: int
    key: Any
    values: dict[str, Any]


def aggregates(rows: list[Row]) -> dict[str, Any]:
    """n, n_x, sum, mean, min, max, stddev, first, last of x, first and last of the text s."""
    ordered = sorted(rows, key=lambda row: row.time)  # stable: ties by arrival
    xs = [row.values["x"] for row in ordered if row.values["x"] is not None]
    texts = [row.values["s"] for row in ordered if row.values["s"] is not None]
    latest = max((row.time for row in ordered if row.values["x"] is not None), default=0)
    latest_s = max((row.time for row in ordered if row.values["s"] is not None), default=0)
    last = [r.values["x"] for r in ordered if r.time == latest and r.values["x"] is not None]
    last_s = [r.values["s"] for r in ordered if r.time == latest_s and r.values["s"] is not None]
    return {
        "n": len(rows),
        "n_x": len(xs),
        "sum": _sum(xs),
        "mean": _divided(_sum(xs), len(xs)),
        "min": min(xs, default=None),
        "max": max(xs, default=None),
        "stddev": _stddev(xs),
        "first": xs[0] if xs else None,
        "last": last[-1] if xs else None,
        "first_s": texts[0] if texts else None,
        "last_s": last_s[-1] if texts else None,
    }


def scale(rows: list[Row]) -> float:
    """What errors of sums are measured by."""
    xs = [abs(row.values["x"]) for row in rows if row.values["x"] is not None]
    return max(1.0, math.fsum(x for x in xs if math.isfinite(x)))


def _sum(xs: list[float]) -> float | None:
    if not xs or (math.inf in xs and -math.inf in xs):
        return None
    infinite = [x for x in xs if math.isinf(x)]
    return infinite[0] if infinite else float(sum(Fraction(x) for x in xs))


def _divided(total: float | None, count: int) -> float | None:
    return None if total is None else total / count


def _stddev(xs: list[float]) -> float | None:
    if len(xs) < 2 or any(math.isinf(x) for x in xs):
        return None
    mean = sum(Fraction(x) for x in xs) / len(xs)
    return math.sqrt(sum((Fraction(x) - mean) ** 2 for x in xs) / (len(xs) - 1))


@dataclass
class Result:
    """One emitted row."""

    start: int
    end: int
    key: Any
    rows: list[Row]


class AlignedReference:
    """Tumbling and hopping windows."""

    def __init__(self, size: int, every: int, late: int) -> None:
        self.size, self.every, self.late = size, every, late
        self.watermark = NEVER
        self.content: dict[tuple[int, Any], list[Row]] = {}
        self.changed: set[tuple[int, Any]] = set()

    def process(self, row: Row) -> bool:
        """Take a row; False where it is too late."""
        starts = []
        start = row.time // self.every * self.every
        while start + self.size > row.time:
            starts.append(start)
            start -= self.every
        live = [s for s in starts if s + self.size + self.late > self.watermark]
        for start in live:
            self.content.setdefault((start, row.key), []).append(row)
            self.changed.add((start, row.key))
        return bool(live)

    def advance(self, watermark: int) -> list[Result]:
        self.watermark = max(self.watermark, watermark)
        leaving = [w for w in self.changed if w[0] + self.size <= self.watermark]
        self.changed -= set(leaving)
        out = [Result(s, s + self.size, key, list(self.content[s, key])) for s, key in leaving]
        for window in list(self.content):
            if window[0] + self.size + self.late <= self.watermark:
                del self.content[window]
        return out


def hopping(size: int, every: int) -> tuple[dict[str, str], Callable[[int], AlignedReference]]:
    """The settings of hopping windows, in seconds, and their reference by allowed lateness."""
    fields = {"hopping": f"{size}s", "every": f"{every}s"}
    return fields, lambda late: AlignedReference(size * SECOND, every * SECOND, late)


ALIGNED: dict[str, tuple[dict[str, str], Callable[[int], AlignedReference]]] = {
    "tumbling": (
        {"tumbling": "10s"},
        lambda late: AlignedReference(10 * SECOND, 10 * SECOND, late),
    ),
    "hopping": hopping(12, 4),
    "uneven": hopping(10, 4),
    "many panes": hopping(40, 2),
}


@dataclass
class _Session:
    key: Any
    rows: list[Row] = field(default_factory=list)
    changed: bool = True
    shown: int = 0

    @property
    def start(self) -> int:
        return min(row.time for row in self.rows)

    @property
    def last(self) -> int:
        return max(row.time for row in self.rows)


class SessionReference:
    """Sessions; with ``most``, rows are held until the watermark and taken in order of time.

    Those that come after the watermark are then taken one by one as they come.
    """

    def __init__(self, gap: int, most: int, late: int) -> None:
        self.gap, self.most, self.late = gap, most, late
        self.watermark = NEVER
        self.sessions: list[_Session] = []
        self.held: list[Row] = []

    def process(self, row: Row) -> bool:
        """Take a row; False where it is too late."""
        if self.most:
            if row.time < self.watermark:
                return self._insert(row)
            self.held.append(row)
            return True
        near = [
            s
            for s in self.sessions
            if s.key == row.key and s.start - self.gap < row.time < s.last + self.gap
        ]
        if not near and row.time + self.gap + self.late <= self.watermark:
            return False
        joined = _Session(row.key, [r for s in near for r in s.rows] + [row])
        self.sessions = [s for s in self.sessions if s not in near] + [joined]
        return True

    def _insert(self, row: Row) -> bool:
        """A late row: it goes on with the first session, by start, that stays short enough."""
        near = [
            s
            for s in sorted(self.sessions, key=lambda session: session.start)
            if s.key == row.key and s.start - self.gap < row.time < s.last + self.gap
        ]
        fits = any(max(s.last, row.time) - min(s.start, row.time) < self.most for s in near)
        if row.time + self.gap + self.late <= self.watermark and not fits:
            return False
        made: list[_Session] = []
        for s in sorted([*near, _Session(row.key, [row])], key=lambda session: session.start):
            before = made[-1] if made else s
            close = made and s.start - before.last < self.gap
            if close and max(s.last, before.last) - before.start < self.most:
                changed = before.changed or s.changed
                made[-1] = _Session(row.key, before.rows + s.rows, changed)
            else:
                made.append(s)
        self.sessions = [s for s in self.sessions if s not in near] + made
        return True

    def advance(self, watermark: int) -> list[Result]:
        ready = [row for row in self.held if row.time < watermark]
        self.held = [row for row in self.held if row.time >= watermark]
        for row in sorted(ready, key=lambda row: row.time):
            self._extend(row)
        self.watermark = max(self.watermark, watermark)
        out = []
        for session in list(self.sessions):
            end = self.end(session)
            if end <= self.watermark and session.changed:
                session.changed = False
                out.append(Result(session.start, end, session.key, list(session.rows)))
            if end + self.late <= self.watermark:
                self.sessions.remove(session)
        return out

    def end(self, session: _Session) -> int:
        end = session.last + self.gap
        return min(end, session.start + self.most) if self.most else end

    def _extend(self, row: Row) -> None:
        for session in self.sessions:
            if session.key != row.key or row.time - session.last >= self.gap:
                continue
            if row.time - session.start < self.most:
                session.rows.append(row)
                session.changed = True
                return
        self.sessions.append(_Session(row.key, [row]))
