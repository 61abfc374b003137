"""What the other kinds of window must give, in plain Python: one row at a time, every row kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.window.reference import NEVER, SECOND, Result, Row, SessionReference

MICRO = 1000
ENDED = 2**63 - 1


class InTime:
    """Takes the rows of each key in the order of time, once the watermark has passed them."""

    def __init__(self, every: int = 0) -> None:
        self.watermark = NEVER
        self.every = every
        self.held: list[Row] = []
        self.out: list[Result] = []
        self.shown: dict[Any, int] = {}

    def process(self, row: Row) -> bool:
        if row.time < self.watermark:
            return False
        self.held.append(row)
        return True

    def advance(self, watermark: int) -> list[Result]:
        if watermark <= self.watermark:
            return []
        ready = sorted((r for r in self.held if r.time < watermark), key=lambda row: row.time)
        self.held = [row for row in self.held if row.time >= watermark]
        while self.every and (ready or self.changed()):
            since = self.watermark if self.changed() else max(self.watermark, ready[0].time)
            at = (since // self.every + 1) * self.every
            if at > watermark:
                break
            for row in [row for row in ready if row.time < at]:
                self.take(row)
            ready = [row for row in ready if row.time >= at]
            self.watermark = at
            self.pass_(at)
            self.early(at)
        for row in ready:
            self.take(row)
        self.watermark = watermark
        self.pass_(watermark)
        out, self.out = self.out, []
        return out

    def take(self, row: Row) -> None:
        raise NotImplementedError

    def pass_(self, watermark: int) -> None:
        """The watermark gets so far."""

    def changed(self) -> bool:
        return False

    def early(self, at: int) -> None:
        """What leaves early."""

    def start(self, row: Row) -> int:
        begin = max(row.time // MICRO * MICRO, self.shown.get(row.key, NEVER) + MICRO)
        self.shown[row.key] = begin
        return begin

    def emit(self, start: int, end: int, rows: list[Row]) -> None:
        self.out.append(Result(start, max(end, start + MICRO), rows[0].key, list(rows)))


def after(time: int) -> int:
    return (time // MICRO + 1) * MICRO


class SlidingReference(InTime):
    """For every moment of a key the rows up to it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.rows: list[Row] = []
        self.new: list[Row] = []

    def take(self, row: Row) -> None:
        self.rows.append(row)
        self.new.append(row)

    def pass_(self, watermark: int) -> None:
        for key, end in {(row.key, row.time): None for row in self.new}:
            inside = [r for r in self.rows if r.key == key and end - self.size < r.time <= end]
            self.out.append(Result(end - self.size, end, key, inside))
        self.new = []


class _Open:
    """The open window of a key."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.rows: list[Row] = []
        self.changed = False

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self.changed = True


class OpenReference(InTime):
    """Windows that are cut one after another."""

    def __init__(self, most: int = 0, every: int = 0) -> None:
        super().__init__(every)
        self.most = most
        self.open: dict[Any, _Open] = {}

    def expire(self, moment: int) -> None:
        for key, one in list(self.open.items()):
            if self.most and one.rows[0].time + self.most <= moment:
                self.close(key, one.rows[0].time + self.most)
            elif moment == ENDED:
                self.close(key, after(one.rows[-1].time))

    def close(self, key: Any, end: int) -> None:
        one = self.open.pop(key)
        self.emit(one.start, end, one.rows)

    def pass_(self, watermark: int) -> None:
        self.expire(watermark)

    def changed(self) -> bool:
        return any(one.changed for one in self.open.values())

    def early(self, at: int) -> None:
        for one in self.open.values():
            if one.changed:
                one.changed = False
                end = one.rows[0].time + self.most if self.most else after(one.rows[-1].time)
                self.out.append(Result(one.start, end, one.rows[0].key, list(one.rows)))


class CountReference(OpenReference):
    """So many rows."""

    def __init__(self, count: int, most: int = 0, every: int = 0) -> None:
        super().__init__(most, every)
        self.count = count

    def take(self, row: Row) -> None:
        one = self.open.get(row.key)
        if one and self.most and one.rows[0].time + self.most <= row.time:
            self.close(row.key, one.rows[0].time + self.most)
            one = None
        if one is None:
            one = self.open[row.key] = _Open(self.start(row))
        one.add(row)
        if len(one.rows) == self.count:
            self.close(row.key, after(row.time))


class RecountReference(InTime):
    """The last rows, every few rows; a window is made of whole panes, but the last."""

    def __init__(self, count: int, hop: int, pane: int) -> None:
        super().__init__()
        self.count, self.hop, self.pane = count, hop, pane
        self.rows: dict[Any, list[Row]] = {}

    def take(self, row: Row) -> None:
        rows = self.rows.setdefault(row.key, [])
        rows.append(row)
        if len(rows) % self.hop == 0:
            self.leave(rows[-self.count :])

    def leave(self, rows: list[Row]) -> None:
        self.emit(self.start(rows[0]), after(rows[-1].time), rows)

    def pass_(self, watermark: int) -> None:
        if watermark == ENDED:
            for rows in self.rows.values():
                if len(rows) % self.hop:
                    whole = -(-len(rows) // self.pane) * self.pane
                    self.leave(rows[max(0, whole - self.count) :])
            self.rows = {}


class BetweenReference(OpenReference):
    """From a row that opens to one that closes."""

    def __init__(
        self,
        opens: Callable[[Row], bool] | None,
        closes: Callable[[Row], bool] | None,
        most: int = 0,
        every: int = 0,
    ) -> None:
        super().__init__(most, every)
        self.opens, self.closes = opens, closes

    def take(self, row: Row) -> None:
        one = self.open.get(row.key)
        if one and self.most and one.rows[0].time + self.most <= row.time:
            self.close(row.key, one.rows[0].time + self.most)
            one = None
        opens = self.opens is None or self.opens(row)
        if one and opens and self.closes is None:
            self.close(row.key, row.time)
            one = None
        if one is None and not opens:
            return
        if one is None:
            one = self.open[row.key] = _Open(self.start(row))
        one.add(row)
        if self.closes is not None and self.closes(row):
            self.close(row.key, after(row.time))


class GlobalReference(InTime):
    """All rows so far; late ones are taken as well."""

    def __init__(self, every: int) -> None:
        super().__init__(every)
        self.rows: dict[Any, list[Row]] = {}
        self.fresh: set[Any] = set()

    def process(self, row: Row) -> bool:
        if row.time < self.watermark:
            self.take(row)
        else:
            self.held.append(row)
        return True

    def take(self, row: Row) -> None:
        self.rows.setdefault(row.key, []).append(row)
        self.fresh.add(row.key)

    def pass_(self, watermark: int) -> None:
        if watermark == ENDED:
            self.rows = {}

    def changed(self) -> bool:
        return bool(self.fresh)

    def early(self, at: int) -> None:
        self.out += [Result(0, at, key, list(self.rows[key])) for key in self.fresh]
        self.fresh = set()


def calendar(unit: str, zone: str) -> Callable[[int], list[tuple[int, int]]]:
    """The window of the calendar that holds a time."""
    where = ZoneInfo(zone)

    def moment(day: Any) -> int:
        return round(datetime(day.year, day.month, day.day, tzinfo=where).timestamp()) * SECOND

    def windows(time: int) -> list[tuple[int, int]]:
        if unit == "hour":  # in a zone with offsets of whole hours
            start = time // (3600 * SECOND) * 3600 * SECOND
            return [(start, start + 3600 * SECOND)]
        day = datetime.fromtimestamp(time // SECOND, where).date()
        if unit == "week":
            day -= timedelta(days=day.weekday())
        elif unit == "month":
            day = day.replace(day=1)
        elif unit == "year":
            day = day.replace(day=1, month=1)
        following = {
            "day": day + timedelta(days=1),
            "week": day + timedelta(days=7),
            "month": (day.replace(day=1) + timedelta(days=32)).replace(day=1),
            "year": day.replace(year=day.year + 1),
        }[unit]
        return [(moment(day), moment(following))]

    return windows


def even(size: int, every: int) -> Callable[[int], list[tuple[int, int]]]:
    """The windows of one length that hold a time."""

    def windows(time: int) -> list[tuple[int, int]]:
        found = []
        start = time // every * every
        while start + size > time:
            found.append((start, start + size))
            start -= every
        return found

    return windows


class GridReference:
    """Windows that lie the same for all keys, with early results and silent keys."""

    def __init__(
        self,
        windows: Callable[[int], list[tuple[int, int]]],
        late: int = 0,
        every: int = 0,
        forget: int | None = None,
        apart: int = SECOND,
    ) -> None:
        self.apart = apart  # windows begin at multiples of it
        self.windows, self.late, self.every, self.forget = windows, late, every, forget
        self.watermark = NEVER
        self.held: list[Row] = []
        self.content: dict[tuple[int, int, Any], list[Row]] = {}
        self.changed: set[tuple[int, int, Any]] = set()
        self.touched: set[tuple[int, int, Any]] = set()
        self.dirty = False
        self.last: dict[Any, int] = {}
        self.checked: int | None = None

    def process(self, row: Row) -> bool:
        if self.every and row.time >= self.watermark:
            self.held.append(row)
            return True
        return self.take(row)

    def take(self, row: Row) -> bool:
        live = [w for w in self.windows(row.time) if w[1] + self.late > self.watermark]
        for start, end in live:
            self.content.setdefault((start, end, row.key), []).append(row)
            self.changed.add((start, end, row.key))
            self.touched.add((start, end, row.key))
        self.dirty |= bool(live)
        return bool(live)

    def advance(self, watermark: int) -> list[Result]:
        out: list[Result] = []
        ready = sorted((r for r in self.held if r.time < watermark), key=lambda row: row.time)
        self.held = [row for row in self.held if row.time >= watermark]
        while self.every and (ready or self.dirty):
            since = self.watermark if self.dirty else max(self.watermark, ready[0].time)
            at = (since // self.every + 1) * self.every
            if at > watermark:
                break
            for row in [row for row in ready if row.time < at]:
                self.take(row)
            ready = [row for row in ready if row.time >= at]
            out += self.close(at)
            out += [
                Result(*window, list(self.content[window]))
                for window in self.touched
                if window[0] < at < window[1]
            ]
            self.touched, self.dirty = set(), False
        for row in ready:
            self.take(row)
        return out + self.close(watermark)

    def close(self, watermark: int) -> list[Result]:
        before, self.watermark = self.watermark, max(self.watermark, watermark)
        leaving = [w for w in self.changed if w[1] <= self.watermark]
        self.changed -= set(leaving)
        out = [Result(*w, list(self.content[w])) for w in leaving]
        if self.forget is not None:
            out += self.missed(before, leaving)
        for window in list(self.content):
            if window[1] + self.late <= self.watermark:
                del self.content[window]
        return out

    def missed(self, before: int, leaving: list[tuple[int, int, Any]]) -> list[Result]:
        """The windows that ended since, in their order, for keys that have no rows in them."""
        assert self.forget is not None
        fresh = [w for w in leaving if w[1] > before]
        for start, end, key in leaving:
            if end <= before:
                self.last[key] = max(self.last.get(key, NEVER), start)
        starts = [*self.last.values(), *(start for start, _, _ in fresh)]
        if not starts:
            return []
        out = []
        top = max((start for start, _, _ in fresh), default=NEVER)
        limit = top if self.watermark == ENDED else max(starts) + self.forget
        candidates: set[tuple[int, int]] = set()
        for start in starts:
            time = start
            while time <= min(start + self.forget, limit):
                candidates |= {w for w in self.windows(time) if w[0] == time}
                time += self.apart
        for start, end in sorted(candidates):
            if not before < end <= self.watermark:
                continue
            held = {key for s, _, key in fresh if s == start}
            for key, last in self.last.items():
                if key not in held and start - last <= self.forget:
                    out.append(Result(start, end, key, []))
            for key in held:
                self.last[key] = start
        return out


class EarlySessions(InTime):
    """Sessions that leave early as well; rows before the watermark may still join one."""

    def __init__(self, gap: int, every: int) -> None:
        super().__init__(every)
        self.inner = SessionReference(gap, 0, 0)
        self.dirty = False

    def process(self, row: Row) -> bool:
        if row.time >= self.watermark:
            return super().process(row)
        taken = self.inner.process(row)
        self.dirty |= taken
        return taken

    def take(self, row: Row) -> None:
        self.inner.process(row)
        self.dirty = True

    def pass_(self, watermark: int) -> None:
        self.out += self.inner.advance(watermark)

    def changed(self) -> bool:
        return self.dirty

    def early(self, at: int) -> None:
        for one in self.inner.sessions:
            if one.shown != len(one.rows):
                one.shown = len(one.rows)
                self.out.append(Result(one.start, self.inner.end(one), one.key, list(one.rows)))
        self.dirty = False
