"""Where a database is: the URL, checked, shown to people, and connected to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import edgestream as es
from edgestream_connectors.postgres.columns import quote, usable
from edgestream_connectors.postgres.errors import answering

if TYPE_CHECKING:
    import asyncpg

CONNECTING = 10
"""Seconds that a login may take."""


def wrong(url: str, names: Mapping[str, str]) -> list[es.Problem]:
    """What is wrong with a URL, and with names of tables and schemas by their fields."""
    problems = [
        es.Problem(f"{name!r} cannot be the name of a {path}", (path,), "letters, digits and _")
        for path, name in names.items()
        if not usable(name)
    ]
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        hint = "write postgresql://user@host:port/database"
        problems.append(es.Problem("this is no URL of a database", ("url",), hint))
    if parts.password or "password" in parse_qs(parts.query):
        hint = "write it beside, as password: ${VARIABLE}"
        problems.append(es.Problem("a URL is no place for a password", ("url",), hint))
    return problems


def place(url: str, schema: str, table: str) -> str:
    """A table for people: without user, password or parameters."""
    return f"{database(url)} {quote(schema)}.{quote(table)}"


def database(url: str) -> str:
    """A database for people."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}{parts.path}"


async def connect(
    url: str,
    password: es.Secret | str | None,
    timeout: es.Duration,
    name: str,
    settings: Mapping[str, str],
) -> asyncpg.Connection:
    """Log in; the server sees ``name``, and each statement may take as long as ``timeout``."""
    import asyncpg  # noqa: PLC0415 - only where a pipeline names the database

    with answering(database(url)):
        return await asyncpg.connect(
            url,
            password=password.reveal() if isinstance(password, es.Secret) else None,
            timeout=CONNECTING,
            command_timeout=es.nanos(timeout).seconds,
            server_settings={"application_name": name[:63], "timezone": "UTC", **settings},
        )
