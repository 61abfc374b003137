"""Event time: where a row's time comes from, and how far the stream has got (the watermark).

Pure: the caller says what time it is. Rules: the watermark never goes back; a row further ahead
of its arrival than ``max_future`` never moves it; when a source is silent for ``idle`` the
watermark goes on with the clock, so that open windows close.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import NAT, Array, Batch, Column, Strings
from edgestream.config.convert import build, convert_fields
from edgestream.config.fields import option
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.schema import ColumnKind

Unit: TypeAlias = Literal["s", "ms", "us", "ns", "iso8601"]
ENDED = np.iinfo(np.int64).max
"""The watermark of a source that will give nothing more."""
UNKNOWN = np.iinfo(np.int64).min
"""The watermark of a source that gave nothing yet."""
_NANOS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_EARLIEST = -6_857_222_400_000_000_000  # 1752-09-14; before it int64 arithmetic has no room
_LATEST = 7_258_118_399_999_999_999  # just before 2200-01-01
_EARLIEST_DAY, _LATEST_DAY = (bound // 86_400_000_000_000 for bound in (_EARLIEST, _LATEST))


@dataclass(frozen=True, slots=True)
class Time:
    """The event time of a source: ``time: ts`` or ``time: {field: ts, unit: ms, delay: 2s}``."""

    field: str = option(help="The column that holds the event time.")
    unit: Unit | None = option(
        default=None, help="s, ms, us or ns since the epoch, or iso8601; by default s for numbers."
    )
    delay: Duration = option(
        default="1s", help="How much later than its neighbours a row may come."
    )
    idle: Duration = option(
        default="30s", help="Silence after which the clock moves the watermark."
    )
    max_future: Duration = option(
        default="5m", help="A row further ahead never moves the watermark."
    )
    received: str = option(
        default="",
        help="The column that says when a row once arrived, in the unit of field; for history.",
    )
    by: Sequence[str] = option(
        default=(), help="Columns that name a device; each device then has a watermark of its own."
    )

    def __post_init__(self) -> None:
        """Convert durations; raises `ConfigError`."""
        convert_fields(self)
        if not self.field:
            raise ConfigError(Problem("the name of a column is missing", ("field",)))
        for at, name in enumerate(self.by):
            if not name:
                raise ConfigError(Problem("the name of a column is missing", ("by", at)))
            if name in self.by[:at]:
                raise ConfigError(Problem(f"{name} is there twice", ("by", at)))

    @property
    def moments(self) -> tuple[str, ...]:
        """The columns that hold times."""
        return (self.field, self.received) if self.received else (self.field,)

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns it reads, and by which of its fields."""
        received = {self.received: "received"} if self.received else {}
        return {**dict.fromkeys(self.by, "by"), **received, self.field: "field"}

    @property
    def kind(self) -> ColumnKind:
        """What the column must hold, so that one bad value first does not settle it otherwise."""
        if self.unit is None:
            return "any"
        return "string" if self.unit == "iso8601" else "float"

    @classmethod
    def from_config(cls, value: object) -> Time:
        """A field name, or a mapping of the fields above."""
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping):
            return build(cls, value)
        fields = "{field, unit, delay, idle, max_future, received, by}"
        raise ValueError(f"expected the name of a column, or {fields}")

    def read(self, column: Column | None, count: int) -> tuple[NDArray[np.int64], dict[int, str]]:
        """Times in ns, and for each row without a usable one the reason."""
        if column is None:
            times = np.full(count, NAT)
        elif not isinstance(column, Strings) and self._plain(column):
            return column * _NANOS[self.unit or "s"], {}
        elif isinstance(column, Strings):
            times = self._from_text(column)
        elif column.dtype.kind == "M":
            times = column.astype("datetime64[ns]").astype(np.int64)
        else:
            times = self._from_numbers(column)
        bad = np.flatnonzero((times < _EARLIEST) | (times > _LATEST))
        return times, {int(row): self._reason(column, int(row)) for row in bad}

    def _plain(self, column: Array) -> bool:
        """Whether all are whole numbers in range: nearly always, and worth not looking twice."""
        if column.dtype.kind != "i" or self.unit == "iso8601" or not len(column):
            return False
        scale = _NANOS[self.unit or "s"]
        return bool(column.min() >= _EARLIEST // scale and column.max() <= _LATEST // scale)

    def _from_text(self, column: Strings) -> NDArray[np.int64]:
        if self.unit not in (None, "iso8601"):
            return np.full(len(column), NAT)
        return cast("NDArray[np.int64]", column.map(_parse_iso, NAT, np.int64))

    def _from_numbers(self, column: Array) -> NDArray[np.int64]:
        if self.unit == "iso8601" or column.dtype.kind == "b":
            return np.full(len(column), NAT)
        scale = _NANOS[self.unit or "s"]
        if column.dtype.kind == "i":
            # not abs(): that of the least integer is itself
            fits = (column <= _LATEST // scale) & (column >= -_LATEST // scale)
            return np.where(
                fits, column * scale if fits.all() else np.where(fits, column, 0) * scale, NAT
            )
        with np.errstate(invalid="ignore"):
            fits = np.abs(column) <= _LATEST / scale
            whole = np.floor(np.where(fits, column, 0.0))
            rest = np.where(fits, column, 0.0) - whole
        exact = whole.astype(np.int64) * scale + np.round(rest * scale).astype(np.int64)
        return np.where(fits, exact, NAT)

    def _reason(self, column: Column | None, row: int) -> str:
        if column is None:
            return f"the time column {self.field!r} is missing"
        value: Any = column[row : row + 1]
        shown = value.to_list()[0] if isinstance(value, Strings) else value.tolist()[0]
        if shown is None or shown != shown:
            return f"the time column {self.field!r} is missing"
        wanted = "an ISO 8601 time" if self.unit == "iso8601" else f"a time in {self.unit or 's'}"
        return f"the time column {self.field!r} holds {shown!r}, which is not {wanted}"


def _parse_iso(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return NAT
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    if not _EARLIEST_DAY <= delta.days <= _LATEST_DAY:  # the year 9999 has no place in 64 bits
        return NAT
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000


def put_back(watermark: int, by: int) -> int:
    """A watermark that is less ``by`` ns; of what is unknown or has ended there is no less."""
    return watermark if watermark in (UNKNOWN, ENDED) else max(watermark - by, UNKNOWN)


class Watermark:
    """How far one source has got: no row before ``value`` (ns) is awaited any more."""

    def __init__(self, time: Time | None) -> None:
        """For event time as ``time`` says, or for arrival time where it is None."""
        self._time = time if time and time.received else None
        self._delay = nanos(time.delay) if time else 0
        self._idle = nanos(time.idle) if time else 0
        self._max_future = nanos(time.max_future) if time else ENDED
        self._front = UNKNOWN
        self._seen_at: int | None = None
        self.value = UNKNOWN

    @property
    def nbytes(self) -> int:
        """The bytes that grow with the stream."""
        return 0

    @property
    def front(self) -> int | None:
        """The latest event time that counted, in ns."""
        return None if self._front == UNKNOWN else self._front

    def see(self, batch: Batch, received: int, monotonic: int) -> None:
        """Rows arrived at ``received`` (wall clock, ns)."""
        self.observe(batch.times, self._came(batch, received), monotonic)

    def observe(
        self, times: NDArray[np.int64], received: int | NDArray[np.int64], monotonic: int
    ) -> None:
        """Rows with these times arrived at ``received`` (wall clock, ns; of all, or of each)."""
        if len(times) == 0:
            return
        newest, latest = int(times.max()), received + self._max_future
        if not isinstance(latest, int) or newest > latest:
            sane = times[times <= latest]
            if len(sane) == 0:
                return
            newest = int(sane.max())
        self._front = max(self._front, newest)
        self._seen_at = monotonic
        self.value = max(self.value, self._front - self._delay)

    def _came(self, batch: Batch, received: int) -> int | NDArray[np.int64]:
        """When rows arrived: now, or as their column says, but not later."""
        if self._time is None or not len(batch):
            return received
        once, bad = self._time.read(batch.columns.get(self._time.received), len(batch))
        came = np.minimum(once, received)
        came[list(bad)] = received
        return came

    def tick(self, monotonic: int) -> None:
        """Let the clock move the watermark of a silent source."""
        if self._seen_at is None:
            self._seen_at = monotonic
        silent = monotonic - self._seen_at
        if self._front != UNKNOWN and self.value != ENDED and silent >= max(self._idle, 1):
            self.value = max(self.value, self._front - self._delay + silent)

    def excluded(self, monotonic: int) -> bool:
        """Whether a source that never gave a row is no longer waited for."""
        silent = 0 if self._seen_at is None else monotonic - self._seen_at
        return self._front == UNKNOWN and silent >= self._idle

    def end(self) -> None:
        """Nothing more will come."""
        self.value = ENDED

    def snapshot(self) -> list[int]:
        """What a checkpoint keeps."""
        return [self._front, self.value]

    def restore(self, saved: list[int]) -> None:
        """Go on from a checkpoint."""
        self._front, self.value = saved
