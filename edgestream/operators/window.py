"""The operator ``window``: rows into windows of time, and aggregates out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate import Aggregate
from edgestream.aggregate.pool import Pool
from edgestream.batch import Batch
from edgestream.component import MAIN, OVERFLOW, Operator, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.schema import ColumnKind, Schema
from edgestream.window.aligned import Aligned
from edgestream.window.kind import Kind
from edgestream.window.running import END, START, Running
from edgestream.window.sessions import Sessions

LATE = "late"
_VERSION = 1
_MICRO = 1000
"""``window_start`` is kept in microseconds; a length of less would make two of them equal."""
_TEN_YEARS = 3650 * 86_400_000_000_000
_KINDS = ("tumbling", "hopping", "session")


@component(
    "window",
    examples=(
        "window: {tumbling: 10s, by: device, aggregate: {n: count(), avg: mean(temperature)}}",
        "window: {hopping: 1m, every: 5s, by: [site, device], aggregate: {peak: max(power)}}",
        "window: {session: 30s, max: 1h, by: user, late: 5m, aggregate: {clicks: count()}}",
    ),
)
class Window(Operator):
    """Group rows into windows of event time and compute aggregates of each.

    Exactly one of ``tumbling``, ``hopping`` and ``session`` says which windows. Intervals are
    closed at the start and open at the end. Tumbling and hopping windows are aligned to the
    epoch, in UTC, also before 1970. A session ends where no row comes for its time; ``max`` cuts
    it where a row comes that long or longer after its first.

    One row leaves for each window and key: the key columns, ``window_start``, ``window_end`` (not
    part of the window) and the aggregates. ``(keys, window_start)`` identifies it. Without ``by``
    all rows are one group; rows without a key are a group of their own. A window without rows is
    not emitted.

    A window leaves once the watermark has reached its end. A row that comes after that is counted
    as long as the window is not older than ``late``, and the corrected window leaves again as a
    whole; sinks that upsert then replace it. (A late row may give a session an earlier start:
    it then leaves under the new one.) A row whose windows are all gone, or whose time lies
    outside 1752 to 2200, leaves unchanged by the port ``late``.

    Aggregates: ``count()``, and ``count sum mean min max stddev first last`` of an expression.
    Missing values, NaN among them, are skipped; of no value at all, ``count`` is 0 and all others
    are missing. ``sum`` is a float, also of integers. ``stddev`` is that of a sample (n − 1), as
    in SQL and pandas: missing for a single value. ``first`` and ``last`` go by event time, then
    by arrival. Infinities go through sums, means and extremes; where they make no number, as
    in the stddev or in inf − inf, the result is missing.
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
    every: Duration | None = option(
        default=None, help="How far hopping windows are apart.", maximum=_TEN_YEARS, example="5s"
    )
    session: Duration | None = option(
        default=None, help="A gap of this length ends a session.", maximum=_TEN_YEARS, example="30s"
    )
    max: Duration | None = option(
        default=None, help="The longest a session may be.", maximum=_TEN_YEARS, example="1h"
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
    _running: Running | None = state(factory=lambda: None)

    def check(self) -> None:
        """One kind of window, with what belongs to it; names that do not clash."""
        problems = [*_kind_problems(self), *_name_problems(self)]
        if problems:
            raise ConfigError(problems)

    def infer(self, schema: Schema) -> Schema:
        """Keys, the bounds of the window, and the aggregates."""
        kinds: dict[str, ColumnKind] = {}
        problems: list[Problem] = []
        for name in self.by:
            try:
                kinds[name] = schema.kind(name)
            except ConfigError as error:
                problems += [problem.under("by") for problem in error.problems]
        kinds |= {START: "time", END: "time"}
        for name, aggregate in _aggregates(self).items():
            try:
                kinds[name] = aggregate.check(schema)
            except ConfigError as error:
                problems += [problem.under("aggregate", name) for problem in error.problems]
        if problems:
            raise ConfigError(problems)
        return Schema.of_kinds(kinds)

    def uses(self) -> Mapping[str, ColumnKind]:
        """The key columns, of any kind, and what the aggregates read."""
        needed: dict[str, ColumnKind] = dict.fromkeys(self.by, "any")
        for aggregate in _aggregates(self).values():
            for name, kind in aggregate.kinds().items():
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

    def snapshot(self) -> State:
        """Keys, the state of live windows, corrections to come, and the watermark."""
        meta, arrays = self._state().save()
        return State(_VERSION, {**meta, "of": _described(self)}, arrays)

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of other windows."""
        _compare(saved, _described(self))
        self._running = _start(self)
        self._running.load(saved.meta, saved.arrays)

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


def _start(window: Window) -> Running:
    return Running(window.by, _aggregates(window), _maker(window))


def _maker(window: Window) -> Callable[[Pool], Kind]:
    """What makes the windows of the one kind that is given."""
    late = nanos(window.late)
    if window.tumbling is not None:
        size = nanos(window.tumbling)
        return lambda pool: Aligned(pool, size, size, late)
    if window.hopping is not None and window.every is not None:
        length, every = nanos(window.hopping), nanos(window.every)
        return lambda pool: Aligned(pool, length, every, late)
    gap, most = nanos(window.session or "0s"), nanos(window.max or "0s")
    return lambda pool: Sessions(pool, gap, most, late)


def _aggregates(window: Window) -> Mapping[str, Aggregate]:
    return cast("Mapping[str, Aggregate]", window.aggregate)


def _kind_problems(window: Window) -> Iterator[Problem]:
    given = [kind for kind in _KINDS if getattr(window, kind) is not None]
    if not given:
        yield Problem("which windows? none is given", hint="give one of " + ", ".join(_KINDS))
    for other in given[1:]:
        yield Problem(f"{other} stands beside {given[0]}", (other,), "give only one of them")
    for name in (*_KINDS, "every", "max"):
        value = getattr(window, name)
        if value is not None and (value == 0 or value % _MICRO):
            yield Problem(f"must be one or more whole microseconds, got {value}", (name,))
    if window.hopping is not None and window.every is None:
        hint = "write every: 5s, or tumbling if they do not overlap"
        yield Problem("hopping windows need every", ("hopping",), hint)
    for name, owner in (("every", "hopping"), ("max", "session")):
        value, whole = getattr(window, name), getattr(window, owner)
        if value is not None and whole is None:
            yield Problem(f"{name} belongs to {owner}", (name,), f"give {owner} as well")
        elif value is not None and name == "every" and value > whole:
            message = f"{value} is longer than the window of {whole}"
            yield Problem(message, (name,), "rows between two windows would be lost")
        elif value is not None and name == "max" and value < whole:
            yield Problem(f"{value} is shorter than the gap of {whole}", (name,))


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
    lengths = {name: getattr(window, name) for name in (*_KINDS, "every", "max")}
    return {
        **{name: None if value is None else str(value) for name, value in lengths.items()},
        "by": list(window.by),
        "aggregate": sorted({str(aggregate) for aggregate in _aggregates(window).values()}),
    }


def _compare(saved: State, now: Mapping[str, Any]) -> None:
    if saved.version != _VERSION:
        hint = "start with fresh state, or with the version that wrote it"
        raise ConfigError(Problem(f"the state has the unknown version {saved.version}", hint=hint))
    before = saved.meta["of"]
    hint = "go back to what it was, or start with fresh state"
    problems = [
        Problem(f"the saved state is of {name} {before.get(name)}", (name,), hint)
        for name in now
        if before.get(name) != now[name]
    ]
    if problems:
        raise ConfigError(problems)
