"""``select``: keep some columns, in a given order."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream.batch import Batch
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.config.fields import option
from edgestream.operators.names import check_names, known_names, narrowed
from edgestream.schema import Schema


@component("select", shorthand="columns", examples=("select: [device, temperature]",))
class Select(Operator):
    """Keep only the named columns, in that order.

    Where a key column of a window (what a sink upserts by) is left out, the rows have no key any
    more and are appended.
    """

    columns: Sequence[str] = option(help="The columns to keep.", example="[device, temperature]")

    def check(self) -> None:
        """At least one name, none of them twice."""
        check_names(self.columns)

    def infer(self, schema: Schema) -> Schema:
        """Exactly these columns; `ConfigError` for one that is not there."""
        known_names(self.columns, schema)
        return schema.only(self.columns)

    def infer_roughly(self, schema: Schema) -> Schema:
        """Exactly these columns, those that are not there as well."""
        return Schema.of_kinds({name: schema.fields.get(name, "any") for name in self.columns})

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """Those of its columns that are wanted."""
        names = frozenset(self.columns)
        return names if wanted is None else names & wanted

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The same; none where one is left out: the others identify no row."""
        return keys if set(keys) <= set(self.columns) else ()

    def process(self, batch: Batch) -> Outputs:
        """The rows with these columns; one that did not come stays away."""
        if not len(batch):
            return []
        columns = {name: batch[name] for name in self.columns if name in batch}
        return [(MAIN, narrowed(batch, columns))]
