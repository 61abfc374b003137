"""``absent``: say when a key falls silent, and when it comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, Column, Dictionary, Strings
from edgestream.component import MAIN, OVERFLOW, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.eventtime import ENDED
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema
from edgestream.operators.runs import Runs
from edgestream.schema import ColumnKind, Schema
from edgestream.window.lookup import Numbers

ROWS, STATE, SINCE, TIME = "rows", "state", "since", "time"
_STATES = ("absent", "back")
_NEVER = np.iinfo(np.int64).min
_TEN_YEARS = 3650 * 86_400_000_000_000


@component(
    "absent",
    examples=(
        "absent: {for: 10m, by: device}",
        "absent: {for: 1h, by: [site, meter], forget: 90d}",
    ),
)
class Absent(PerKey):
    """Give a row when a key has been silent for so long, and another when it comes back.

    What leaves are these events alone; the rows that enter leave unchanged by the port ``rows``.
    An event has the key columns, ``state`` (``absent`` or ``back``), ``since``, the time of the
    last row before the silence, and ``time``, its own event time: for ``absent`` that is ``since``
    and ``for``, for ``back`` the time of the row that came. ``(keys, since, state)`` identifies it.

    Silence is a matter of event time. A key is absent once the watermark has passed its last row
    by ``for``, which happens too when no source sends anything, because the watermark then follows
    the clock (``time: {idle: …}``); or when its own next row is that much later, so that reading a
    file tells the same as having listened. Rows older than others of their key change nothing.
    The end of a stream is no silence.

    A key is known from its first row on: one that never comes is never missed. A key whose last
    row lies ``forget`` behind the watermark is forgotten, and coming again it is new.
    """

    ports = (ROWS, OVERFLOW)

    for_: Duration = option(
        help="How long a silence is.", minimum=1000, maximum=_TEN_YEARS, example="10m"
    )
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    forget: Duration = option(
        default="30d", help="A key without rows for so long is forgotten.", maximum=_TEN_YEARS
    )
    _table: Table | None = state()
    _due: int = state(lambda: ENDED)
    _words: Dictionary = state(lambda: Dictionary(_STATES))

    def check(self) -> None:
        """Names that do not clash, and a silence before a key is forgotten."""
        check_by(self.by)
        problems = [
            Problem(f"{name} is a column of every event", ("by", index), "rename it before")
            for index, name in enumerate(self.by)
            if name in (STATE, SINCE, TIME)
        ]
        if nanos(self.forget) <= nanos(self.for_):
            message = f"a key is forgotten before it is silent for {self.for_}"
            problems.append(Problem(message, ("forget",), "choose a longer time"))
        if problems:
            raise ConfigError(problems)

    def infer(self, schema: Schema) -> Schema:
        """The columns of events."""
        check_schema(schema, {"by": self.by})
        kinds: dict[str, ColumnKind] = {name: schema.kind(name) for name in self.by}
        return Schema.of_kinds({**kinds, STATE: "string", SINCE: "time", TIME: "time"})

    def uses(self) -> Mapping[str, ColumnKind]:
        """The key columns, of any kind."""
        return dict.fromkeys(self.by, "any")

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """No column passes into events; the port ``rows`` has the columns that enter."""
        return frozenset()

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The key columns, the last row before the silence, and which event it is."""
        return (*self.by, SINCE, STATE)

    def process(self, batch: Batch) -> Outputs:
        """The keys that were away and are back; the rows leave by the port ``rows``."""
        if not len(batch):
            return ()
        table = self._state()
        runs = table.runs(batch)
        events = self._returns(table, runs, batch.times[runs.order])
        return (*(((MAIN, events),) if len(events) else ()), (ROWS, batch))

    def advance(self, watermark: int) -> Outputs:
        """The keys that have fallen silent, by the time at which they did, then by first row."""
        table, wait = self._state(), nanos(self.for_)
        outputs: Outputs = ()
        if self._due <= watermark < ENDED:
            last, told = table.columns["last"], table.columns["absent"]
            waiting = (last != _NEVER) & ~told
            silent = np.flatnonzero(waiting & (last <= watermark - wait))
            told[silent] = True
            left = last[waiting & ~told]
            self._due = int(left.min()) + wait if len(left) else ENDED
            if len(silent):
                silent = silent[np.argsort(last[silent], kind="stable")]
                since = last[silent]
                codes = np.zeros(len(silent), np.int32)
                events = _Events(silent, codes, since, since + wait)
                outputs = ((MAIN, events.batch(table, self._words)),)
        table.advance(watermark)
        return outputs

    def snapshot(self) -> State:
        """The keys with their last rows, and which of them are absent."""
        return self._state().save(self._of())

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another silence or key."""
        table = self._state()
        table.load(saved, self._of())
        self._due = _NEVER

    def _returns(self, table: Table, runs: Runs, times: NDArray[np.int64]) -> Batch:
        """The events of sorted rows, by arrival; a silence nobody told of is told first."""
        last, told, wait = table.columns["last"], table.columns["absent"], nanos(self.for_)
        before, absent = last[runs.slots], told[runs.slots]
        latest = runs.maxima(times, before)
        since = runs.previous(latest, before)
        later = (times > since) & (since != _NEVER)
        ends_told = later & absent[runs.of] & (since == before[runs.of])
        untold = later & (times - wait >= since) & ~ends_told
        last[runs.slots] = latest[runs.ends]
        told[runs.slots] = absent & ~np.logical_or.reduceat(later, runs.starts)
        self._due = min(self._due, int(latest[runs.ends].min()) + wait)
        back = np.flatnonzero(untold | ends_told)
        rows = np.concatenate([np.flatnonzero(untold), back])
        codes = np.repeat(np.array([0, 1], np.int32), [len(rows) - len(back), len(back)])
        order = np.argsort(2 * runs.order[rows] + codes)
        rows, codes = rows[order], codes[order]
        moments = np.where(codes == 0, since[rows] + wait, times[rows])
        events = _Events(runs.slots[runs.of[rows]], codes, since[rows], moments)
        return events.batch(table, self._words)

    def _state(self) -> Table:
        if self._table is None:
            blank = {"last": np.array(_NEVER), "absent": np.array(False)}
            self._table = Table(self.by, nanos(self.forget), blank)
        return self._table

    def _of(self) -> dict[str, object]:
        return {"by": list(self.by), "for": str(self.for_)}


@dataclass(frozen=True, slots=True)
class _Events:
    """Events: the slot of each, its state as a code, the last row before the silence, its time."""

    slots: Numbers
    codes: NDArray[np.int32]
    since: NDArray[np.int64]
    times: NDArray[np.int64]

    def batch(self, table: Table, words: Dictionary) -> Batch:
        """As rows."""
        columns: dict[str, Column] = table.index.take(self.slots)
        columns[STATE] = Strings(self.codes, words)
        columns[SINCE] = (self.since // 1000).view("datetime64[us]")
        columns[TIME] = (self.times // 1000).view("datetime64[us]")
        return Batch(columns, self.times, (*table.index.names, SINCE, STATE))
