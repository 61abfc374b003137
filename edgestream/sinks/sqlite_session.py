"""One connection to a SQLite database, used in one thread: rows and token in one transaction.

A transaction begins with the first write after a flush. A call that fails leaves it as it was
before the call, so that the same call can be made again; where SQLite gave up the whole
transaction and it held earlier rows, the error is `Disconnected`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgestream.batch import Batch, from_micros
from edgestream.component import Token
from edgestream.errors import ComponentError, Disconnected, Fenced, Rejected, Retry
from edgestream.sinks.cells import broken_text, good_rows, without_columns
from edgestream.sinks.sqlite_errors import in_the_data, in_words
from edgestream.sinks.sqlite_table import Mode, Table

_PRAGMAS = (
    "PRAGMA cache_size = -2000",
    # On Debian's build it is on, and makes checkpoints six times slower.
    "PRAGMA secure_delete = OFF",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA journal_size_limit = 16777216",
)
_COMMITS = """
CREATE TABLE IF NOT EXISTS edgestream_commits
(id TEXT PRIMARY KEY, store TEXT, seq INTEGER, at TEXT, epoch INTEGER, writer INTEGER)
"""
# ``epoch`` is who may write, ``writer`` who wrote the token. Of another state file none counts.
_CLAIM = """
INSERT INTO edgestream_commits (id, store, epoch) VALUES (?1, ?2, ?3) ON CONFLICT (id)
DO UPDATE SET seq = iif(store IS ?2, seq, NULL), store = ?2, epoch = ?3
WHERE store IS NOT ?2 OR epoch IS NULL OR epoch <= ?3
"""
_COMMIT = """
INSERT INTO edgestream_commits (id, store, seq, at, epoch, writer) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (id) DO UPDATE SET store = ?2, seq = ?3, at = ?4, writer = ?5
WHERE (store IS ?2 AND epoch IS ?5) OR ?5 = 0
"""
CLAIM_SECONDS = 1.0
_LATER = (("epoch", "INTEGER"), ("writer", "INTEGER"))
"""Columns that files written by earlier versions lack."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who writes: the key of the token, the state file, and the start on it (0: no claim)."""

    id: str
    store: str = ""
    epoch: int = 0


class Session:
    """An open database; every method is called in the thread that opened it."""

    def __init__(self, path: str, table: str, mode: Mode, claim: Claim) -> None:
        """Nothing is opened yet; ``claim`` says for whom."""
        self._path = path
        self._claim = claim
        self._name = table
        self._mode: Mode = mode
        self._connection: sqlite3.Connection | None = None
        self._table: Table | None = None
        self._holds_rows = False

    def open(self, wait: float) -> Token | None:
        """Open or create the database; the last token committed for the id."""
        try:
            # That the file is held is said soon: nothing is read meanwhile.
            patience = min(wait, CLAIM_SECONDS)
            connection = sqlite3.connect(self._path, timeout=patience, isolation_level=None)
            self._connection = connection
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            self._take_over(connection)
            query = "SELECT store, seq, writer FROM edgestream_commits WHERE id = ?"
            found = connection.execute(query, [self._claim.id]).fetchone()
            connection.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
        except sqlite3.Error as error:
            raise in_words(error, self._path) from error
        self._table = Table(connection, self._name, self._mode)
        if not found or found[1] is None:
            return None
        return Token(str(found[0]), int(found[1]), int(found[2] or 0))

    def write(self, batch: Batch) -> dict[int, str]:
        """Write the rows into the open transaction; those that can never be written, with why."""
        if len(batch) == 0:
            return {}
        with self._transaction() as (connection, table):
            plan = table.plan(batch)
            reasons = broken_text(batch.select(plan.columns))
            reasons |= without_columns(batch, plan.unfit)
            refused = {}
            if plan.columns:
                try:
                    refused = table.write(good_rows(batch, reasons), plan)
                except sqlite3.Error as error:
                    if not in_the_data(error):
                        raise
                    # Some row breaks a rule of the table's own: a check or trigger that fails.
                    words = f"table {self._name} refuses the row: {error}"
                    raise Rejected(words) from error
            if refused:
                good = [row for row in range(len(batch)) if row not in reasons]
                reasons |= {good[row]: why for row, why in refused.items()}
            connection.execute("RELEASE call")
            self._holds_rows = True
        return reasons

    def flush(self, token: Token | None, now: int) -> None:
        """Commit the rows written since the last flush, together with the token."""
        if token is None and not self._holds_rows:
            return
        with self._transaction() as (connection, _):
            if token is not None:
                at = from_micros(now // 1000).isoformat(timespec="seconds")
                values = [self._claim.id, token.store, token.seq, at.replace("+00:00", "Z")]
                if not connection.execute(_COMMIT, [*values, token.epoch]).rowcount:
                    raise Fenced(self._path, self._claim.id)
            connection.execute("COMMIT")
            self._holds_rows = False

    def close(self) -> None:
        """Close the database; what was not flushed is rolled back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """Claim the right to write; raises `Fenced` where a later worker has it."""
        connection.execute(_COMMITS)
        names = {row[1] for row in connection.execute("PRAGMA table_info(edgestream_commits)")}
        for name, kind in _LATER:
            if name not in names:
                connection.execute(f"ALTER TABLE edgestream_commits ADD COLUMN {name} {kind}")
        claim = self._claim
        if claim.epoch:
            values = [claim.id, claim.store, claim.epoch]
            if not connection.execute(_CLAIM, values).rowcount:
                raise Fenced(self._path, claim.id)

    @contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, Table]]:
        """Begin a transaction where there is none; undo only this call where it fails."""
        if self._connection is None or self._table is None:
            raise Disconnected(f"{self._path} is not open")
        connection, table = self._connection, self._table
        try:
            if not connection.in_transaction:
                connection.execute("BEGIN IMMEDIATE")
            connection.execute("SAVEPOINT call")
            yield connection, table
        except sqlite3.Error as error:
            told = in_words(error, self._path)
            self._undo(connection)
            if isinstance(told, Retry) and self._holds_rows and not connection.in_transaction:
                raise Disconnected(str(told)) from error
            raise told from error
        except ComponentError:
            self._undo(connection)
            raise

    def _undo(self, connection: sqlite3.Connection) -> None:
        """Take back what the failed call did, where SQLite has not taken back everything."""
        if self._table is not None:
            self._table.forget()
        if not connection.in_transaction:
            return
        try:
            if self._holds_rows:
                connection.execute("ROLLBACK TO call")
                connection.execute("RELEASE call")
            else:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise in_words(error, self._path) from error
