"""``changed``: only the rows in which a value is another one than before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgestream.batch import NAT, Batch
from edgestream.component import MAIN, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema
from edgestream.schema import ColumnKind, Schema


@component(
    "changed",
    shorthand="column",
    examples=("changed: {column: state, by: device}", "changed: door"),
)
class Changed(PerKey):
    """Keep the rows in which a column holds another value than in the row of the key before.

    The first row of a key passes. A row without a value never passes and is not remembered:
    ``on``, missing, ``on`` is no change. For numbers that are never quite the same there is
    ``deadband``. Rows of a key count in the order in which they come.

    A key whose last row lies ``forget`` behind the watermark is forgotten: its next row passes.
    """

    column: str = option(help="The column that is watched, of any kind.", example="state")
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    forget: Duration = option(
        default="1d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()

    def check(self) -> None:
        """Key columns with a name, each once."""
        check_by(self.by)

    def infer(self, schema: Schema) -> Schema:
        """The same columns."""
        check_schema(schema, {"column": self.column, "by": self.by})
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The column and the key columns, of any kind."""
        return dict.fromkeys((self.column, *self.by), "any")

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """The rows with a change."""
        if not len(batch):
            return ()
        table = self._state()
        kept = table.kept["value"]
        bits = kept.bits(batch.columns.get(self.column), len(batch))
        rows, runs = table.some(batch, bits != NAT)
        if runs is None:
            return ()
        values = bits[rows[runs.order]]
        before = runs.previous(values, kept.values[runs.slots])
        kept.values[runs.slots] = values[runs.ends]
        changed = np.sort(rows[runs.order[values != before]])
        return ((MAIN, batch.take(changed)),) if len(changed) else ()

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; keys are forgotten."""
        self._state().advance(watermark)
        return ()

    def snapshot(self) -> State:
        """The keys with their last values."""
        return self._state().save(self._of())

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another column or key."""
        self._state().load(saved, self._of())

    def _state(self) -> Table:
        if self._table is None:
            self._table = Table(self.by, nanos(self.forget), {}, {"value": 0})
        return self._table

    def _of(self) -> dict[str, object]:
        return {"by": list(self.by), "column": self.column}
