"""What operators that name columns have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgestream.batch import Batch, Column
from edgestream.errors import ConfigError, Problem
from edgestream.schema import Schema


def check_names(names: Sequence[str], path: str = "columns") -> None:
    """At least one name, none empty, none twice; raises `ConfigError`."""
    if not names:
        raise ConfigError(Problem("no column is named", (path,), "write [name, name]"))
    for index, name in enumerate(names):
        if not name:
            raise ConfigError(Problem("a column name cannot be empty", (path, index)))
        if name in names[:index]:
            raise ConfigError(Problem(f"{name!r} is named twice", (path, index)))


def known_names(names: Iterable[str], schema: Schema, path: str = "columns") -> None:
    """Raise `ConfigError` with every name that is no column of the schema."""
    problems: list[Problem] = []
    for index, name in enumerate(names):
        place = name if isinstance(names, Mapping) else index
        try:
            schema.kind(name)
        except ConfigError as error:
            problems += [problem.under(path, place) for problem in error.problems]
    if problems:
        raise ConfigError(problems)


def narrowed(batch: Batch, columns: Mapping[str, Column]) -> Batch:
    """The rows of a batch with some of its columns.

    Where a key column is gone there are no keys any more: what is left of them names other rows.
    """
    whole = all(key in columns for key in batch.keys)
    return Batch(columns, batch.times, batch.keys if whole else ())
