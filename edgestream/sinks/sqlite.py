"""Rows into a table of a SQLite file: no server, and every tool can read it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

from edgestream.batch import Batch
from edgestream.component import Context, Sink, SinkDelivery, Token, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Disconnected, Problem, Rejected
from edgestream.schema import Schema
from edgestream.sinks.thread import OneThread

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class _Database(Protocol):
    """What is called in the sink's thread, so that only an open sink imports sqlite3."""

    def open(self, wait: float) -> Token | None: ...

    def write(self, batch: Batch) -> dict[int, str]: ...

    def flush(self, token: Token | None, now: int) -> None: ...

    def close(self) -> None: ...


@component(
    "sqlite",
    examples=(
        "sqlite: {path: weather.db, table: averages}",
        "sqlite: {path: /data/readings.db, table: readings, mode: append}",
    ),
)
class Sqlite(Sink):
    """Write rows to a table of a SQLite file.

    The table is created from the first rows, with their keys (those of a window are its key
    columns and ``window_start``) as the primary key, and is given a column for each that appears
    later, up to 500. Numbers are REAL and INTEGER, true and false 1 and 0; times are ISO 8601
    text in UTC such as ``2026-11-24T10:00:00Z`` (with six decimals only where they are needed),
    which SQLite's date functions and Grafana read; what is missing is NULL.

    Rows with keys replace the row of the same key, a missing part of a key being equal to a
    missing one; rows without keys are appended, and so are all with ``mode: append``. A table of
    your own needs a primary key or unique index on the keys; rows that break one of its other
    constraints become dead letters, and so do rows with text that is no valid Unicode. Several
    pipelines may write to one file; each holds the write lock from its first row to the commit.

    Delivery: transactional. Rows and their token are committed together, in the table
    ``edgestream_commits``, so nothing is lost and nothing is there twice. A worker that opens the
    table claims it: one that ran before, and wakes up again, cannot commit any more (exit 75).
    """

    delivery: ClassVar[SinkDelivery] = "transactional"
    fences: ClassVar[bool] = True

    ordered: ClassVar[bool] = False

    path: str = option(help="The database file; it is created where there is none.")
    table: str = option(help="The table: letters, digits and _.")
    mode: Literal["auto", "upsert", "append"] = option(
        default="auto", help="upsert by the keys, append always, or auto: upsert where keys are."
    )
    busy_timeout: Duration = option(
        default="5s", help="How long to wait for another program that holds the lock."
    )

    _thread: OneThread | None = state()
    _database: _Database | None = state()
    _ctx: Context | None = state()

    def check(self) -> None:
        """The table must have a plain name that is not taken."""
        if not _NAME.fullmatch(self.table):
            hint = "letters, digits and _, beginning with a letter"
            raise ConfigError(Problem(f"{self.table!r} is no name for a table", ("table",), hint))
        if self.table.lower().startswith("sqlite_") or self.table.lower() == "edgestream_commits":
            raise ConfigError(Problem(f"{self.table!r} is a name that is taken", ("table",)))

    def accepts(self, schema: Schema, keys: Sequence[str]) -> None:
        """An upsert needs keys, and no two columns may differ only in case."""
        if self.mode == "upsert" and not keys:
            hint = "put a window before it, or use mode: append"
            raise ConfigError(Problem("these rows have no keys to upsert by", ("mode",), hint))
        twice = [
            name for name, count in Counter(map(str.lower, schema.fields)).items() if count > 1
        ]
        if twice:
            hint = "rename one of them"
            raise ConfigError(Problem(f"two columns are called {twice[0]!r} here", (), hint))

    def overwrites(self, keys: Sequence[str]) -> bool:
        """Rows with keys replace themselves."""
        return bool(keys) and self.mode != "append"

    async def open(self, ctx: Context) -> Token | None:
        """Open or create the file; the last token committed for this sink."""
        from edgestream.sinks.sqlite_session import Claim, Session  # noqa: PLC0415

        await self.close()
        self._ctx = ctx
        self._thread = OneThread(f"sqlite {ctx.id}")
        self._database = Session(
            self.path, self.table, self.mode, Claim(ctx.id, ctx.store, ctx.epoch)
        )
        return await self._thread.run(self._database.open, nanos(self.busy_timeout).seconds)

    async def write(self, batch: Batch) -> None:
        """Write the rows into the open transaction."""
        thread, database, _ = self._opened()
        reasons = await thread.run(database.write, batch)
        if reasons:
            raise Rejected(reasons)

    async def flush(self, token: Token | None) -> None:
        """Commit the rows together with the token."""
        thread, database, ctx = self._opened()
        await thread.run(database.flush, token, ctx.clock.wall())

    async def close(self) -> None:
        """Close the file; what was not flushed is rolled back."""
        thread, database = self._thread, self._database
        self._thread = self._database = None
        if thread is not None and database is not None:
            await thread.run(database.close)
            thread.stop()

    def _opened(self) -> tuple[OneThread, _Database, Context]:
        if self._thread is None or self._database is None or self._ctx is None:
            raise Disconnected(f"{self.path} is not open")
        return self._thread, self._database, self._ctx
