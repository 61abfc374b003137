"""The table as it is, and the SQL that makes it fit a batch and puts rows into it.

Names are checked and quoted, values are always bound. A table is created from the first batch
and grows columns, up to a limit: names come from the data, and data may be hostile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from logging import Logger
from typing import TYPE_CHECKING

import numpy as np

import edgestream as es
from edgestream_connectors.postgres.columns import (
    TEXTS,
    TYPES,
    Kind,
    Mask,
    kind_of,
    misfits,
    missing,
    quote,
    usable,
)

if TYPE_CHECKING:
    import asyncpg

_COLUMNS = """
SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"""
_INDEXES = """
SELECT array_agg(a.attname::text), bool_or(to_jsonb(i)->>'indnullsnotdistinct' = 'true')
FROM pg_index i JOIN pg_attribute a
  ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid"""
_NULLS_NOT_DISTINCT = 15
"""The first version whose unique indexes can take a missing value for equal to another."""
_CREATING = int.from_bytes(b"edge")
"""The number of the advisory lock under which tables are created."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a batch goes into the table: its columns there, and the rows that cannot."""

    columns: dict[str, str]
    """Name → type in the table, of the columns that are written."""
    keys: tuple[str, ...]
    reasons: dict[int, str]
    """The rows that cannot be written, and why."""

    def refuse(self, rows: Mask, why: str) -> None:
        """Refuse these rows, unless another reason came first."""
        for row in np.flatnonzero(rows).tolist():
            self.reasons.setdefault(row, why)


@dataclass(slots=True)
class Table:
    """One table of the database, as this connection knows it."""

    schema: str
    name: str
    limit: int
    types: dict[str, str] = field(default_factory=dict)
    unique: dict[frozenset[str], bool] = field(default_factory=dict)
    """Column sets with a unique index → whether missing values are equal in it."""

    @property
    def place(self) -> str:
        """The table's name with its schema, quoted."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    async def load(self, connection: asyncpg.Connection) -> None:
        """Look at the table; it may not be there yet."""
        self.types = dict(await connection.fetch(_COLUMNS, self.place))
        found = await connection.fetch(_INDEXES, self.place)
        self.unique = {frozenset(names): bool(equal) for names, equal in found}

    async def fit(
        self, connection: asyncpg.Connection, batch: es.Batch, keys: tuple[str, ...], log: Logger
    ) -> Fit:
        """Make the table fit the batch, as far as it may change."""
        kinds = {name: kind_of(column) for name, column in batch.columns.items() if usable(name)}
        await self._grow(connection, kinds)
        there = all(name in self.types for name in keys)
        if keys and there and frozenset(keys) not in self.unique:
            await self._index(connection, keys)
        fit = Fit({}, keys, {})
        for name, column in batch.columns.items():
            if name not in self.types:
                why = f"more than {self.limit} columns" if usable(name) else "no name for a column"
                fit.refuse(~missing(column), f"{name!r} is not in the table: {why}")
                continue
            bad, why = misfits(column, self.types[name])
            if bad.any() and (kinds[name], self.types[name]) == ("float", "bigint"):
                await self._widen(connection, name)
                log.warning("%s: %s was bigint and now holds fractions", self.place, name)
                bad, why = misfits(column, self.types[name])
            fit.refuse(bad, f"{name!r}: {why}")
            if not (bad.any() and (bad | missing(column)).all()):
                fit.columns[name] = self.types[name]
        if not fit.columns or any(name not in fit.columns for name in keys):
            fit.refuse(np.ones(len(batch), np.bool_), "the row has no key that the table can hold")
        elif keys and not self.unique[frozenset(keys)]:
            for name in keys:
                fit.refuse(missing(batch[name]), f"{name!r} is a key and is missing")
        return fit

    def insert(self, stage: str, fit: Fit, kinds: Sequence[Kind]) -> str:
        """The statement that moves the rows of a stage into the table."""
        names = ", ".join(map(quote, fit.columns))
        read = ", ".join(
            f"c{i}{_cast(kind, pg_type)}"
            for i, (kind, pg_type) in enumerate(zip(kinds, fit.columns.values(), strict=True))
        )
        sql = f"INSERT INTO {self.place} ({names}) SELECT {read} FROM {stage}"  # noqa: S608
        if not fit.keys:
            return sql
        others = [quote(name) for name in fit.columns if name not in fit.keys]
        update = ", ".join(f"{name} = excluded.{name}" for name in others)
        what = f"UPDATE SET {update}" if update else "NOTHING"
        return f"{sql} ON CONFLICT ({', '.join(map(quote, fit.keys))}) DO {what}"

    async def _grow(self, connection: asyncpg.Connection, kinds: Mapping[str, Kind]) -> None:
        """Create the table, or add the columns it has not, up to the limit."""
        new = [name for name in kinds if name not in self.types]
        new = new[: max(0, self.limit - len(self.types))]
        if not new:
            return
        definitions = [f"{quote(name)} {TYPES[kinds[name]]}" for name in new]
        if self.types:
            added = ", ".join(f"ADD COLUMN IF NOT EXISTS {one}" for one in definitions)
            await connection.execute(f"ALTER TABLE {self.place} {added}")
        else:
            columns = ", ".join(definitions)
            await create(connection, f"{self.place} ({columns})")
        await self.load(connection)

    async def _index(self, connection: asyncpg.Connection, keys: Sequence[str]) -> None:
        """Give the table the unique index an upsert goes by."""
        new = connection.get_server_version().major >= _NULLS_NOT_DISTINCT
        equal = " NULLS NOT DISTINCT" if new else ""
        columns = ", ".join(map(quote, keys))
        await connection.execute(f"CREATE UNIQUE INDEX ON {self.place} ({columns}){equal}")
        await self.load(connection)

    async def _widen(self, connection: asyncpg.Connection, name: str) -> None:
        change = f"ALTER COLUMN {quote(name)} TYPE double precision"
        await connection.execute(f"ALTER TABLE {self.place} {change}")
        await self.load(connection)


def _cast(kind: Kind, pg_type: str) -> str:
    """Text is read as what the column holds; all else converts by itself, or was refused."""
    return "" if kind != "string" or pg_type in TEXTS else f"::{pg_type}"


async def create(connection: asyncpg.Connection, table: str) -> None:
    """Create a table unless there is one.

    Of two that do so at the same moment one fails, whatever it says about existing: so they wait
    for each other.
    """
    await connection.execute(
        f"SELECT pg_advisory_xact_lock({_CREATING}); CREATE TABLE IF NOT EXISTS {table}"
    )
