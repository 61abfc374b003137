"""Rows appended to a file as JSON lines or CSV, plain or gzip, each exactly once."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from edgestream.batch import Batch
from edgestream.component import Context, Sink, SinkDelivery, Token, component
from edgestream.config.fields import option, state
from edgestream.errors import Disconnected, Rejected
from edgestream.sinks.output import Output
from edgestream.sinks.thread import OneThread


@component(
    "file",
    shorthand="path",
    examples=("file: averages.ndjson", "file: {path: /data/averages.csv.gz}"),
)
class FileSink(Sink):
    """Append rows to a file, as JSON lines or, where its name says so, as CSV; ``.gz`` is gzip.

    A CSV file begins with a line of column names, those of the first rows, and keeps them: rows
    that hold a value in another column become dead letters. Times are ISO 8601 in UTC, what is
    missing is null or empty. Keys are not looked at: a file can only be appended to.

    The file may be moved away at any time while the pipeline runs or after it stopped in good order
    (log rotation): a new one is begun. After a crash start it once before: until then the file may
    end with rows that are not committed, and they are written again. ``copytruncate`` loses what
    is written between the copy and the cut. One sink at a time may write to a file; a second waits.

    Delivery: transactional. Each flush forces the rows to the disk and then replaces the file
    ``<path>.commit`` beside it, which holds the committed size, the token, and a checksum of both
    and of the last bytes before that size. When the sink is opened again, what lies behind that
    size is cut off, said in the log, and written once more: who reads the file while it is written
    should read up to that size. A file that was changed below it is refused and left as it is; one
    that is gone or empty is begun anew. A file without a ``.commit`` beside it is appended to.
    """

    delivery: ClassVar[SinkDelivery] = "transactional"
    how: ClassVar[str] = "what was not committed is cut off when the file is opened again"

    path: str = option(help="The file; .csv, .ndjson and .gz at its end are understood.")
    format: Literal["ndjson", "csv"] | None = option(
        default=None, help="ndjson or csv; by default from the name."
    )

    _thread: OneThread | None = state()
    _output: Output | None = state()

    def owns(self) -> str:
        """The file, whatever other name it has."""
        return str(Path(self.path).resolve())

    async def open(self, ctx: Context) -> Token | None:
        """Open or create the file, and cut off what was not committed."""
        await self.close()
        as_csv = (self.format or self.path.removesuffix(".gz")[-4:]) in ("csv", ".csv")
        self._thread = OneThread(f"file {ctx.id}")
        self._output = Output(self.path, as_csv=as_csv, id=ctx.id, log=ctx.log)
        return await self._thread.run(self._output.open)

    async def write(self, batch: Batch) -> None:
        """Take the rows; a mebibyte of them is kept in memory at most."""
        thread, output = self._opened()
        reasons = await thread.run(output.write, batch)
        if reasons:
            raise Rejected(reasons)

    async def flush(self, token: Token | None) -> None:
        """Force the rows and then the token to the disk."""
        thread, output = self._opened()
        await thread.run(output.flush, token)

    async def close(self) -> None:
        """Close the file; what was not flushed is cut off by the next open."""
        thread, output = self._thread, self._output
        self._thread = self._output = None
        if thread is not None and output is not None:
            await thread.run(output.close)
            thread.stop()

    def _opened(self) -> tuple[OneThread, Output]:
        if self._thread is None or self._output is None:
            raise Disconnected(f"{self.path} is not open")
        return self._thread, self._output
