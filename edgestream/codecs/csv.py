"""Comma-separated values, one row a payload."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgestream.batch import Batch, Column, Strings
from edgestream.codecs.columns import Declared
from edgestream.codecs.csv_table import Table
from edgestream.codecs.json_encode import plain
from edgestream.codecs.learner import Learner
from edgestream.codecs.names import schema_of
from edgestream.component import component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.errors import ConfigError, Problem, did_you_mean
from edgestream.schema import ColumnKind, Schema


@component(
    "csv",
    shorthand="columns",
    examples=(
        "decode: csv",
        "decode: {csv: [device, temperature]}",
        "decode: {csv: {columns: {device: string, temperature: float}, delimiter: ';'}}",
    ),
)
class Csv(Learner):
    """One row a payload, its fields between commas (or another ``delimiter``).

    ``columns`` names the fields in their order, and may say what they hold. Without it the first
    payload is taken as the header; a later payload that repeats it is read past. A payload of two
    lines brings its own header. What is left empty is missing; fields in double quotes may hold
    the delimiter, and ``""`` is a quote in them.

    Kinds are learnt as with `json`: whole numbers, numbers, true or false, text; `007` is text. A
    payload with more or fewer fields than columns, or with a field that does not fit its column,
    is rejected.
    """

    columns: Sequence[str] | Mapping[str, Declared] | None = option(
        default=None,
        help="The names of the fields in their order, or names and float, int, bool or string.",
        example="[device, temperature]",
    )
    delimiter: str = option(default=",", help="The character between fields.", example="';'")
    max_payload: Size = option(default="256KiB", help="A larger payload is rejected.", minimum=1)
    _engine: Table | None = state()

    def check(self) -> None:
        """One character delimits; every column has a name of its own."""
        problems = []
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            problems.append(Problem("must be one character, no quote or line end", ("delimiter",)))
        seen: set[str] = set()
        for index, name in enumerate(self.columns or ()):
            place = ("columns", name if isinstance(self.columns, Mapping) else index)
            if not name:
                problems.append(Problem("a column needs a name", place))
            if name in seen:
                problems.append(Problem(f"the column {name!r} comes twice", place))
            seen.add(name)
        if problems:
            raise ConfigError(problems)

    def schema(self) -> Schema:
        """The columns, where they are given."""
        return schema_of(self.columns)

    def _declared(self) -> Mapping[str, Declared]:
        return self.columns if isinstance(self.columns, Mapping) else {}

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on; what was learnt before is forgotten."""
        names = None if self.columns is None else tuple(self.columns)
        self._engine = Table(
            names, self._declared(), columns, kinds, self.delimiter, nbytes(self.max_payload)
        )

    def encode(self, batch: Batch) -> list[bytes]:
        """One line a row without a header: ``columns`` in their order, else all there are."""
        names = list(batch.columns if self.columns is None else self.columns)
        unknown = [name for name in names if name not in batch]
        if unknown:
            hint = did_you_mean(unknown[0], batch.columns)
            raise ConfigError(Problem(f"there is no column {unknown[0]!r} to write", hint=hint))
        lines: list[str] = []
        target = SimpleNamespace(write=lines.append)
        writer = csv.writer(target, delimiter=self.delimiter, lineterminator="")
        lists = [_cells(batch[name]) for name in names]
        writer.writerows(zip(*lists, strict=True) if lists else [()] * len(batch))
        return [line.encode() for line in lines]


def _cells(column: Column) -> list[Any]:
    """The values as the csv module writes them: None is left empty."""
    values = plain(column)
    if isinstance(column, Strings) or column.dtype.kind not in "fb":
        return values
    if column.dtype.kind == "b":
        return ["true" if value else "false" for value in values]
    if np.isfinite(column).all():
        return values
    return [value if math.isfinite(value) else None for value in values]
