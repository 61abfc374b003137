"""Calendar windows: hours, days, weeks, months and years as they are in a time zone.

A window is numbered by the hour, counted in UTC from the epoch, in which it begins: each begins in
an hour of its own. Where windows begin is looked up in tables of about a year each, made when a
row first needs them and kept while they are in use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, TypeAlias

import numpy as np

from edgestream.window.grid import EARLIEST, LATEST, Bounds, Grid
from edgestream.window.kind import FAR, Times

Unit: TypeAlias = Literal["hour", "day", "week", "month", "year"]
_SECOND = 1_000_000_000
_HOUR = 3600 * _SECOND
_CHUNK = 1 << 55
"""What one table covers: 417 days."""
_TABLES = 8
_ROOM = 800 * 24 * _HOUR
"""Beyond the last row by so much, every window has ended."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARGIN = timedelta(days=3)


class Calendar(Grid):
    """Windows of one unit of the calendar, as the clocks in a zone go."""

    def __init__(self, unit: Unit, zone: tzinfo) -> None:
        """Start without tables."""
        self._unit, self._zone = unit, zone
        self._tables: OrderedDict[int, Times] = OrderedDict()

    def panes(self, times: Times, low: int, high: int) -> tuple[int, int, Times]:
        """Looked up, unless all rows lie in one window."""
        starts, _ = self._find(np.array([low, high]))
        first, last = (starts // _HOUR).tolist()
        return first, last, times if first == last else self._find(times)[0] // _HOUR

    def bounds(self, watermark: int) -> Bounds:
        """The window that holds the watermark is the first that has not ended."""
        starts, ends = self._find(np.array([_clipped(watermark)]))
        start = int(starts[0])
        return Bounds(start // _HOUR - 1, start, start, int(ends[0]) if watermark < FAR else FAR)

    def ended(self, marks: Times) -> Times:
        """All numbers below that of the window which holds the watermark."""
        starts, _ = self._find(np.clip(marks, EARLIEST - _ROOM, LATEST + _ROOM))
        return starts // _HOUR - 1

    def begun(self, moment: int) -> int:
        """The window that holds the moment before."""
        return int(self._find(np.array([_clipped(moment - 1)]))[0][0]) // _HOUR

    def starts(self, windows: Times) -> Times:
        """Looked up by the end of the hour in which they begin."""
        return self._find((windows + 1) * _HOUR - 1)[0]

    def ends(self, windows: Times) -> Times:
        """Looked up by the end of the hour in which they begin."""
        return self._find((windows + 1) * _HOUR - 1)[1]

    def between(self, low: int, high: int) -> Times:
        """From the tables."""
        chunks = range(_clipped(low) // _CHUNK, _clipped(high) // _CHUNK + 1)
        starts = np.unique(np.concatenate([self._table(chunk) for chunk in chunks]))
        return starts[(starts >= low) & (starts <= high)] // _HOUR

    def _find(self, times: Times) -> tuple[Times, Times]:
        """Where the windows that hold times begin and end."""
        chunks = times // _CHUNK
        distinct = np.unique(chunks) if len(chunks) and chunks[0] != chunks[-1] else chunks[:1]
        if len(distinct) == 1 and (chunks == distinct[0]).all():
            table = self._table(int(distinct[0]))
            at = np.searchsorted(table, times, "right")
            return table[at - 1], table[at]
        starts, ends = np.empty_like(times), np.empty_like(times)
        for chunk in np.unique(chunks).tolist():
            mine = chunks == chunk
            table = self._table(chunk)
            at = np.searchsorted(table, times[mine], "right")
            starts[mine], ends[mine] = table[at - 1], table[at]
        return starts, ends

    def _table(self, chunk: int) -> Times:
        """Where windows begin, from before the first moment of a chunk to after its last."""
        table = self._tables.get(chunk)
        if table is None:
            low = _EPOCH + timedelta(seconds=chunk * _CHUNK // _SECOND) - _MARGIN
            high = _EPOCH + timedelta(seconds=(chunk + 1) * _CHUNK // _SECOND) + _MARGIN
            seconds = (
                _hours(low, high, self._zone)
                if self._unit == "hour"
                else [_midnight(day, self._zone) for day in _days(self._unit, low, high)]
            )
            self._tables[chunk] = table = np.unique(np.array(seconds, np.int64)) * _SECOND
            if len(self._tables) > _TABLES:
                self._tables.popitem(last=False)
        self._tables.move_to_end(chunk)
        return table


def _days(unit: Unit, low: datetime, high: datetime) -> Iterator[date]:
    """The first days of units, from that of ``low`` to the first after ``high``."""
    day = low.date()
    if unit == "week":
        day -= timedelta(days=day.weekday())
    elif unit != "day":
        day = day.replace(day=1, month=day.month if unit == "month" else 1)
    while True:
        yield day
        if day > high.date():
            return
        if unit in ("day", "week"):
            day += timedelta(days=1 if unit == "day" else 7)
        elif unit == "month":
            day = (day + timedelta(days=31)).replace(day=1)
        else:
            day = day.replace(year=day.year + 1)


def _midnight(day: date, zone: tzinfo) -> int:
    """The second, from the epoch, in which a day begins; the first of two midnights."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    second = _seconds(local.astimezone(UTC))
    if _local(second, zone).time() == local.time():
        return second
    # The clocks skip this midnight: the day begins where they are put forward.
    low, high = second - 86_400, second
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _local(middle, zone).date() < day else (low, middle)
    return high


def _hours(low: datetime, high: datetime, zone: tzinfo) -> list[int]:
    """The seconds in which the clocks of a zone show a full hour.

    Around a change by a part of an hour, an hour is longer than others, never shorter.
    """
    first, last = _seconds(low) // 86_400 * 86_400, _seconds(high)
    hours: list[int] = []
    begin, offset = first, _offset(first, zone)
    for end in range(first + 86_400, last + 86_400, 86_400):
        change, after = end, _offset(end, zone)
        if after != offset:
            change = _change(end - 86_400, end, zone)
        elif end < last:
            continue
        start = begin + (-(begin + offset)) % 3600
        if hours and start - hours[-1] < 3600:
            start += 3600
        hours += range(start, change, 3600)
        begin, offset = change, after
    return hours


def _change(low: int, high: int, zone: tzinfo) -> int:
    """The first second after ``low`` with the offset of ``high``."""
    after = _offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(middle, zone) == after else (middle, high)
    return high


def _offset(second: int, zone: tzinfo) -> int:
    offset = _local(second, zone).utcoffset() or timedelta()
    return offset.days * 86_400 + offset.seconds


def _local(second: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(seconds=second)).astimezone(zone)


def _seconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * 86_400 + since.seconds


def _clipped(moment: int) -> int:
    return min(max(moment, EARLIEST - _ROOM), LATEST + _ROOM)


def time_zone(name: str) -> tzinfo:
    """The zone of a name such as ``Europe/Madrid``; raises ValueError with what is wrong."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - `Unit` is wanted without it

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r} here") from error
