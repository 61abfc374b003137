"""One server for all tests of the folder, a database of its own for each."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from edgestream_connectors.postgres import Postgres
from tests.servers.postgres import Postgres as Server

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server().start()
    yield running
    running.remove()


class Database:
    """A schema of the database, seen as another program sees it."""

    def __init__(self, server: Server, schema: str) -> None:
        self.server = server
        self.schema = schema

    async def connect(self) -> asyncpg.Connection:
        settings = {"search_path": self.schema}
        return await asyncpg.connect(self.server.url(), server_settings=settings)

    async def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        connection = await self.connect()
        try:
            return [dict(row) for row in await connection.fetch(sql, *values)]
        except asyncpg.UndefinedTableError:
            return []
        finally:
            await connection.close()

    async def do(self, sql: str) -> None:
        connection = await self.connect()
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def types(self, table: str) -> dict[str, str]:
        sql = (
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = $1 AND table_name = $2"
        )
        rows = await self.rows(sql, self.schema, table)
        return {row["column_name"]: row["data_type"] for row in rows}

    def sink(self, table: str = "readings", **options: Any) -> Postgres:
        given = {"url": self.server.url(), "table": table, "schema": self.schema}
        return Postgres(**{**given, **options})


@pytest.fixture
async def database(server: Server) -> AsyncIterator[Database]:
    database = Database(server, f"test_{next(NUMBERS)}")
    await database.do(f"CREATE SCHEMA {database.schema}")
    yield database
    await database.do(f"DROP SCHEMA {database.schema} CASCADE")
