"""``where``: keep the rows for which a condition holds."""

from __future__ import annotations

from collections.abc import Mapping

from edgestream.batch import Batch
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.config.fields import option
from edgestream.expr import Expr, expression
from edgestream.operators.condition import check_condition
from edgestream.schema import ColumnKind, Schema


@component(
    "where",
    shorthand="condition",
    examples=(
        "where: temperature > -40 and temperature < 85",
        "where: device in ('kitchen', 'attic') and humidity is not missing",
    ),
)
class Where(Operator):
    """Keep the rows for which a condition is true.

    A comparison with a missing value is false, so a row without the column does not pass; write
    ``x is missing or x > 3`` to let it. Rows that do not pass are gone on purpose.
    """

    condition: Expr | str = option(
        help="What must be true of a row, as an expression.", example="temperature > 20"
    )

    def infer(self, schema: Schema) -> Schema:
        """The same columns; `ConfigError` where the condition is none."""
        check_condition(self.condition, schema, "condition")
        return schema

    def infer_roughly(self, schema: Schema) -> Schema:
        """The same columns, whatever is wrong with the condition."""
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The columns of the condition."""
        return expression(self.condition).kinds()

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """The rows for which the condition is true."""
        kept = expression(self.condition).mask(batch).nonzero()[0]
        if not len(kept):
            return []
        return [(MAIN, batch if len(kept) == len(batch) else batch.take(kept))]
