"""Rows into PostgreSQL, and tables of it that steps look rows up in."""

from edgestream_connectors.postgres.reading import PostgresTable
from edgestream_connectors.postgres.sink import Postgres

__all__ = ["Postgres", "PostgresTable"]
