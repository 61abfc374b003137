"""The columns that a codec was told, as a list of names or as names with kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from edgestream.batch import Batch, Column, Strings, to_python
from edgestream.codecs.columns import Declared
from edgestream.codecs.json_encode import rfc3339
from edgestream.codecs.json_spots import unusable
from edgestream.errors import ConfigError, Problem, did_you_mean
from edgestream.schema import Schema

Told: TypeAlias = Sequence[str] | Mapping[str, Declared] | None


def refuse_names(columns: Told) -> None:
    """Raise `ConfigError` for names that no field can have, or that come twice."""
    problems = []
    seen: set[str] = set()
    for index, name in enumerate(columns or ()):
        place = ("columns", name if isinstance(columns, Mapping) else index)
        if unusable(name):
            problems.append(Problem(f"{name!r} cannot name a column", place))
        if name in seen:
            problems.append(Problem(f"the column {name!r} comes twice", place))
        seen.add(name)
    if problems:
        raise ConfigError(problems)


def declared(columns: Told) -> Mapping[str, Declared | None] | None:
    """The kinds as far as they were told; None where no columns were."""
    if columns is None:
        return None
    return columns if isinstance(columns, Mapping) else dict.fromkeys(columns)


def schema_of(columns: Told) -> Schema:
    """What is known of the columns before any data came."""
    known = declared(columns)
    if known is None:
        return Schema.unknown()
    return Schema.of_kinds({name: kind or "any" for name, kind in known.items()})


def values_of(batch: Batch, names: Iterable[str] | None) -> dict[str, list[Any]]:
    """Plain values of columns, None where missing; times as RFC 3339."""
    wanted = list(batch.columns if names is None else names)
    unknown = [name for name in wanted if name not in batch]
    if unknown:
        hint = did_you_mean(unknown[0], batch.columns)
        raise ConfigError(Problem(f"there is no column {unknown[0]!r} to write", hint=hint))
    return {name: _values(batch[name]) for name in wanted}


def _values(column: Column) -> list[Any]:
    if not isinstance(column, Strings) and column.dtype.kind == "M":
        return rfc3339(column)
    return to_python(column)
