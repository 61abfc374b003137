"""The table a SQLite sink writes to: created from the first rows, widened by later ones.

Names are always quoted, values always bound. A key is the primary key of a table made here; rows
whose key has a missing part never conflict in SQL, so they are updated by ``IS`` instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from edgestream.batch import Batch, Column, Strings
from edgestream.errors import EXIT_CONFIG, Fatal
from edgestream.sinks.cells import cells, filled, has_surrogate

Mode: TypeAlias = Literal["auto", "upsert", "append"]

MAX_COLUMNS = 500
"""No more columns than this are added to a table."""
_TYPES = {"f": "REAL", "i": "INTEGER", "b": "INTEGER", "M": "TEXT", "s": "TEXT"}
_MAX_PLANS = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """How batches of one shape are written: the columns, the statements, and what does not fit.

    ``unfit`` are columns that the table cannot have, with the reason.
    """

    columns: tuple[str, ...]
    keys: tuple[str, ...]
    write: str
    insert: str
    update: str
    unfit: dict[str, str]


@dataclass(slots=True)
class Table:
    """One table of an open connection; ``forget`` after a rollback."""

    connection: sqlite3.Connection
    name: str
    mode: Mode
    _columns: dict[str, str] = field(default_factory=dict)
    _plans: dict[tuple[object, ...], Plan] = field(default_factory=dict)

    def forget(self) -> None:
        """Look at the table again before the next write."""
        self._columns.clear()
        self._plans.clear()

    def write(self, batch: Batch, plan: Plan) -> dict[int, str]:
        """Write rows; those that break a constraint are left out and told."""
        rows = list(zip(*(cells(batch.columns[name]) for name in plan.columns), strict=True))
        partial = np.zeros(len(batch), np.bool_)
        for key in plan.keys:
            partial |= ~filled(batch.columns[key])
        if not partial.any():
            self.connection.execute("SAVEPOINT rows")
            try:
                self.connection.executemany(plan.write, rows)
            except sqlite3.IntegrityError:
                self.connection.execute("ROLLBACK TO rows")
            else:
                self.connection.execute("RELEASE rows")
                return {}
            self.connection.execute("RELEASE rows")
        return self._one_by_one(rows, partial.tolist(), plan)

    def _one_by_one(
        self, rows: Sequence[tuple[object, ...]], partial: Sequence[bool], plan: Plan
    ) -> dict[int, str]:
        reasons: dict[int, str] = {}
        places = [plan.columns.index(key) for key in plan.keys]
        for index, row in enumerate(rows):
            try:
                if not partial[index]:
                    self.connection.execute(plan.write, row)
                else:
                    known = [row[place] for place in places]
                    if self.connection.execute(plan.update, [*row, *known]).rowcount == 0:
                        self.connection.execute(plan.insert, row)
            except sqlite3.IntegrityError as error:
                reasons[index] = f"table {self.name} refuses the row: {error}"
        return reasons

    def plan(self, batch: Batch) -> Plan:
        """How to write a batch; creates the table and adds columns where they are missing."""
        keys = () if self.mode == "append" else batch.keys
        shape = (*((name, kind(column)) for name, column in batch.columns.items()), keys)
        found = self._plans.get(shape)
        if found is None:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            found = self._plans[shape] = self._make(batch, keys)
        return found

    def _make(self, batch: Batch, keys: tuple[str, ...]) -> Plan:
        if absent := [key for key in keys if key not in batch.columns]:
            raise Fatal(f"the key column {absent[0]!r} is not among the rows", EXIT_CONFIG)
        if not self._columns:
            self._load()
        new = not self._columns
        unfit: dict[str, str] = {}
        taken: dict[str, str] = {}
        for name in batch.columns:
            if why := self._unfit(name, taken):
                unfit[name] = why
                continue
            taken[fold(name)] = name
            if fold(name) not in self._columns:
                self._columns[fold(name)] = name
                if not new:
                    self._add(name, kind(batch.columns[name]))
        columns = tuple(taken.values())
        if wrong := [key for key in keys if key in unfit]:
            raise Fatal(f"key column {wrong[0]!r}: {unfit[wrong[0]]}", EXIT_CONFIG)
        if new and columns:
            self._create(batch, columns, keys)
        elif keys:
            self._check_unique(keys)
        return statements(self.name, columns, keys, unfit)

    def _unfit(self, name: str, taken: dict[str, str]) -> str:
        if not name or "\0" in name or has_surrogate(name):
            return f"{name!r} cannot be the name of a column"
        if fold(name) in taken:
            return f"column {name!r} differs from {taken[fold(name)]!r} only in the case of letters"
        if fold(name) not in self._columns and len(self._columns) >= MAX_COLUMNS:
            return f"column {name!r} is one too many; a table is given {MAX_COLUMNS} at most"
        return ""

    def _load(self) -> None:
        query = "SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE"
        found = self.connection.execute(query, [self.name]).fetchone()
        if found and found[0] != "table":
            raise Fatal(f"{self.name} is a {found[0]}, no table; name another", EXIT_CONFIG)
        names = self.connection.execute(f"PRAGMA table_info({quoted(self.name)})").fetchall()
        self._columns = {fold(row[1]): row[1] for row in names}

    def _create(self, batch: Batch, columns: Sequence[str], keys: Sequence[str]) -> None:
        parts = [f"{quoted(name)} {_TYPES[kind(batch.columns[name])]}" for name in columns]
        if keys:
            # Times first: rows of one time lie together, which suits both writing and charts.
            order = sorted(keys, key=lambda key: kind(batch.columns[key]) != "M")
            parts.append(f"PRIMARY KEY ({listed(order)})")
        self.connection.execute(f"CREATE TABLE {quoted(self.name)} ({', '.join(parts)})")

    def _add(self, name: str, letter: str) -> None:
        self.connection.execute(
            f"ALTER TABLE {quoted(self.name)} ADD COLUMN {quoted(name)} {_TYPES[letter]}"
        )

    def _check_unique(self, keys: Sequence[str]) -> None:
        """Raise `Fatal` where nothing in the table keeps a key from being there twice."""
        wanted = {fold(key) for key in keys}
        table = quoted(self.name)
        columns = self.connection.execute(f"PRAGMA table_info({table})").fetchall()
        if wanted == {fold(row[1]) for row in columns if row[5]}:
            return
        for _, index, unique, _, partial in self.connection.execute(f"PRAGMA index_list({table})"):
            parts = self.connection.execute(f"PRAGMA index_info({quoted(index)})").fetchall()
            if unique and not partial and wanted == {fold(row[2] or "") for row in parts}:
                return
        remedy = f"CREATE UNIQUE INDEX {quoted(self.name + '_key')} ON {table} ({listed(keys)})"
        raise Fatal(
            f"table {self.name} has no primary key or unique index on ({', '.join(keys)}), so rows "
            f"cannot be updated by it; run: {remedy}; or set mode: append, or name another table",
            EXIT_CONFIG,
        )


def statements(
    table: str, columns: Sequence[str], keys: Sequence[str], unfit: dict[str, str]
) -> Plan:
    """The SQL to write rows of these columns."""
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT INTO {quoted(table)} ({listed(columns)}) VALUES ({marks})"  # noqa: S608
    if not keys:
        return Plan(tuple(columns), (), insert, insert, "", unfit)
    rest = [name for name in columns if name not in keys]
    changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in rest)
    action = f"UPDATE SET {changes}" if rest else "NOTHING"
    write = f"{insert} ON CONFLICT ({listed(keys)}) DO {action}"
    same = " AND ".join(f"{quoted(key)} IS ?" for key in keys)
    values = ", ".join(f"{quoted(name)} = ?" for name in columns)
    update = f"UPDATE {quoted(table)} SET {values} WHERE {same}"  # noqa: S608
    return Plan(tuple(columns), tuple(keys), write, insert, update, unfit)


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Sequence[str]) -> str:
    """Names as a list in SQL."""
    return ", ".join(map(quoted, names))


def fold(name: str) -> str:
    """A name as SQLite compares it: only the letters A to Z have two cases."""
    return "".join(chr(ord(sign) + 32) if "A" <= sign <= "Z" else sign for sign in name)


def kind(column: Column) -> str:
    """A letter for what a column holds: f, i, b, M (time) or s (text)."""
    return "s" if isinstance(column, Strings) else column.dtype.kind
