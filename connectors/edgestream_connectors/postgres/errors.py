"""What PostgreSQL and its driver raise, as what the runtime does next.

The SQLSTATE decides, never the text: the server speaks its user's language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import edgestream as es

EXIT_PERMISSION = 77
EXIT_CONFIG = 78

_AGAIN: Mapping[str, str] = {
    "08": "the connection broke",
    "28P01": "wrong user or password; check `password`",
    "28": "the server does not let this user in; check the user and its pg_hba.conf",
    "3D000": "there is no such database; create it with createdb, or correct `url`",
    "40": "another transaction was in the way",
    "25P03": "the transaction was idle for a minute",
    "25006": "the server is read-only; is it the standby?",
    "42P07": "another worker made the table at the same moment",
    "42701": "another worker made the column at the same moment",
    "53100": "the server's disk is full",
    "53300": "the server has no connection to spare; raise its max_connections",
    "53": "the server is short of resources",
    "55": "something is in use by another session",
    "57": "the server is stopping or starting, or ended the session",
    "58": "the server has trouble with its disk",
}
_NEVER: Mapping[str, tuple[str, int]] = {
    "42501": ("not permitted; GRANT this user what it needs", EXIT_PERMISSION),
    "3F000": ("there is no such schema; CREATE SCHEMA, or correct `schema`", EXIT_CONFIG),
    "23505": ("some of its rows have the same keys already: remove them, or append", EXIT_CONFIG),
}
_DATA = frozenset({"21", "22", "23", "54"})
"""Classes of errors that lie in the values: cardinality, data, constraints, size limits."""


def sqlstate(error: BaseException) -> str:
    """The five characters that name an error of the server, or nothing."""
    return str(getattr(error, "sqlstate", None) or "")


def in_the_data(error: BaseException) -> bool:
    """Whether an error is the fault of some row, so that the others may be written."""
    return sqlstate(error)[:2] in _DATA


def driver_errors() -> tuple[type[Exception], ...]:
    """All that the driver raises."""
    import asyncpg  # noqa: PLC0415 - only where a pipeline names the sink

    return OSError, asyncpg.PostgresError, *_broken()


def _broken() -> tuple[type[Exception], ...]:
    """What the driver says of a connection that cannot be used any more.

    `InternalClientError` too: it is what a call gets that comes just after the server ended the
    session.
    """
    import asyncpg  # noqa: PLC0415 - only where a pipeline names the sink

    return asyncpg.InterfaceError, asyncpg.InternalClientError


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn the driver's errors into those of the contract, each naming ``place``."""
    import asyncpg  # noqa: PLC0415 - only where a pipeline names the sink

    try:
        yield
    except TimeoutError as error:
        raise es.Disconnected(f"{place}: no answer in time; is the server overloaded?") from error
    except OSError as error:
        words = f"{place}: cannot connect ({error.strerror or error})"
        raise es.Disconnected(f"{words}; is PostgreSQL running there?") from error
    except asyncpg.PostgresError as error:
        raise _explained(place, error, sqlstate(error)) from error
    except _broken() as error:
        raise es.Disconnected(f"{place}: the connection broke ({error})") from error


@contextmanager
def answering(place: str) -> Iterator[None]:
    """Around the login only: what the driver makes of a server that is none."""
    try:
        yield
    except (AttributeError, LookupError, UnicodeDecodeError) as error:
        words = "what came is no answer of PostgreSQL; is another server at this address?"
        raise es.Disconnected(f"{place}: {words} ({str(error)[:100]})") from error


def _explained(place: str, error: Exception, state: str) -> es.Disconnected | es.Fatal:
    again = _AGAIN.get(state) or _AGAIN.get(state[:2])
    if getattr(error, "schema_name", None) == "pg_catalog":
        again = _AGAIN["42P07"]
    if again or not state:
        return es.Disconnected(f"{place}: {again or 'the connection broke'} ({error})")
    words, code = _NEVER.get(state, ("PostgreSQL refuses", EXIT_CONFIG))
    return es.Fatal(f"{place}: {words} ({error}; SQLSTATE {state})", code)
