"""``deadband``: only the rows in which a number has moved far enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch
from edgestream.component import MAIN, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema, numbers
from edgestream.operators.runs import Runs
from edgestream.schema import ColumnKind, Schema
from edgestream.window.lookup import Numbers

_NEVER = np.iinfo(np.int64).max


@component(
    "deadband",
    examples=(
        "deadband: {column: temperature, by: device, band: 0.5}",
        "deadband: {column: level, by: [site, tank], band: 2, at_least: 10m}",
    ),
)
class Deadband(PerKey):
    """Keep a row when its value has moved by ``band`` or more since the last row that was kept.

    The first row of a key passes. With ``at_least`` a row passes also when that much event time
    or more lies between it and the last that was kept, however little the value has moved. A slow
    drift is not lost: the distance is to what was kept, not to the row before. A row without a
    value never passes. Rows of a key count in the order in which they come.

    A key whose last row lies ``forget`` behind the watermark is forgotten: its next row passes.
    """

    column: str = option(help="The column of numbers that is watched.", example="temperature")
    band: float = option(help="How far the value must move.", minimum=0, example="0.5")
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    at_least: Duration | None = option(
        default=None, help="A row passes after so long in any case.", minimum=1, example="10m"
    )
    forget: Duration = option(
        default="1d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()

    def check(self) -> None:
        """Key columns with a name, each once."""
        check_by(self.by)

    def infer(self, schema: Schema) -> Schema:
        """The same columns."""
        check_schema(schema, {"column": self.column, "by": self.by}, numbers=["column"])
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The column as numbers, and the key columns."""
        return {**dict.fromkeys(self.by, "any"), self.column: "float"}

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """The rows that have moved."""
        if not len(batch):
            return ()
        table = self._state()
        values = numbers(batch, self.column)
        rows, runs = table.some(batch, values == values)
        if runs is None:
            return ()
        places = rows[runs.order]
        kept = places[self._choose(runs, values[places], batch.times[places], table)]
        return ((MAIN, batch.take(np.sort(kept))),) if len(kept) else ()

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; keys are forgotten."""
        self._state().advance(watermark)
        return ()

    def snapshot(self) -> State:
        """The keys with the values that were kept last."""
        return self._state().save(self._of())

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another column or key."""
        self._state().load(saved, self._of())

    def _choose(
        self, runs: Runs, values: NDArray[np.float64], times: NDArray[np.int64], table: Table
    ) -> Numbers:
        """The sorted rows that pass.

        Whether a row passes depends on those that passed before it. A key none of whose rows lies
        outside the band at the start of the batch keeps what it has: numpy finds that for all
        keys at once. The rows of the other keys are looked at one by one, 150 ns each; rounds
        over the k-th row of every key would cost 10 µs a round, and so a row of a lone key.
        """
        last, at = table.columns["value"], table.columns["time"]
        band, wait = self.band, _NEVER if self.at_least is None else nanos(self.at_least)
        before, since = last[runs.slots], at[runs.slots]
        with np.errstate(all="ignore"):
            moved = ~(np.abs(values - before[runs.of]) < band)
        moved |= times - since[runs.of] >= wait
        rows = np.flatnonzero(np.logical_or.reduceat(moved, runs.starts)[runs.of])
        if not len(rows):
            return rows
        chosen: list[int] = []
        value_of, time_of = before.tolist(), since.tolist()
        given = (rows.tolist(), runs.of[rows].tolist(), values[rows].tolist(), times[rows].tolist())
        for row, run, value, time in zip(*given, strict=True):
            if not abs(value - value_of[run]) < band or time - time_of[run] >= wait:
                value_of[run], time_of[run] = value, time
                chosen.append(row)
        last[runs.slots], at[runs.slots] = value_of, time_of
        return np.array(chosen, np.intp)

    def _state(self) -> Table:
        if self._table is None:
            blank = {"value": np.array(np.nan), "time": np.array(0, np.int64)}
            self._table = Table(self.by, nanos(self.forget), blank)
        return self._table

    def _of(self) -> dict[str, object]:
        return {"by": list(self.by), "column": self.column}
