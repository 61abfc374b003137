"""``join``: rows of two inputs that belong together, as one row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import MISSING, Array, Batch, Column, Dictionary, Strings
from edgestream.component import MAIN, OVERFLOW, Operator, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Fatal, Problem, did_you_mean
from edgestream.operators.joining import Joined, Joining, Nearby, Rule
from edgestream.operators.matching import Rows
from edgestream.schema import ColumnKind, Schema

LATE = "late"
SIDE = "side"
_VERSION = 2
_TEN_YEARS = 3650 * 86_400_000_000_000


@component(
    "join",
    examples=(
        "join: {left: readings, right: alarms, on: device, within: 5s}",
        "join: {left: readings, right: weather, on: site, asof: backward, tolerance: 10m}",
        "join: {left: power, right: price, on: site, tumbling: 1h, kind: left}",
    ),
)
class Join(Operator):
    """Make one row of two that belong together, one of each of two inputs.

    It is the first step of a stream with ``from: [readings, alarms]``; ``left`` and ``right`` name
    these as ``from`` does. Rows belong together when their columns ``on`` are equal (a missing
    value equals nothing; without ``on`` all rows have the same key) and

    - ``within: 5s``: their event times are that far apart or less; each such pair gives a row,
      with the later of their times;
    - ``asof: backward``: the right row is the newest of its key at the time of the left one or
      before, not older than ``tolerance``; each left row gives one row at most, with its time;
    - ``tumbling: 10s``: they are in the same window of that length, aligned to the epoch in UTC;
      each such pair gives a row, with the last nanosecond of the window as its time.

    With ``kind: left`` a left row that matches nothing leaves too, its right columns missing, once
    that is certain (its time is then that moment: ``within`` later, the end of its window). Whole
    numbers and true or false of the right become numbers then. With ``kind: inner`` it is gone.

    The missing right columns are there from the first row on where it is known what they hold: the
    input is a window, say, or its source is told (``decode: {json: {columns: {level: float}}}``).
    Others are there from the first right row on, and stay, after a restart too: before that row
    nothing can know that there will be such a column, nor whether it holds numbers or text.

    A row that leaves has the columns of the left and those of the right but ``on``; where both
    have a column of the same name, ``suffix`` is put after that of the right.

    Rows leave when the watermark of both inputs has passed, in the order of their times. Nothing
    is kept that can match no row to come: ``within`` or ``tolerance`` behind the watermark, or
    without ``tolerance`` one right row a key. A row before the watermark leaves by the port
    ``late``, with the input it came from in a column ``side``.
    """

    ports = (LATE, OVERFLOW)
    gathers: ClassVar[bool] = True

    left: str = option(help="An input, as `from` names it.", example="readings")
    right: str = option(help="The other input.", example="alarms")
    on: Sequence[str] = option(default=(), help="The columns that must be equal.", example="device")
    within: Duration | None = option(
        default=None,
        help="Match rows whose event times are this far apart or less.",
        maximum=_TEN_YEARS,
        example="5s",
    )
    asof: Literal["backward"] | None = option(
        default=None, help="Match each left row with the newest right row before it."
    )
    tolerance: Duration | None = option(
        default=None,
        help="How much older that right row may be; by default any age.",
        maximum=_TEN_YEARS,
        example="10m",
    )
    tumbling: Duration | None = option(
        default=None,
        help="Match rows in the same window of this length.",
        maximum=_TEN_YEARS,
        example="10s",
    )
    kind: Literal["inner", "left"] = option(
        default="inner", help="Whether left rows without a match leave as well."
    )
    suffix: str = option(default="_right", help="Stands after names that the left has as well.")
    _joining: Joining | None = state()
    _known: Mapping[str, ColumnKind] = state(dict)
    """The right columns of which it is known from the start what they hold."""
    _lefts: frozenset[str] = state(frozenset)
    """The left columns that are known from the start."""

    migrations: ClassVar[Mapping[int, Callable[[State], State]]] = {
        1: lambda saved: State(2, {**saved.meta, "kinds": {}}, saved.arrays)
    }

    def check(self) -> None:
        """One way of matching, with what belongs to it."""
        ways = [name for name in ("within", "asof", "tumbling") if getattr(self, name) is not None]
        problems = []
        if len(ways) != 1:
            hint = "give one of within, asof and tumbling"
            said = " and ".join(ways) if ways else "nothing"
            problems.append(Problem(f"{said} says which rows match", (*ways[1:2],), hint))
        if self.tolerance is not None and self.asof is None:
            problems.append(Problem("tolerance belongs to asof", ("tolerance",), "give asof too"))
        if self.tumbling is not None and not nanos(self.tumbling):
            problems.append(Problem("must be longer than nothing", ("tumbling",), "write 10s"))
        if self.left == self.right:
            hint = "name two inputs of the stream"
            problems.append(Problem("both sides are the same input", ("right",), hint))
        if problems:
            raise ConfigError(problems)

    def infer_sides(self, schemas: Mapping[str, Schema]) -> Schema:
        """The columns of both sides; `ConfigError` where there are not these two."""
        problems = [
            Problem(f"the stream has no input {name!r}", (place,), did_you_mean(name, schemas))
            for place, name in (("left", self.left), ("right", self.right))
            if name not in schemas
        ]
        if problems or len(schemas) != 2:
            hint = f"make it the first step of a stream with from: [{self.left}, {self.right}]"
            problems.append(Problem("a join takes two inputs", (), hint))
            raise ConfigError(problems)
        left, right = schemas[self.left], schemas[self.right]
        problems = [*_unlike(self.on, left, right)]
        if problems:
            raise ConfigError(problems)
        self._lefts = frozenset(left.fields)
        self._known = {name: kind for name, kind in right.fields.items() if kind != "any"}
        kinds: dict[str, ColumnKind] = dict(left.fields)
        for name, kind in right.fields.items():
            if name not in self.on:
                optional = self.kind == "left" and kind in ("int", "bool")
                kinds[name + self.suffix if name in left.fields else name] = (
                    "float" if optional else kind
                )
        return Schema(kinds, left.open or right.open)

    def port_schema(self, port: str, schema: Schema) -> Schema:
        """The columns of either input; by ``late`` also which it was."""
        return schema.with_fields({SIDE: "string"}) if port == LATE else schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The columns that must be equal, of any kind."""
        return dict.fromkeys(self.on, "any")

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """None: a row may match several."""
        return ()

    def process(self, batch: Batch) -> Outputs:
        """Rows whose input is not known cannot be joined."""
        raise Fatal("a join takes rows by process_from: they come from one of two inputs")

    def process_from(self, side: str, batch: Batch) -> Outputs:
        """Take rows of an input; those that are too late leave by the port ``late``."""
        if not len(batch):
            return []
        late = self._running().add(side == self.right, batch)
        if late is None:
            return []
        rows = batch.take(np.flatnonzero(late))
        said = Strings.of([side])[np.zeros(len(rows), np.intp)]
        return [(LATE, Batch({**rows.columns, SIDE: said}, rows.times))]

    def advance(self, watermark: int) -> Outputs:
        """The rows that the watermark makes certain, in the order of their times."""
        joined = self._running().advance(watermark)
        return [] if joined is None else [(MAIN, self._rows(joined))]

    def snapshot(self) -> State:
        """The rows that may still be needed, and the watermark."""
        meta, arrays = self._running().save()
        return State(_VERSION, {**meta, "of": _described(self)}, arrays)

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another join."""
        if saved.version != _VERSION:
            hint = "start with fresh state, or with the version that wrote it"
            message = f"the state has the unknown version {saved.version}"
            raise ConfigError(Problem(message, hint=hint))
        hint = "go back to what it was, or start with fresh state"
        problems = [
            Problem(f"the saved state is of {name} {saved.meta['of'].get(name)}", (name,), hint)
            for name, value in _described(self).items()
            if saved.meta["of"].get(name) != value
        ]
        if problems:
            raise ConfigError(problems)
        self._joining = None
        self._running().load(saved.meta, saved.arrays)

    def state_bytes(self) -> int:
        """The bytes of the rows of both sides and of their keys."""
        return 0 if self._joining is None else self._joining.nbytes

    def state_keys(self) -> int:
        """How many keys there are."""
        return 0 if self._joining is None else self._joining.keys

    def grows(self, batch: Batch) -> NDArray[np.bool_] | None:
        """All rows: each of them would be kept."""
        return np.ones(len(batch), np.bool_) if len(batch) else None

    def _running(self) -> Joining:
        if self._joining is None:
            made = Joining if self.within is None else Nearby
            self._joining = made(self.on, _rule(self))
        return self._joining

    def _rows(self, joined: Joined) -> Batch:
        columns: dict[str, Column] = {
            name: column[joined.lefts] for name, column in joined.left.columns.items()
        }
        right, outer = joined.right.columns, self.kind == "left"
        kinds = {**joined.kinds, **self._known} if outer else {}
        for name in dict.fromkeys([*self._known, *joined.kinds, *right]):
            named = name + self.suffix if name in joined.names | self._lefts else name
            if name in self.on:
                continue
            if name in right and len(right[name]):
                columns[named] = _taken(right[name], joined.rights, optional=outer)
            elif name in kinds:
                columns[named] = _missing(kinds[name], len(joined.rights))
        return Batch(columns, joined.times)


def _taken(column: Column, rows: Rows, *, optional: bool) -> Column:
    """The rows of a column, missing where the position is −1."""
    if not optional:
        return column[rows]
    none = rows < 0
    if isinstance(column, Strings):
        codes = column.codes[rows]
        codes[none] = MISSING
        return Strings(codes, column.dictionary)
    if column.dtype.kind in "ib":
        column = column.astype(np.float64)
    taken: Array = column[rows]
    taken[none] = np.datetime64("NaT") if column.dtype.kind == "M" else np.nan
    return taken


def _missing(kind: ColumnKind, rows: int) -> Column:
    """A column in which every value is missing."""
    if kind == "string":
        return Strings(np.full(rows, MISSING, np.int32), Dictionary())
    if kind == "time":
        return np.full(rows, np.datetime64("NaT"), "datetime64[us]")
    return np.full(rows, np.nan)


def _unlike(on: Sequence[str], left: Schema, right: Schema) -> Iterator[Problem]:
    """The columns that are not on both sides, or are text on one and not on the other."""
    for at, name in enumerate(on):
        kinds = []
        for side, schema in (("left", left), ("right", right)):
            try:
                kinds.append(schema.kind(name))
            except ConfigError as error:
                yield from (
                    replace(problem, message=f"{side}: {problem.message}").under("on", at)
                    for problem in error.problems
                )
        if len(set(kinds)) > 1 and "any" not in kinds and {"string", "time"} & set(kinds):
            message = f"{name!r} is {kinds[0]} on the left and {kinds[1]} on the right"
            yield Problem(message, ("on", at), "columns that must be equal hold the same kind")


def _rule(join: Join) -> Rule:
    """How rows match."""
    outer = join.kind == "left"
    if join.within is not None:
        return Rule("within", int(nanos(join.within)), outer)
    if join.tumbling is not None:
        return Rule("tumbling", int(nanos(join.tumbling)), outer)
    return Rule("asof", -1 if join.tolerance is None else int(nanos(join.tolerance)), outer)


def _described(join: Join) -> dict[str, Any]:
    """What a snapshot is of."""
    names = ("within", "asof", "tolerance", "tumbling", "kind")
    said = {name: getattr(join, name) for name in names}
    plain = {name: None if value is None else str(value) for name, value in said.items()}
    return {**plain, "on": list(join.on)}
