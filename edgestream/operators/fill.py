"""``fill``: something in the place of missing values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import NAT, Batch, Column, as_column
from edgestream.component import MAIN, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.operators.kept import Bits
from edgestream.operators.lines import Lines
from edgestream.operators.names import check_names
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema
from edgestream.operators.runs import Runs
from edgestream.schema import ColumnKind, Schema

Times = NDArray[np.int64]
_NUMBERS = ("bool", "int", "float")


@component(
    "fill",
    shorthand="columns",
    examples=(
        "fill: {columns: [temperature, humidity], by: device, max_age: 5m}",
        "fill: {columns: level, by: tank, how: linear, max_age: 10m}",
        "fill: {columns: pulses, how: constant, value: 0}",
        "fill: {columns: state, how: constant, value: unknown}",
    ),
)
class Fill(PerKey):
    """Put a value where one is missing.

    ``how: hold`` takes the last value that the column had in the rows of the key; with
    ``max_age`` only as long as that value is not older, in event time, than the row. It is still
    missing where there was none. Rows of a key count in the order in which they come.
    ``how: linear`` draws straight lines in event time between the readings of a key, the rows that
    have any of the columns. A row that has none of them waits until the next reading comes, or
    can only come more than ``max_age`` after the last: then it leaves as it came, as does a row
    before the first reading. Where one of several columns is missing in a reading it is missing
    on the lines to both sides. The columns become floats; a window behind it closes later by
    ``max_age``. ``how: constant`` puts ``value`` everywhere; a column that does not come at all
    counts as missing in every row.

    Put behind a window with ``emit_empty``, it fills the windows of silent keys. A key whose last
    row lies ``forget`` behind the watermark is forgotten.
    """

    columns: Sequence[str] = option(help="The columns to fill.", example="[temperature]")
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    how: Literal["hold", "linear", "constant"] = option(
        default="hold",
        help="The last value of the key, the line to its next one, or always the same.",
    )
    value: bool | float | str | None = option(
        default=None, help="The value for how: constant.", example="0"
    )
    max_age: Duration | None = option(
        default=None,
        help="How long a value is held; how far apart two readings with a line between may be.",
        minimum=1,
        example="5m",
    )
    forget: Duration = option(
        default="1d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()
    _lines: Lines | None = state()

    def check(self) -> None:
        """Each way of filling with what belongs to it."""
        check_names(self.columns)
        check_by(self.by)
        problems = list(_problems(self))
        if problems:
            raise ConfigError(problems)

    def infer(self, schema: Schema) -> Schema:
        """The same columns; `ConfigError` where the constant is of another kind than a column."""
        numbers = ("columns",) if self.how == "linear" else ()
        check_schema(schema, {"columns": self.columns, "by": self.by}, numbers)
        problems: list[Problem] = []
        for index, name in enumerate(self.columns):
            kind = schema.kind(name)
            fitting = ("any", "string") if isinstance(self.value, str) else ("any", *_NUMBERS)
            if self.value is not None and kind not in fitting:
                message = f"{name!r} holds {kind} values; {self.value!r} is none"
                problems.append(Problem(message, ("columns", index)))
        if problems:
            raise ConfigError(problems)
        linear = self.how == "linear"
        return schema.with_fields(dict.fromkeys(self.columns, "float")) if linear else schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The columns and the key columns, of any kind; lines are drawn between numbers."""
        kind: ColumnKind = "float" if self.how == "linear" else "any"
        return {**dict.fromkeys(self.by, "any"), **dict.fromkeys(self.columns, kind)}

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """The rows with their columns filled."""
        if not len(batch):
            return ()
        table = self._state()
        if self._lines is not None:
            made = self._lines.take(batch)
            return () if made is None else ((MAIN, made),)
        runs = table.runs(batch)
        filled: dict[str, Column] = {}
        for name in self.columns:
            kept = table.kept[name]
            column = batch.columns.get(name)
            if self.value is not None:
                value = kept.bits(as_column([self.value]), 1)
                bits = kept.bits(column, len(batch))
                fresh = np.where(bits == NAT, value, bits)
            else:
                bits = kept.bits(column, len(batch))
                times = batch.times[runs.order]
                found, ages = _last(table, name, runs, bits[runs.order], times)
                if self.max_age is not None:
                    found = np.where(ages > nanos(self.max_age), NAT, found)
                fresh = runs.back(found)
            if not np.array_equal(fresh, bits):
                filled[name] = kept.column(fresh)
        return ((MAIN, batch.with_columns(**filled) if filled else batch),)

    def advance(self, watermark: int) -> Outputs:
        """The rows that wait in vain; keys are forgotten."""
        table = self._state()
        if self._lines is None:
            table.advance(watermark)
            return ()
        made = self._lines.advance(watermark)
        return () if made is None else ((MAIN, made),)

    def behind(self) -> int:
        """How long rows may wait."""
        return int(nanos(self.max_age)) if self.how == "linear" and self.max_age else 0

    def state_bytes(self) -> int:
        """The bytes of keys and values, and of the rows that wait."""
        return super().state_bytes() + (0 if self._lines is None else self._lines.nbytes)

    def grows(self, batch: Batch) -> NDArray[np.bool_] | None:
        """The rows of new keys, and those that would wait."""
        new = super().grows(batch)
        if self._lines is None or not len(batch):
            return new
        gaps = self._lines.missing(batch)
        return gaps if new is None else new | gaps

    def snapshot(self) -> State | None:
        """The keys with their last values; a constant needs none."""
        table = self._state()
        if self._lines is not None:
            return self._lines.save(_of(self))
        return None if self.value is not None else table.save(_of(self))

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of other columns or keys."""
        self._table = self._lines = None
        table = self._state()
        (table if self._lines is None else self._lines).load(saved, _of(self))

    def _state(self) -> Table:
        if self._table is None:
            forget = nanos(self.forget)
            if self.how == "linear":
                self._lines = Lines(self.columns, self.by, self.behind(), forget)
                self._table = self._lines.table
                return self._table
            times = {name: np.array(0, np.int64) for name in self.columns}
            by = () if self.value is not None else self.by
            self._table = Table(by, forget, times, dict.fromkeys(self.columns, 0))
        return self._table


def _last(table: Table, name: str, runs: Runs, bits: Bits, times: Times) -> tuple[Bits, Times]:
    """For each sorted row its own value or the last one before, and its age; remembers the last."""
    kept, stamps = table.kept[name].values, table.columns[name]
    before, since = kept[runs.slots], stamps[runs.slots]
    at = runs.last(bits != NAT)
    values = np.where(at < 0, before[runs.of], bits[at])
    when = np.where(at < 0, since[runs.of], times[at])
    kept[runs.slots], stamps[runs.slots] = values[runs.ends], when[runs.ends]
    return values, times - when


def _of(fill: Fill) -> dict[str, object]:
    """What a snapshot is of."""
    linear = {"how": "linear"} if fill.how == "linear" else {}
    return {"by": list(fill.by), "columns": sorted(fill.columns), **linear}


def _problems(fill: Fill) -> Iterator[Problem]:
    if fill.how == "constant" and fill.value is None:
        yield Problem("which constant?", ("value",), "write value: 0")
    if fill.how != "constant" and fill.value is not None:
        yield Problem("belongs to how: constant", ("value",), "write how: constant")
    if fill.how == "constant" and fill.max_age is not None:
        yield Problem("belongs to how: hold and how: linear", ("max_age",))
    if fill.how == "linear":
        if fill.max_age is None:
            hint = "write max_age: 10m"
            yield Problem("how far apart may two readings be?", ("max_age",), hint)
        elif nanos(fill.forget) <= nanos(fill.max_age):
            message = f"rows wait {fill.max_age} for the next reading of their key"
            yield Problem(message, ("forget",), "forget keys later than that")
