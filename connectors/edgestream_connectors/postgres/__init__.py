"""Rows into PostgreSQL."""

from edgestream_connectors.postgres.sink import Postgres

__all__ = ["Postgres"]
