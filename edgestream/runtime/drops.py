"""The rows that a sink's spool had no room for: how many, and a line in the log once a minute."""

from __future__ import annotations

from edgestream.clock import SECOND
from edgestream.component import Context
from edgestream.runtime.status import StepStatus
from edgestream.spec import Spool

EVERY = 60 * SECOND


class Drops:
    """Counts the dropped rows of one sink and tells of them."""

    def __init__(self, ctx: Context, spool: Spool, status: StepStatus) -> None:
        """Nothing dropped yet."""
        self.rows = 0
        self._ctx = ctx
        self._spool = spool
        self._status = status
        self._told = 0
        self._last: int | None = None

    def resume(self, rows: int) -> None:
        """Go on from what earlier runs dropped, which was told of."""
        self.rows = self._told = rows

    def count(self, rows: int) -> None:
        """So many were dropped in all."""
        if rows > self.rows:
            self.rows = rows
            self.tell()

    def tell(self, *, last: bool = False) -> None:
        """A line in the log where there is something new, at most once a minute but at the end."""
        now = self._ctx.clock.monotonic()
        early = self._last is not None and now - self._last < EVERY
        if self.rows == self._told or (early and not last):
            return
        self._ctx.log.warning(
            "%s: %d rows dropped so far: the spool may hold %s",
            self._status.id,
            self.rows,
            self._spool,
        )
        self._told, self._last = self.rows, now
