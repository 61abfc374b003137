"""From the records of SenML packs to columns: one row a record, or one a name and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from edgestream.batch import Array, Column, Strings
from edgestream.codecs.columns import Kind, Learnt, Texts, fit, join, piece
from edgestream.codecs.learning import Learning
from edgestream.codecs.senml_records import Record
from edgestream.codecs.senml_together import Together
from edgestream.component import State
from edgestream.schema import ColumnKind

KINDS: Mapping[str, ColumnKind] = {
    "name": "string",
    "unit": "string",
    "time": "time",
    "value": "float",
    "text": "string",
    "flag": "float",
    "data": "string",
    "sum": "float",
    "update": "float",
}
"""The columns of a row a record."""
ALONE = "value"
"""What a measurement is called that has no name beside the one before all of them."""


class Rows(Protocol):
    """What becomes of the records of packs."""

    def add(self, records: Sequence[Record]) -> int:
        """The rows that a pack gives; ValueError if it does not fit."""

    def take(self) -> tuple[dict[str, Column], Array]:
        """The columns of all rows added since, and which times count from the arrival."""

    def absent(self) -> Mapping[str, str]:
        """The wanted measurements that never came, with what they might be called."""

    @property
    def texts(self) -> Sequence[Texts]:
        """The texts that are remembered."""

    def snapshot(self) -> State | None:
        """What was learnt."""

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""


class Long:
    """One row a record."""

    def __init__(self, wanted: frozenset[str] | None) -> None:
        """Only the wanted columns are made."""
        self._wanted = [name for name in KINDS if wanted is None or name in wanted]
        self._texts = {name: Texts() for name in self._wanted if KINDS[name] == "string"}
        self._records: list[Record] = []
        self._before: Together | None = None

    def add(self, records: Sequence[Record]) -> int:
        """The rows that a pack gives."""
        self._records += records
        return len(records)

    def add_together(self, rows: Together) -> None:
        """The rows of many packs; they come before those that are added one by one."""
        self._before = rows

    def take(self) -> tuple[dict[str, Column], Array]:
        """The columns of all rows added since, and which times count from the arrival."""
        before, self._before = self._before, None
        records, self._records = self._records, []
        columns: dict[str, Column] = {}
        for name in self._wanted:
            if name == "time":
                times = np.array([record.time for record in records], np.int64)
                whole = times if before is None else np.concatenate([before.times, times])
                columns[name] = whole.view("datetime64[us]")
                continue
            field = "full_name" if name == "name" else name
            values = [getattr(record, field) for record in records]
            columns[name] = self._column(name, before, values)
        relative = np.array([record.relative for record in records], np.bool_)
        return columns, relative if before is None else np.concatenate([before.relative, relative])

    def _column(self, name: str, before: Together | None, values: list[Any]) -> Column:
        first = [] if before is None else before.column(name)
        if name in self._texts:
            texts = self._texts[name]
            texts.renew()
            return Strings(texts.encode([*first, *values]), texts.dictionary)
        return np.concatenate([np.asarray(first, np.float64), np.asarray(values, np.float64)])

    def absent(self) -> Mapping[str, str]:
        """None: the columns are always the same."""
        return {}

    @property
    def texts(self) -> Sequence[Texts]:
        """The texts that are remembered."""
        return list(self._texts.values())

    def snapshot(self) -> State | None:
        """Nothing is learnt: the columns are always the same."""
        return None

    def restore(self, saved: State) -> None:
        """Nothing was learnt."""


class Wide:
    """One row a base name and time, with a column for each name of a measurement."""

    def __init__(self, wanted: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Only the wanted columns are made."""
        self._own = [name for name in ("base", "time") if wanted is None or name in wanted]
        names = None if wanted is None else wanted - {"base", "time"}
        others = {name: kind for name, kind in kinds.items() if name not in ("base", "time")}
        self._learning = Learning("senml", names, others)
        self._base = Texts()
        self._rows: list[dict[str, Any]] = []
        self._keys: list[tuple[str, int, bool]] = []

    def add(self, records: Sequence[Record]) -> int:
        """The rows that a pack gives; ValueError if a value does not fit its column."""
        rows: dict[tuple[str, int, bool], dict[str, Any]] = {}
        for record in records:
            name = record.name or ALONE
            if name in ("base", "time"):
                raise ValueError(f"a measurement cannot be called {name!r} where rows are pivoted")
            row = rows.setdefault((record.base, record.time, record.relative), {})
            row[name] = _value(record)
        taken = self._learning.take(dict.fromkeys(name for row in rows.values() for name in row))
        kinds: dict[str, Kind | None] = {name: column.kind for name, column in taken.items()}
        for row in rows.values():
            for name in row.keys() & taken.keys():
                column = taken[name]
                kinds[name] = fit(column, kinds[name], row[name])
                if column.fixed and column.kind == "int":
                    row[name] = int(row[name])
        self._learning.keep(taken, kinds)
        self._learning.note(taken)
        self._rows += rows.values()
        self._keys += rows
        return len(rows)

    def take(self) -> tuple[dict[str, Column], Array]:
        """The columns of all rows added since, and which times count from the arrival."""
        rows, keys = self._rows, self._keys
        self._rows, self._keys = [], []
        self._learning.renew()
        self._base.renew()
        columns: dict[str, Column] = {}
        if "base" in self._own:
            codes = self._base.encode([base or None for base, _, _ in keys])
            columns["base"] = Strings(codes, self._base.dictionary)
        if "time" in self._own:
            columns["time"] = np.array([time for _, time, _ in keys], "datetime64[us]")
        for name, column in self._learning.columns.items():
            columns[name] = _column(column, [row.get(name) for row in rows])
        return columns, np.array([relative for _, _, relative in keys], np.bool_)

    def absent(self) -> Mapping[str, str]:
        """The wanted measurements that never came, with what they might be called."""
        return self._learning.absent()

    @property
    def texts(self) -> Sequence[Texts]:
        """The texts that are remembered."""
        return [self._base, *(column.texts for column in self._learning.columns.values())]

    def snapshot(self) -> State | None:
        """The kinds of the measurements."""
        return self._learning.snapshot()

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        self._learning.restore(saved)


def _value(record: Record) -> Any:
    for value in (record.value, record.flag, record.text, record.data):
        if value is not None:
            return value
    return record.sum


def _column(column: Learnt, values: list[Any]) -> Column:
    known = None
    if column.kind is not None and any(value is not None for value in values):
        known = piece(column, values)
    return join(column, [(len(values), known)])
