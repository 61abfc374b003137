"""``drop``: leave some columns out."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream.batch import Batch
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.config.fields import option
from edgestream.operators.names import check_names, known_names, narrowed
from edgestream.schema import Schema


@component("drop", shorthand="columns", examples=("drop: [topic, firmware]",))
class Drop(Operator):
    """Leave the named columns out; all others stay.

    Where a key column of a window (what a sink upserts by) is dropped, the rows have no key any
    more and are appended.
    """

    columns: Sequence[str] = option(help="The columns to leave out.", example="[topic]")

    def check(self) -> None:
        """At least one name, none of them twice."""
        check_names(self.columns)

    def infer(self, schema: Schema) -> Schema:
        """All other columns; `ConfigError` for one that is not there."""
        known_names(self.columns, schema)
        kept = {name: kind for name, kind in schema.fields.items() if name not in self.columns}
        return Schema(kept, schema.open)

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it, without what is dropped."""
        return None if wanted is None else wanted - frozenset(self.columns)

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The same; none where one is dropped: what is left identifies no row."""
        return () if set(keys) & set(self.columns) else keys

    def process(self, batch: Batch) -> Outputs:
        """The rows without these columns."""
        if not len(batch):
            return []
        columns = {n: column for n, column in batch.columns.items() if n not in self.columns}
        return [(MAIN, narrowed(batch, columns))]
