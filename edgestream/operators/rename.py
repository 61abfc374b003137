"""``rename``: give columns other names."""

from __future__ import annotations

from collections.abc import Mapping

from edgestream.batch import Batch
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.config.fields import option
from edgestream.errors import ConfigError, Problem
from edgestream.operators.names import known_names
from edgestream.schema import Schema


@component("rename", shorthand="columns", examples=("rename: {temp: temperature, hum: humidity}",))
class Rename(Operator):
    """Give columns other names; all at once, so two may change places.

    Key columns stay key columns under their new name. Where rows bring a column that nobody
    announced under a new name, the renamed one takes its place.
    """

    columns: Mapping[str, str] = option(help="Old name → new name.", example="{temp: temperature}")

    def check(self) -> None:
        """At least one name; no two become one."""
        if not self.columns:
            raise ConfigError(Problem("no column is named", ("columns",), "write {old: new}"))
        taken: dict[str, str] = {}
        for old, new in self.columns.items():
            if not new or not old:
                raise ConfigError(Problem("a column name cannot be empty", ("columns", old)))
            if new in taken:
                message = f"{taken[new]!r} and {old!r} would both be called {new!r}"
                raise ConfigError(Problem(message, ("columns", old)))
            taken[new] = old

    def infer(self, schema: Schema) -> Schema:
        """The columns under their new names; `ConfigError` where a name is taken or not there."""
        known_names(self.columns, schema)
        for old, new in self.columns.items():
            if new in schema.fields and new not in self.columns:
                hint = f"drop {new!r} first, or choose another name"
                message = f"there is a column {new!r} already"
                raise ConfigError(Problem(message, ("columns", old), hint))
        absent = {new: schema.kind(old) for old, new in self.columns.items()}
        fields = {self.columns.get(name, name): kind for name, kind in schema.fields.items()}
        return Schema({**fields, **absent}, schema.open)

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it, under the names of before."""
        if wanted is None:
            return None
        before = {new: old for old, new in self.columns.items()}
        kept = {before.get(name, name) for name in wanted}
        gone = set(self.columns) - set(before)
        return frozenset(kept - {name for name in gone if self.columns[name] not in wanted})

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The same columns under their new names."""
        return tuple(self.columns.get(key, key) for key in keys)

    def process(self, batch: Batch) -> Outputs:
        """The rows under the new names."""
        if not len(batch):
            return []
        taken = {new for old, new in self.columns.items() if old in batch}
        columns = {
            self.columns.get(name, name): column
            for name, column in batch.columns.items()
            if name in self.columns or name not in taken
        }
        return [(MAIN, Batch(columns, batch.times, self.keys(batch.keys)))]
