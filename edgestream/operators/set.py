"""``set``: add columns, or replace them, by expressions."""

from __future__ import annotations

from collections.abc import Mapping

from edgestream.batch import Batch
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.config.fields import option
from edgestream.errors import ConfigError, Problem
from edgestream.expr import Expr, expression
from edgestream.schema import ColumnKind, Schema


@component(
    "set",
    shorthand="columns",
    examples=(
        "set: {fahrenheit: temperature * 9 / 5 + 32}",
        """\
set:
  volts: raw * 3.3 / 4095
  state: if(volts < 2.9, 'low', 'ok')
  site: "'north'"
""",
    ),
)
class Set(Operator):
    """Add columns, or replace them, each by an expression.

    They are computed in order: a later one may use an earlier one. A constant text stands in
    quotes of its own: ``site: "'north'"``.
    """

    columns: Mapping[str, Expr | str] = option(
        help="Column name → expression.", example="{fahrenheit: temperature * 9 / 5 + 32}"
    )

    def check(self) -> None:
        """At least one column, each with a name."""
        if not self.columns or "" in self.columns:
            hint = "write set: {name: expression}"
            raise ConfigError(Problem("a column to set has no name", ("columns",), hint))

    def infer(self, schema: Schema) -> Schema:
        """The columns that enter and those that are set; every problem at once."""
        problems: list[Problem] = []
        for name, value in self.columns.items():
            kind: ColumnKind = "any"
            try:
                kind = expression(value).check(schema)
            except ConfigError as error:
                problems += [problem.under("columns", name) for problem in error.problems]
            schema = schema.with_fields({name: kind})
        if problems:
            raise ConfigError(problems)
        return schema

    def infer_roughly(self, schema: Schema) -> Schema:
        """The columns that enter and those that are set, of any kind."""
        return schema.with_fields(dict.fromkeys(self.columns, "any"))

    def uses(self) -> Mapping[str, ColumnKind]:
        """The columns read before they are set."""
        used: dict[str, ColumnKind] = {}
        made: set[str] = set()
        for name, value in self.columns.items():
            for column, kind in expression(value).kinds().items():
                if column not in made and used.get(column, "any") == "any":
                    used[column] = kind
            made.add(name)
        return used

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it, without what is set here."""
        return None if wanted is None else wanted - frozenset(self.columns)

    def process(self, batch: Batch) -> Outputs:
        """The same rows with the columns set."""
        if not len(batch):
            return []
        for name, value in self.columns.items():
            column = expression(value).evaluate(batch)
            batch = Batch({**batch.columns, name: column}, batch.times, batch.keys)
        return [(MAIN, batch)]
