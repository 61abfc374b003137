"""The table `PostgresTable`: read as a whole, in a transaction that cannot write."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import ipaddress
import uuid
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import edgestream as es
from edgestream_connectors.postgres.address import connect, database, place, wrong
from edgestream_connectors.postgres.columns import quote
from edgestream_connectors.postgres.errors import explained

if TYPE_CHECKING:
    import asyncpg


@es.component(
    "postgres",
    extra="postgres",
    examples=(
        "table: {postgres: {url: 'postgresql://edge@db.local/plant', table: sensors}}",
        """\
table:
  postgres:
    url: postgresql://edge@db.local/plant
    password: ${PLANT_PASSWORD}
    query: SELECT id AS device, room FROM sensors JOIN rooms USING (room_id) WHERE active
""",
    ),
)
class PostgresTable(es.Table):
    """A table, a view, or the rows of a query, in PostgreSQL.

    It is read in one read-only transaction, over a connection of its own that ends with it. Of a
    table only the columns that are used are read. Whole numbers, ``double precision``, ``boolean``
    and text are what they are; ``numeric`` is a whole number where it is written without decimals,
    else a number of double precision; timestamps and dates are times, those without a zone in UTC;
    ``uuid``, network addresses and times of day are text. Other types are refused where they are
    read: a query may make text of them (``CAST (x AS text)``).

    A user who may only SELECT is enough. While it is read for the first time, or after a change of
    the pipeline's file, the worker waits for it, for as long as ``timeout``.
    """

    url: str = es.option(help="The database.", example="postgresql://edge@db.local:5432/plant")
    table: str = es.option("", help="The table or view to read.")
    query: str = es.option(
        "", help="A query to read instead.", example="SELECT id, room FROM sensors"
    )
    schema: str = es.option("public", help="The schema of the table.")
    password: es.Secret | str | None = es.option(
        None, help="The user's password.", example="${file:/run/secrets/postgres}"
    )
    timeout: es.Duration = es.option(
        "10s", minimum=1_000_000, help="How long reading it may take, connecting included."
    )

    def check(self) -> None:
        """Either a table or a query, names that can be, and a URL that can work."""
        names = {"table": self.table, "schema": self.schema} if self.table else {}
        problems = wrong(self.url, names)
        if bool(self.table) == bool(self.query):
            problems.append(es.Problem("give either a table or a query", ("table",)))
        if problems:
            raise es.ConfigError(problems)

    def place(self) -> str:
        """The table, or the database that is asked."""
        if self.query:
            return database(self.url)
        return place(self.url, self.schema, self.table)

    def read(self, columns: Collection[str]) -> es.Cells:
        """The rows; the driver needs an event loop, which the calling thread may have already."""
        with ThreadPoolExecutor(1) as thread:
            try:
                return thread.submit(asyncio.run, self._read(columns)).result()
            except (es.Disconnected, es.Fatal) as error:
                raise es.Retry(str(error)) from error

    async def _read(self, columns: Collection[str]) -> es.Cells:
        with explained(self.place()):
            async with asyncio.timeout(es.nanos(self.timeout).seconds):
                connection = await connect(
                    self.url, self.password, self.timeout, "edgestream lookup", {}
                )
                try:
                    async with connection.transaction(readonly=True):
                        names, rows = await self._rows(connection, columns)
                    await connection.close()
                finally:
                    connection.terminate()  # nothing where it was closed
        return self.by_column(names, rows, _plain)

    async def _rows(
        self, connection: asyncpg.Connection, columns: Collection[str]
    ) -> tuple[list[str], list[asyncpg.Record]]:
        whole = f"{quote(self.schema)}.{quote(self.table)}"
        sql = self.query or f"SELECT * FROM {whole}"  # noqa: S608 - the names are quoted
        statement = await connection.prepare(sql)
        names = [column.name for column in statement.get_attributes()]
        self.require(columns, names)
        if columns and not self.query:
            names = [name for name in names if name in columns]
            listed = ", ".join(map(quote, names))
            statement = await connection.prepare(f"SELECT {listed} FROM {whole}")  # noqa: S608
        cursor = await statement.cursor()
        try:
            return names, await cursor.fetch(self.most_rows + 1)
        except (OverflowError, ValueError) as error:
            raise es.Retry(f"{self.place()}: a value that cannot be read ({error})") from error


@functools.singledispatch
def _plain(value: Any) -> Any:
    """A value as a cell of a table; what cannot be one stays, and is refused by its column."""
    return value


@_plain.register
def _(value: Decimal) -> int | float:
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


@_plain.register
def _(value: dt.date) -> dt.datetime:
    return dt.datetime.combine(value, dt.time())


@_plain.register
def _(value: dt.datetime) -> dt.datetime:
    return value


@_plain.register
def _(value: dt.time) -> str:
    return value.isoformat()


@_plain.register(uuid.UUID)
@_plain.register(ipaddress.IPv4Address)
@_plain.register(ipaddress.IPv6Address)
@_plain.register(ipaddress.IPv4Network)
@_plain.register(ipaddress.IPv6Network)
def _(value: Any) -> str:
    return str(value)
