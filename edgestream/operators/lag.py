"""``lag``: the value that a key had before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgestream.batch import NAT, Batch
from edgestream.component import MAIN, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema
from edgestream.operators.runs import Recent
from edgestream.schema import ColumnKind, Schema


@component(
    "lag",
    shorthand="column",
    examples=(
        "lag: {column: temperature, by: device}",
        "lag: {column: counter, by: [site, meter], as: before, time: before_at}",
        "lag: {column: level, by: tank, steps: 3, as: third_last, forget: 7d}",
    ),
)
class Lag(PerKey):
    """Put the value that a key had before beside each row, so that ``set`` can compare the two.

    Rows of a key count in the order in which they come; put ``sort`` before it where they come
    out of order. The value is that of the nearest row before that has one (with ``steps: 3`` the
    third such value back); it is missing for the first rows of a key. ``time`` names a column for
    the event time of the row that the value came with.

    A rate, for example: ``lag: {column: energy, by: meter, time: then}`` and then
    ``set: {power: (energy - previous) / (ts - epoch(then))}``, where ``ts`` are epoch seconds.

    A key whose last row lies ``forget`` behind the watermark is forgotten.
    """

    column: str = option(help="The column whose earlier value is wanted.", example="temperature")
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    steps: int = option(default=1, help="How many values back.", minimum=1, maximum=1000)
    as_: str = option(default="previous", help="The name of the column for the value.")
    time: str = option(default="", help="The name of a column for the time of that value.")
    forget: Duration = option(
        default="1d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()

    def check(self) -> None:
        """Names that do not clash."""
        check_by(self.by)
        for field, name in (("as", self.as_), ("time", self.time)):
            if name in self.by:
                hint = "choose another name"
                raise ConfigError(Problem(f"{name!r} is a key column", (field,), hint))
        if not self.as_ or self.as_ == self.time:
            raise ConfigError(Problem("needs a name of its own", ("as",)))

    def infer(self, schema: Schema) -> Schema:
        """The columns that enter, the value of before, and its time."""
        check_schema(schema, {"column": self.column, "by": self.by})
        kind = schema.kind(self.column)
        # What is missing in the first rows of a key makes whole numbers floats.
        kinds: dict[str, ColumnKind] = {self.as_: "float" if kind in ("int", "bool") else kind}
        if self.time:
            kinds[self.time] = "time"
        return schema.with_fields(kinds)

    def uses(self) -> Mapping[str, ColumnKind]:
        """The column and the key columns, of any kind."""
        return dict.fromkeys((self.column, *self.by), "any")

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it, without what is added here."""
        return None if wanted is None else wanted - {self.as_, self.time}

    def process(self, batch: Batch) -> Outputs:
        """The rows with the value of before."""
        if not len(batch):
            return ()
        table = self._state()
        runs = table.runs(batch)
        kept = table.kept["value"]
        bits = kept.bits(batch.columns.get(self.column), len(batch))[runs.order]
        held = bits != NAT
        recent = Recent(runs, bits, held, kept.values[runs.slots])
        columns = {self.as_: kept.column(runs.back(recent.oldest()))}
        kept.values[runs.slots] = recent.kept()
        if self.time:
            times = table.columns["time"]
            seen = Recent(runs, batch.times[runs.order] // 1000, held, times[runs.slots])
            columns[self.time] = runs.back(seen.oldest()).view("datetime64[us]")
            times[runs.slots] = seen.kept()
        return ((MAIN, batch.with_columns(**columns)),)

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; keys are forgotten."""
        self._state().advance(watermark)
        return ()

    def snapshot(self) -> State:
        """The keys with their last values."""
        return self._state().save(self._of())

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another lag."""
        self._state().load(saved, self._of())

    def _state(self) -> Table:
        if self._table is None:
            blank = {"time": np.full(self.steps, NAT)} if self.time else {}
            self._table = Table(self.by, nanos(self.forget), blank, {"value": self.steps})
        return self._table

    def _of(self) -> dict[str, object]:
        timed = bool(self.time)
        return {"by": list(self.by), "column": self.column, "steps": self.steps, "timed": timed}
