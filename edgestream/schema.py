"""What is known of a stream's columns before any row came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edgestream.errors import ConfigError, Problem, did_you_mean

ColumnKind: TypeAlias = Literal["float", "int", "bool", "string", "time", "any"]
"""float64, int64, bool, text, ``datetime64[us]``, or not known yet."""
KINDS: tuple[ColumnKind, ...] = ("float", "int", "bool", "string", "time", "any")


@dataclass(frozen=True, slots=True)
class Schema:
    """Column names with their kinds; ``open`` means that other columns may come as well."""

    fields: Mapping[str, ColumnKind]
    open: bool = False

    @classmethod
    def unknown(cls) -> Schema:
        """Nothing is known: any column may come."""
        return cls({}, open=True)

    @classmethod
    def of_kinds(cls, kinds: Mapping[str, ColumnKind]) -> Schema:
        """Exactly these columns."""
        return cls(dict(kinds))

    def kind(self, name: str) -> ColumnKind:
        """The kind of a column; raises `ConfigError` where there can be no such column."""
        if name in self.fields:
            return self.fields[name]
        if self.open:
            return "any"
        hint = did_you_mean(name, self.fields)
        raise ConfigError(Problem(f"there is no column {name!r} here", hint=hint))

    def with_fields(self, kinds: Mapping[str, ColumnKind]) -> Schema:
        """The same with columns added or replaced."""
        return Schema({**self.fields, **kinds}, self.open)

    def only(self, names: Iterable[str]) -> Schema:
        """Only these columns."""
        return Schema({name: self.kind(name) for name in names})

    def merge(self, other: Schema) -> Schema:
        """Rows of either stream: a column whose kinds differ is ``any``."""
        fields = dict(self.fields)
        for name, kind in other.fields.items():
            fields[name] = kind if fields.get(name, kind) == kind else "any"
        return Schema(fields, self.open or other.open)
