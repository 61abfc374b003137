"""One connection and its open transaction: everything since the last commit, and the token.

Rules: rows and token are committed together or not at all; an error in one row is found by
halving, inside savepoints, so that its neighbours stay; any other error leaves the transaction
to be rolled back by the close.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from logging import Logger
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import edgestream as es
from edgestream_connectors.postgres.columns import TYPES, Kind, kind_of, quote, values_of
from edgestream_connectors.postgres.errors import driver_errors, in_the_data
from edgestream_connectors.postgres.table import Fit, Table, create

if TYPE_CHECKING:
    import asyncpg

Record: TypeAlias = tuple[Any, ...]
Kinds: TypeAlias = tuple[Kind, ...]

CLAIM_SECONDS = 1
STAGES = 32
"""Shapes of batches for which a temporary table is kept."""


class Session:
    """A connection that collects rows in one transaction."""

    def __init__(self, connection: asyncpg.Connection, table: Table, log: Logger) -> None:
        """Use an open connection; `prepare` comes first."""
        self._connection = connection
        self._table = table
        self._log = log
        self._commits = f"{quote(table.schema)}.edgestream_commits"
        self._transaction: asyncpg.transaction.Transaction | None = None
        self._stages: dict[Kinds, str] = {}
        self._numbers = itertools.count()
        self._full: set[str] = set()

    async def prepare(self) -> None:
        """Look at the table and make the one that holds the tokens."""
        await self._connection.set_type_codec(
            "timestamptz", schema="pg_catalog", format="tuple", encoder=_boxed, decoder=_unboxed
        )
        await self._table.load(self._connection)
        if await self._connection.fetchval("SELECT to_regclass($1)", self._commits) is None:
            await create(
                self._connection,
                f"{self._commits} (id text PRIMARY KEY, store text NOT NULL, seq bigint NOT NULL,"
                " at timestamptz NOT NULL DEFAULT now(),"
                " epoch bigint NOT NULL DEFAULT 0, writer bigint NOT NULL DEFAULT 0)",
            )
        sql = (
            "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass($1)"
            " AND attname = 'writer' AND NOT attisdropped"
        )
        if not await self._connection.fetchval(sql, self._commits):  # made by an earlier version
            await self._connection.execute(
                f"ALTER TABLE {self._commits}"
                " ADD COLUMN IF NOT EXISTS epoch bigint NOT NULL DEFAULT 0,"
                " ADD COLUMN IF NOT EXISTS writer bigint NOT NULL DEFAULT 0"
            )

    async def token(self, ctx: es.Context) -> es.Token | None:
        """Claim the right to write; the last token that was committed for the step.

        ``epoch`` is who may write, ``writer`` who wrote the token; raises `es.Fenced` where a later
        worker may write.
        """
        if ctx.epoch:
            sql = (
                f"INSERT INTO {self._commits} AS old (id, store, seq, epoch)"  # noqa: S608
                " VALUES ($1, $2, -1, $3) ON CONFLICT (id) DO UPDATE SET store = $2, epoch = $3,"
                " seq = CASE WHEN old.store = $2 THEN old.seq ELSE -1 END"
                " WHERE old.store <> $2 OR old.epoch <= $3"
            )
            done = await self._patient(sql, ctx.id, ctx.store, ctx.epoch)
            if done == "INSERT 0 0":
                raise es.Fenced(self._table.place, ctx.id)
        sql = f"SELECT store, seq, writer FROM {self._commits} WHERE id = $1"  # noqa: S608
        row = await self._connection.fetchrow(sql, ctx.id)
        if row is None or row["seq"] < 0:
            return None
        return es.Token(row["store"], row["seq"], row["writer"])

    async def _patient(self, sql: str, *values: Any) -> str:
        """Execute it, or say within a second that a frozen worker has the row locked."""
        import asyncpg  # noqa: PLC0415 - only where a pipeline names the sink

        before = await self._connection.fetchval("SHOW lock_timeout")
        await self._connection.execute(f"SET lock_timeout = '{CLAIM_SECONDS}s'")
        try:
            done: str = await self._connection.execute(sql, *values)
        except asyncpg.LockNotAvailableError as error:
            words = "another worker is in the middle of a commit; waiting for it to end"
            raise es.Held(f"{self._table.place}: {words}") from error
        await self._connection.execute("SELECT set_config('lock_timeout', $1, false)", before)
        return done

    async def write(self, batch: es.Batch, keys: tuple[str, ...]) -> dict[int, str]:
        """Put the rows into the open transaction; returns those that cannot be, with reasons."""
        await self._begin()
        fit = await self._table.fit(self._connection, batch, keys, self._log)
        written = batch.select(fit.columns)
        columns = [values_of(column) for column in written.columns.values()]
        records: list[Record] = list(zip(*columns, strict=True))
        kinds = tuple(kind_of(column) for column in written.columns.values())
        rows = [row for row in range(len(batch)) if row not in fit.reasons]
        if rows:
            await self._store(records, rows, fit, kinds)
        return fit.reasons

    async def commit(self, step: str, token: es.Token | None) -> None:
        """Make everything durable, the token with it."""
        if token is not None:
            await self._begin()
            sql = (
                f"INSERT INTO {self._commits} AS old (id, store, seq, epoch, writer)"  # noqa: S608
                " VALUES ($1, $2, $3, $4, $4) ON CONFLICT (id)"
                " DO UPDATE SET store = $2, seq = $3, writer = $4, at = now()"
                " WHERE (old.store = $2 AND old.epoch = $4) OR $4 = 0"
            )
            values = token.store, token.seq, token.epoch
            if await self._connection.execute(sql, step, *values) == "INSERT 0 0":
                raise es.Fenced(self._table.place, step)
        if self._transaction is not None:
            await self._transaction.commit()
            self._transaction = None
            self._full.clear()

    async def close(self) -> None:
        """End the connection: what was not committed is rolled back."""
        try:
            await self._connection.close(timeout=2)
        except driver_errors() as error:
            self._log.debug("closed the hard way: %s", error)
            self._connection.terminate()

    async def _begin(self) -> None:
        if self._transaction is None:
            transaction = self._connection.transaction()
            await transaction.start()
            self._transaction = transaction

    async def _store(
        self, records: Sequence[Record], rows: list[int], fit: Fit, kinds: Kinds
    ) -> None:
        """Insert these rows in order; one with an error is found by halving."""
        import asyncpg  # noqa: PLC0415 - only where a pipeline names the sink

        stage = await self._stage(kinds)
        try:
            async with self._connection.transaction():
                await self._move([records[row] for row in rows], stage, fit, kinds)
        except asyncpg.PostgresError as error:
            if not in_the_data(error):
                raise
            if len(rows) == 1:
                fit.reasons[rows[0]] = f"PostgreSQL: {error}"
                return
            half = len(rows) // 2
            await self._store(records, rows[:half], fit, kinds)
            await self._store(records, rows[half:], fit, kinds)

    async def _move(self, records: list[Record], stage: str, fit: Fit, kinds: Kinds) -> None:
        """COPY into the stage, and from there into the table in one statement."""
        if fit.keys:
            records = _last_of_each(records, [list(fit.columns).index(key) for key in fit.keys])
        if stage in self._full:
            await self._connection.execute(f"TRUNCATE {stage}")
        self._full.add(stage)
        await self._connection.copy_records_to_table(stage, records=records)
        await self._connection.execute(self._table.insert(stage, fit, kinds))

    async def _stage(self, kinds: Kinds) -> str:
        """A temporary table of this shape, empty after every commit."""
        if kinds in self._stages:
            return self._stages[kinds]
        if len(self._stages) >= STAGES:
            oldest = self._stages.pop(next(iter(self._stages)))
            await self._connection.execute(f"DROP TABLE {oldest}")
            self._full.discard(oldest)
        # A name is never used again: the driver remembers what it read of a table of that name.
        name = f"edgestream_{next(self._numbers)}"
        columns = ", ".join(f"c{i} {TYPES[kind]}" for i, kind in enumerate(kinds))
        sql = f"CREATE TEMPORARY TABLE {name} ({columns}) ON COMMIT DELETE ROWS"
        await self._connection.execute(sql)
        self._stages[kinds] = name
        return name


def _last_of_each(records: list[Record], keys: list[int]) -> list[Record]:
    """Of records with the same key the last: one statement cannot update a row twice."""
    key = itemgetter(*keys)
    last = {key(record): position for position, record in enumerate(records)}
    if len(last) == len(records):
        return records
    return [records[position] for position in sorted(last.values())]


def _boxed(micros: int) -> tuple[int]:
    return (micros,)


def _unboxed(value: tuple[int]) -> int:
    return value[0]
