"""The operator ``window``: rows into windows of time, and aggregates out of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate import Aggregate
from edgestream.batch import Batch
from edgestream.component import MAIN, OVERFLOW, Operator, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.expr import Expr, expression
from edgestream.operators.condition import check_condition
from edgestream.operators.window_kinds import described, maker, problems
from edgestream.schema import ColumnKind, Schema
from edgestream.window.calendar import Unit
from edgestream.window.fronts import Reached
from edgestream.window.keyed import Keyed
from edgestream.window.marks import Names
from edgestream.window.running import END, START, Running

LATE = "late"
_VERSION = 1
_TEN_YEARS = 3650 * 86_400_000_000_000


@component(
    "window",
    examples=(
        "window: {tumbling: 10s, by: device, aggregate: {n: count(), avg: mean(temperature)}}",
        "window: {hopping: 1m, every: 5s, by: [site, device], aggregate: {peak: max(power)}}",
        "window: {calendar: day, zone: Europe/Madrid, by: meter, aggregate: {used: sum(energy)}}",
        "window: {session: 30s, max: 1h, by: user, late: 5m, aggregate: {clicks: count()}}",
        "window: {sliding: 1m, by: device, aggregate: {avg: mean(temperature)}}",
        "window: {count: 100, max: 10m, by: device, aggregate: {avg: mean(temperature)}}",
        "window: {opens: speed > 0, closes: speed == 0, by: bus, aggregate: {top: max(speed)}}",
        "window: {global: true, emit_every: 1m, by: device, aggregate: {total: sum(litres)}}",
    ),
)
class Window(Operator):
    """Group rows into windows of event time and compute aggregates of each.

    One of these says which windows. All are closed at the start and open at the end.

    - ``tumbling``: of one length, one after the other. ``hopping``: of one length, one ``every``
      so often. Both are aligned to the epoch, in UTC, also before 1970.
    - ``calendar``: an hour, day, week (from Monday), month or year as the clocks in ``zone`` go: a
      day on which they change has 23 or 25 hours, and an hour that they show twice is two. Where
      they change by half an hour, an hour is longer than 60 minutes, never shorter.
    - ``session``: rows with less than this time between them. ``max`` cuts a session where a row
      comes that long or longer after its first. There, rows that come late are taken one by one as
      they came: each belongs to the session it lies within, else to the earlier of those that it
      does not make as long as ``max``, else it is a session of its own.
    - ``sliding``: for every row, the rows of its key up to it and this far back. Here
      ``window_end``, the time of the row, is part of the window, and ``window_start`` is not. Rows
      of one time leave as one.
    - ``count``: so many rows of a key. ``max`` ends a window that has been open that long; with
      ``every: 10``, after every 10 rows the last ones leave, at first fewer.
    - ``opens`` and ``closes``: from a row for which the one is true to a row for which the other
      is, both included; rows between two windows belong to none. Without ``closes``, the next row
      that opens ends the window before; without ``opens``, any row opens one. ``max`` as above.
    - ``global``: all rows there ever were, from 1970 to each multiple of ``emit_every``.

    One row leaves for each window and key: the key columns, ``window_start``, ``window_end`` and
    the aggregates. ``(keys, window_start)`` identifies it. Without ``by`` all rows are one group;
    rows without a key are a group of their own. A window without rows does not leave, unless
    ``emit_empty`` asks for it: then it leaves for every key that had a row within ``forget``
    before, with a count of 0 and the other aggregates missing. A step ``fill`` can follow.

    A window leaves once the watermark has reached its end. With ``emit_every``, one that is open
    and has changed leaves before: at each multiple of that time, with the rows before it. The
    window itself then replaces it where sinks upsert.

    A row that comes when its window has left is counted as long as the window is not older than
    ``late``, and the corrected window leaves again as a whole. (It may give a session an earlier
    start: that then leaves under the new one.) A row whose windows are all gone, or whose time
    lies outside 1752 to 2200, leaves unchanged by the port ``late``.

    ``sliding``, ``count``, ``opens`` and ``closes`` take the rows of a key in the order of time,
    those of one time as they came; one that comes after the watermark leaves by ``late``. There,
    two windows of a key never share a ``window_start``: the second is given a microsecond more.
    At the end of the stream what is open leaves; a step behind it takes that for the last moment of
    the stream, not for late.

    Aggregates skip missing values, NaN among them; of no value at all, ``count`` is 0 and most
    others are missing. ``first`` and ``last`` go by event time, then by arrival. Infinities go
    through sums, means and extremes; where they make no number, as in inf − inf, the result is
    missing.
    """

    ports = (LATE, OVERFLOW)
    gathers = True

    tumbling: Duration | None = option(
        default=None,
        help="Windows of this length, one after the other.",
        maximum=_TEN_YEARS,
        example="10s",
    )
    hopping: Duration | None = option(
        default=None,
        help="Windows of this length, one every `every`.",
        maximum=_TEN_YEARS,
        example="1m",
    )
    every: Duration | int | None = option(
        default=None,
        help="How far hopping windows are apart; with `count`, in rows.",
        maximum=_TEN_YEARS,
        example="5s",
    )
    calendar: Unit | None = option(default=None, help="Windows of the calendar.", example="day")
    zone: str | None = option(
        default=None, help="Where the calendar holds; by default UTC.", example="Europe/Madrid"
    )
    session: Duration | None = option(
        default=None, help="A gap of this length ends a session.", maximum=_TEN_YEARS, example="30s"
    )
    sliding: Duration | None = option(
        default=None,
        help="For every row, the rows up to it and this far back.",
        maximum=_TEN_YEARS,
        example="1m",
    )
    count: int | None = option(
        default=None, help="Windows of so many rows.", minimum=1, maximum=1_000_000, example="100"
    )
    opens: Expr | str | None = option(
        default=None, help="A row for which it is true opens a window.", example="speed > 0"
    )
    closes: Expr | str | None = option(
        default=None, help="A row for which it is true closes it.", example="speed == 0"
    )
    global_: bool = option(default=False, help="One window over all rows, with `emit_every`.")
    max: Duration | None = option(
        default=None,
        help="How long a window of session, count, opens or closes may be.",
        maximum=_TEN_YEARS,
        example="1h",
    )
    by: Sequence[str] = option(default=(), help="The key columns; none is one group for all rows.")
    aggregate: Mapping[str, Aggregate | str] = option(
        factory=dict, help="Result columns: a name and what it holds.", example="{n: count()}"
    )
    late: Duration = option(
        default="0s",
        help="How long a closed window still takes rows.",
        maximum=_TEN_YEARS,
        example="1m",
    )
    emit_every: Duration | None = option(
        default=None,
        help="How often open windows leave that have changed.",
        maximum=_TEN_YEARS,
        example="1s",
    )
    emit_empty: bool = option(
        default=False, help="Whether windows without rows leave, for known keys."
    )
    forget: Duration = option(
        default="1d",
        help="With `emit_empty`, a key without rows for so long is not known any more.",
        maximum=_TEN_YEARS,
    )
    _running: Running | None = state(factory=lambda: None)
    _names: Names | None = state(factory=lambda: None)

    def check(self) -> None:
        """One kind of window, with what belongs to it; names that do not clash."""
        found = [*problems(self), *_name_problems(self)]
        if found:
            raise ConfigError(found)

    def infer(self, schema: Schema) -> Schema:
        """Keys, the bounds of the window, and the aggregates."""
        kinds: dict[str, ColumnKind] = {}
        wrong: list[Problem] = []
        for name in self.by:
            try:
                kinds[name] = schema.kind(name)
            except ConfigError as error:
                wrong += [problem.under("by") for problem in error.problems]
        kinds |= {START: "time", END: "time"}
        for name, aggregate in _aggregates(self).items():
            try:
                kinds[name] = aggregate.check(schema)
            except ConfigError as error:
                wrong += [problem.under("aggregate", name) for problem in error.problems]
        for name, condition in _conditions(self).items():
            try:
                check_condition(condition, schema, name)
            except ConfigError as error:
                wrong += error.problems
        if wrong:
            raise ConfigError(wrong)
        return Schema.of_kinds(kinds)

    def infer_roughly(self, schema: Schema) -> Schema:
        """The same columns, of any kind."""
        kinds: dict[str, ColumnKind] = dict.fromkeys([*self.by, *self.aggregate], "any")
        return Schema.of_kinds({**kinds, START: "time", END: "time"})

    def uses(self) -> Mapping[str, ColumnKind]:
        """The key columns, of any kind, and what aggregates and conditions read."""
        needed: dict[str, ColumnKind] = dict.fromkeys(self.by, "any")
        reads = [aggregate.kinds() for aggregate in _aggregates(self).values()]
        reads += [condition.kinds() for condition in _conditions(self).values()]
        for kinds in reads:
            for name, kind in kinds.items():
                if needed.get(name, "any") == "any":
                    needed[name] = kind
        return needed

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """No column passes; what leaves by the port ``late`` are the columns that enter."""
        return frozenset()

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The key columns and the start of the window."""
        return (*self.by, START)

    def process(self, batch: Batch) -> Outputs:
        """Take rows; those that are too late leave by the port ``late``."""
        if not len(batch):
            return ()
        late = self._state().add(batch)
        return () if late is None else ((LATE, batch.take(late)),)

    def advance(self, watermark: int) -> Outputs:
        """The windows that end at the watermark or before, by start and first-seen key."""
        return tuple((MAIN, batch) for batch in self._state().advance(watermark))

    def go_by(self, names: Names) -> None:
        """Each key goes by the watermarks of its own."""
        self._names = names

    def foremost(self) -> int:
        """The greatest watermark of a key."""
        return self._by_key().foremost

    def note(self, reached: Mapping[str, Reached]) -> None:
        """So far have the sources got."""
        self._by_key().note(reached)

    def advance_each(self, low: int, reached: Mapping[str, Reached]) -> Outputs:
        """The windows that end at the watermark of their key or before."""
        return tuple((MAIN, batch) for batch in self._by_key().advance_each(low, reached))

    def snapshot(self) -> State:
        """Keys, the state of live windows, corrections to come, and the watermark."""
        meta, arrays = self._state().save()
        return State(_VERSION, {**meta, "of": _described(self)}, arrays)

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of other windows."""
        _compare(saved, _described(self))
        self._running = _start(self)
        self._running.load(saved.meta, saved.arrays)

    def due(self) -> int | None:
        """The end of the next window of a grid, or of the first of the others."""
        return None if self._running is None else self._running.due

    def state_bytes(self) -> int:
        """The bytes of state held; texts are reckoned, not measured."""
        return 0 if self._running is None else self._running.nbytes

    def state_keys(self) -> int:
        """How many keys there are."""
        return 0 if self._running is None else len(self._running.known)

    def grows(self, batch: Batch) -> NDArray[np.bool_] | None:
        """The rows of keys that no window holds."""
        return self._state().known.grows(batch) if len(batch) else None

    def _state(self) -> Running:
        if self._running is None:
            self._running = _start(self)
        return self._running

    def _by_key(self) -> Keyed:
        running = self._state()
        assert isinstance(running, Keyed)
        return running


def _start(window: Window) -> Running:
    reads = [name for condition in _conditions(window).values() for name in condition.names]
    often, names = nanos(window.emit_every or "0s"), window._names
    if names is None:
        return Running(window.by, _aggregates(window), maker(window), reads, often)
    return Keyed(window.by, _aggregates(window), maker(window, True), reads, often, names)


def _aggregates(window: Window) -> Mapping[str, Aggregate]:
    return cast("Mapping[str, Aggregate]", window.aggregate)


def _conditions(window: Window) -> Mapping[str, Expr]:
    both = {"opens": window.opens, "closes": window.closes}
    return {name: expression(one) for name, one in both.items() if one is not None}


def _name_problems(window: Window) -> Iterator[Problem]:
    if not window.aggregate:
        yield Problem("there is no aggregate", ("aggregate",), "write aggregate: {n: count()}")
    for at, name in enumerate(window.by):
        if name in (START, END):
            yield Problem(f"{name} is a column of every window", ("by", at))
        elif name in window.by[:at]:
            yield Problem(f"{name} is there twice", ("by", at))
    for name in window.aggregate:
        if name in window.by:
            yield Problem(f"{name} is a key column", ("aggregate", name), "choose another name")
        elif name in (START, END):
            message = f"{name} is a column of every window"
            yield Problem(message, ("aggregate", name), "choose another name")


def _described(window: Window) -> dict[str, Any]:
    """What a snapshot is of: all that gives its arrays their meaning."""
    return {
        **described(window),
        "by": list(window.by),
        "aggregate": sorted({str(aggregate) for aggregate in _aggregates(window).values()}),
    }


def _compare(saved: State, now: Mapping[str, Any]) -> None:
    if saved.version != _VERSION:
        hint = "start with fresh state, or with the version that wrote it"
        raise ConfigError(Problem(f"the state has the unknown version {saved.version}", hint=hint))
    before = saved.meta["of"]
    hint = "go back to what it was, or start with fresh state"
    found = [
        Problem(f"the saved state is of {name} {before.get(name)}", (name,), hint)
        for name in now
        if before.get(name) != now[name]
    ]
    if found:
        raise ConfigError(found)
