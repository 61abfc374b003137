"""``fill``: something in the place of missing values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from edgestream.batch import NAT, Batch, Column, as_column
from edgestream.component import MAIN, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.operators.kept import Bits
from edgestream.operators.names import check_names
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema
from edgestream.operators.runs import Runs
from edgestream.schema import ColumnKind, Schema

_NUMBERS = ("bool", "int", "float")


@component(
    "fill",
    shorthand="columns",
    examples=(
        "fill: {columns: [temperature, humidity], by: device, max_age: 5m}",
        "fill: {columns: pulses, how: constant, value: 0}",
        "fill: {columns: state, how: constant, value: unknown}",
    ),
)
class Fill(PerKey):
    """Put a value where one is missing.

    ``how: hold`` takes the last value that the column had in the rows of the key; with
    ``max_age`` only as long as that value is not older, in event time, than the row. It is still
    missing where there was none. Rows of a key count in the order in which they come.
    ``how: constant`` puts ``value`` everywhere; a column that does not come at all counts as
    missing in every row.

    A key whose last row lies ``forget`` behind the watermark is forgotten.
    """

    columns: Sequence[str] = option(help="The columns to fill.", example="[temperature]")
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    how: Literal["hold", "constant"] = option(
        default="hold", help="The last value of the key, or always the same."
    )
    value: bool | float | str | None = option(
        default=None, help="The value for how: constant.", example="0"
    )
    max_age: Duration | None = option(
        default=None, help="How long a value is held.", minimum=1, example="5m"
    )
    forget: Duration = option(
        default="1d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()

    def check(self) -> None:
        """Each way of filling with what belongs to it."""
        check_names(self.columns)
        check_by(self.by)
        problems = list(_problems(self))
        if problems:
            raise ConfigError(problems)

    def infer(self, schema: Schema) -> Schema:
        """The same columns; `ConfigError` where the constant is of another kind than a column."""
        check_schema(schema, {"columns": self.columns, "by": self.by})
        problems: list[Problem] = []
        for index, name in enumerate(self.columns):
            kind = schema.kind(name)
            fitting = ("any", "string") if isinstance(self.value, str) else ("any", *_NUMBERS)
            if self.value is not None and kind not in fitting:
                message = f"{name!r} holds {kind} values; {self.value!r} is none"
                problems.append(Problem(message, ("columns", index)))
        if problems:
            raise ConfigError(problems)
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The columns and the key columns, of any kind."""
        return dict.fromkeys((*self.columns, *self.by), "any")

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """The rows with their columns filled."""
        if not len(batch):
            return ()
        table = self._state()
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
                fresh = runs.back(self._held(table, name, runs, bits[runs.order], batch))
            if not np.array_equal(fresh, bits):
                filled[name] = kept.column(fresh)
        return ((MAIN, batch.with_columns(**filled) if filled else batch),)

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; keys are forgotten."""
        self._state().advance(watermark)
        return ()

    def snapshot(self) -> State | None:
        """The keys with their last values; a constant needs none."""
        return None if self.value is not None else self._state().save(self._of())

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of other columns or keys."""
        self._state().load(saved, self._of())

    def _held(self, table: Table, name: str, runs: Runs, bits: Bits, batch: Batch) -> Bits:
        """For each sorted row its own value or the last one before; remembers the last."""
        kept, stamps = table.kept[name].values, table.columns[name]
        times = batch.times[runs.order]
        before, since = kept[runs.slots], stamps[runs.slots]
        at = runs.last(bits != NAT)
        values = np.where(at < 0, before[runs.of], bits[at])
        when = np.where(at < 0, since[runs.of], times[at])
        kept[runs.slots], stamps[runs.slots] = values[runs.ends], when[runs.ends]
        if self.max_age is None:
            return values
        return np.where(times - when > nanos(self.max_age), NAT, values)

    def _state(self) -> Table:
        if self._table is None:
            times = {name: np.array(0, np.int64) for name in self.columns}
            by = () if self.value is not None else self.by
            kept = dict.fromkeys(self.columns, 0)
            self._table = Table(by, nanos(self.forget), times, kept)
        return self._table

    def _of(self) -> dict[str, object]:
        return {"by": list(self.by), "columns": sorted(self.columns)}


def _problems(fill: Fill) -> Iterator[Problem]:
    if fill.how == "constant" and fill.value is None:
        yield Problem("which constant?", ("value",), "write value: 0")
    if fill.how == "hold" and fill.value is not None:
        yield Problem("belongs to how: constant", ("value",), "write how: constant as well")
    if fill.how == "constant" and fill.max_age is not None:
        yield Problem("belongs to how: hold", ("max_age",))
