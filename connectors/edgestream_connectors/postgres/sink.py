"""The sink `Postgres`: rows and the pipeline's token in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import edgestream as es
from edgestream_connectors.postgres.address import connect, place, wrong
from edgestream_connectors.postgres.columns import usable
from edgestream_connectors.postgres.errors import explained
from edgestream_connectors.postgres.session import Session
from edgestream_connectors.postgres.table import Table


@es.component(
    "postgres",
    extra="postgres",
    examples=(
        "postgres: {url: 'postgresql://edge@db.local/farm', table: averages}",
        "postgres: {url: 'postgresql://localhost/farm', table: readings, mode: append}",
    ),
)
class Postgres(es.Sink):
    """Rows into a table of PostgreSQL.

    The table is created from the first rows (``double precision``, ``bigint``, ``boolean``,
    ``text``, ``timestamptz``; missing values are NULL) and gets the columns that appear later. A
    table that is there already is used as it is: values must fit its types, text is read as what
    the column holds. A ``bigint`` column that meets a fraction becomes ``double precision``, once,
    with a warning; any other value that does not fit makes its row a dead letter with the reason.

    Rows with keys (window results: the `by` columns and `window_start`) update the row with the
    same keys, for which the table gets a unique index; a missing key equals a missing key. Before
    PostgreSQL 15 no index can do that, and rows with a missing key become dead letters.

    Delivery: transactional. All rows since the last checkpoint and its token (a row of the table
    ``edgestream_commits`` beside the table) are one transaction: after a crash of the worker, the
    server or the network nothing is missing and nothing is there twice, for appended rows too. A
    worker that opens the table claims it: one that ran before, and wakes up again, cannot commit
    any more (exit 75).
    """

    delivery: ClassVar[es.SinkDelivery] = "transactional"
    fences: ClassVar[bool] = True
    ordered: ClassVar[bool] = False

    url: str = es.option(help="The database.", example="postgresql://edge@db.local:5432/farm")
    table: str = es.option(help="The table; it is created if it is not there.")
    schema: str = es.option("public", help="The schema of the table; it must be there.")
    password: es.Secret | str | None = es.option(
        None, help="The user's password.", example="${file:/run/secrets/postgres}"
    )
    mode: Literal["auto", "upsert", "append"] = es.option(
        "auto", help="`auto` updates by keys where rows have keys, and appends others."
    )
    max_columns: int = es.option(
        256, minimum=1, maximum=1500, help="The most columns the table may grow to."
    )
    timeout: es.Duration = es.option(
        "30s", minimum=1_000_000, help="How long a statement may take."
    )

    _session: Session | None = es.state()
    _step: str = es.state(str)

    def check(self) -> None:
        """Hold names and the URL against what can work."""
        problems = wrong(self.url, {"table": self.table, "schema": self.schema})
        if problems:
            raise es.ConfigError(problems)

    def accepts(self, schema: es.Schema, keys: Sequence[str]) -> None:
        """Refuse an upsert without keys, and names that cannot be columns."""
        if self.mode == "upsert" and not keys:
            hint = "rows have keys behind a window; or use mode: append"
            raise es.ConfigError(
                es.Problem("these rows have no keys to update by", ("mode",), hint)
            )
        bad = [name for name in schema.fields if not usable(name)]
        if bad:
            hint = "rename it before this sink"
            raise es.ConfigError(es.Problem(f"{bad[0]!r} cannot be a column", (), hint))

    def overwrites(self, keys: Sequence[str]) -> bool:
        """Rows with keys update themselves."""
        return bool(keys) and self.mode != "append"

    async def open(self, ctx: es.Context) -> es.Token | None:
        """Connect and look at the table; the last token committed for this step."""
        await self.close()
        self._step = ctx.id
        # A frozen worker may not keep its rows locked for the one that took over.
        settings = {"idle_in_transaction_session_timeout": "60s"}
        with explained(self._place()):
            connection = await connect(
                self.url, self.password, self.timeout, f"edgestream {ctx.id}", settings
            )
            table = Table(self.schema, self.table, self.max_columns)
            self._session = Session(connection, table, ctx.log)
            await self._session.prepare()
            return await self._session.token(ctx)

    async def write(self, batch: es.Batch) -> None:
        """Put the rows into the open transaction."""
        if not len(batch):
            return
        keys = () if self.mode == "append" else batch.keys
        if self.mode == "upsert" and not keys:
            raise es.Fatal(f"{self._place()}: these rows have no keys to update by", 78)
        with explained(self._place()):
            reasons = await self._opened().write(batch, keys)
        if reasons:
            raise es.Rejected(reasons)

    async def flush(self, token: es.Token | None) -> None:
        """Commit the rows and the token."""
        with explained(self._place()):
            await self._opened().commit(self._step, token)

    async def close(self) -> None:
        """End the connection; the server rolls back what was not flushed."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> Session:
        if self._session is None:
            raise es.Disconnected(f"{self._place()}: the sink is not open")
        return self._session

    def _place(self) -> str:
        """Where rows go, for people."""
        return place(self.url, self.schema, self.table)
