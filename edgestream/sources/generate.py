"""Rows from simulated devices, for trying things out, tests and measurements.

A row is a function of its number and the configuration, so the source replays exactly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import ClassVar

from edgestream.batch import Batch
from edgestream.component import Context, Position, Source, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.schema import ColumnKind, Schema
from edgestream.sources.signals import Fleet, SignalName

MAX_ROWS = 2_000
"""The most rows of a batch."""
PAUSE = 20_000_000
"""The shortest wait between two batches of a paced source, in ns."""
_SECOND = 1_000_000_000


@component(
    "generate",
    examples=(
        "generate: {devices: 10, rate: 100}",
        "generate: {count: 100000, start: '2026-11-24T00:00:00Z', jitter: 2s, seed: 7}",
    ),
)
class Generate(Source):
    """Simulated devices with temperature, humidity and battery that look like real ones.

    Devices report in turn. With a ``rate``, rows come at that rate and their event times lie as
    far apart; without one, every device reports once a second of event time, and an endless
    source gives them at that pace while a source with a ``count`` gives them as fast as possible;
    ``rate: 0`` always means as fast as possible. ``start: now`` counts on from the moment of the
    first start (a source with a count and no pace ends at that moment instead): rows missed while
    the worker was stopped come all at once. With a ``start`` of its own, rows go on where they
    stopped, at the same pace. ``jitter`` makes rows arrive late and out of order.

    Delivery: replayable. The same seed gives the same rows, and reading goes on at any row, so
    nothing is lost and nothing comes twice.
    """

    replayable: ClassVar[bool] = True
    gives_rows = True
    columns: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "device": "name of the device: prefix and number",
            "ts": "event time",
            "temperature": "°C, a daily rhythm with a slow wandering and noise",
            "humidity": "% relative humidity, lower where it is warmer",
            "battery": "% charge, falling over weeks",
            "pressure": "air pressure in hPa, where asked for in signals",
        }
    )

    devices: int = option(default=10, help="How many devices report.", minimum=1, maximum=1_000_000)
    rate: float | None = option(
        default=None,
        help="Rows per second, all devices together; 0 is no limit.",
        minimum=0,
        maximum=1e8,
    )
    count: int | None = option(default=None, help="End after so many rows.", minimum=0)
    start: str = option(default="now", help="Event time of the first row, ISO 8601, or now.")
    seed: int = option(default=0, help="Other seeds give other values.", minimum=0)
    prefix: str = option(default="sensor-", help="What the names of the devices begin with.")
    jitter: Duration = option(default="0s", help="How late a row may come after its event time.")
    signals: Sequence[SignalName] = option(
        default=("temperature", "humidity", "battery"), help="What each device measures."
    )

    _ctx: Context | None = state()
    _fleet: Fleet | None = state()
    _row: int = state(lambda: 0)
    _began: int = state(lambda: 0)
    _from_row: int = state(lambda: 0)

    def check(self) -> None:
        """The start must be a time, and a signal is named once."""
        problems = []
        if self.start != "now":
            try:
                _moment(self.start)
            except ValueError:
                hint = "write now, or a time such as 2026-11-24T10:00:00Z"
                problems.append(Problem(f"{self.start!r} is not a time", ("start",), hint))
        if len(set(self.signals)) < len(self.signals):
            problems.append(Problem("a signal is named twice", ("signals",)))
        if problems:
            raise ConfigError(problems)

    def schema(self) -> Schema:
        """Exactly the device, its time and its signals."""
        kinds: dict[str, ColumnKind] = {"device": "string", "ts": "time"}
        return Schema.of_kinds({**kinds, **dict.fromkeys(self.signals, "float")})

    async def open(self, ctx: Context, resume: Position | None) -> None:
        """Begin with the row of ``resume``, or the first."""
        step = round(_SECOND / self.rate) if self.rate else _SECOND // self.devices
        self._ctx = ctx
        self._row = self._from_row = int(resume["row"]) if resume else 0
        if resume:
            start = int(resume["start"])
        elif self.start == "now":
            ahead = (self.count or 0) * step if not self._paced() else 0
            start = ctx.clock.wall() - ahead
        else:
            start = _moment(self.start)
        self._fleet = Fleet(
            self.devices,
            start,
            max(step, 1),
            self.seed,
            nanos(self.jitter),
            self.prefix,
            self.signals,
        )
        behind = ctx.clock.wall() - (start + self._row * self._fleet.step)
        owed = max(0, behind) if self.start == "now" else 0
        self._began = ctx.clock.monotonic() - owed

    async def batches(self) -> AsyncIterator[Batch]:
        """Up to 2,000 rows at a time, at most every 20 ms when they are paced."""
        fleet, ctx = self._fleet, self._ctx
        assert fleet is not None
        assert ctx is not None
        while self.count is None or self._row < self.count:
            due, wait = self._due(ctx.clock.monotonic(), fleet.step)
            if due:
                first, self._row = self._row, self._row + due
                yield fleet.rows(first, due)
            if wait:
                await ctx.clock.sleep(wait)
            else:
                await asyncio.sleep(0)

    def position(self) -> Position:
        """How many rows were given out, and the event time of the first."""
        return {"row": self._row, "start": self._fleet.start if self._fleet else 0}

    def total(self) -> tuple[int, int] | None:
        """Rows given out and rows in all."""
        return None if self.count is None else (self._row, self.count)

    async def close(self) -> None:
        """Forget the devices."""
        self._ctx = None

    def _paced(self) -> bool:
        return bool(self.rate) if self.rate is not None else self.count is None

    def _due(self, now: int, step: int) -> tuple[int, int]:
        """The rows to give now, and how long to wait then: not at all while more are owed."""
        left = MAX_ROWS if self.count is None else min(MAX_ROWS, self.count - self._row)
        if not self._paced():
            return left, 0
        given = self._row - self._from_row
        owed = max(0, (now - self._began) // step + 1 - given)
        if owed >= left:
            return left, 0
        return owed, max(PAUSE, self._began + (given + owed) * step - now)


def _moment(text: str) -> int:
    """ISO 8601 text as ns; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * _SECOND + since.microseconds * 1000
