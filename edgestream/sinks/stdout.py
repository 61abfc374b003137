"""Rows to standard output, for looking at them and for other programs to read."""

from __future__ import annotations

import os
import sys
from typing import ClassVar, Literal

from edgestream.batch import Batch
from edgestream.component import Context, Sink, SinkDelivery, Token, component
from edgestream.config.fields import option, state
from edgestream.errors import EXIT_OK, Disconnected, Fatal, Rejected
from edgestream.sinks.cells import good_rows
from edgestream.sinks.disk import in_words
from edgestream.sinks.text import TextTable, json_lines, writable
from edgestream.sinks.thread import OneThread


@component("stdout", shorthand="format", examples=("stdout: {}", "stdout: table"))
class Stdout(Sink):
    """Write rows to standard output, as JSON lines or as a table.

    JSON is one object a line, what is missing is null. The table is for people: its heading comes
    again when columns change or a wider value needs more space, and signs that could command a
    terminal are shown as codes. When whoever reads has gone (``| head``), the pipeline stops with
    exit code 0.

    Delivery: at least once. Nobody can tell what a reader has seen, so after a crash rows may come
    again.
    """

    delivery: ClassVar[SinkDelivery] = "at_least_once"

    format: Literal["json", "table"] = option(default="json", help="json (one line each) or table.")

    _thread: OneThread | None = state()
    _table: TextTable = state(TextTable)

    async def open(self, ctx: Context) -> Token | None:
        """Begin; a slow reader holds up only the thread of this sink."""
        await self.close()
        self._thread = OneThread(f"stdout {ctx.id}")
        return None

    async def write(self, batch: Batch) -> None:
        """Write the rows; they appear at the latest with the next flush."""
        fit, reasons = writable(batch)
        good = good_rows(fit, reasons)
        data = json_lines(good) if self.format == "json" else self._table.text(good).encode()
        await self._run(data)
        if reasons:
            raise Rejected(reasons)

    async def flush(self, token: Token | None) -> None:
        """Let the rows appear."""
        await self._run(None)

    async def close(self) -> None:
        """End the thread; standard output stays open."""
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

    async def _run(self, data: bytes | None) -> None:
        if self._thread is None:
            raise Disconnected("standard output is not open")
        await self._thread.run(_put, data)


def _put(data: bytes | None) -> None:
    """Write data, or flush where there is none."""
    try:
        if data is None:
            sys.stdout.flush()
        else:
            sys.stdout.buffer.write(data)
    except BrokenPipeError as error:
        # Python flushes once more at its end, and would complain about the same pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        words = "whoever read standard output has gone; nothing is left to write for"
        raise Fatal(words, EXIT_OK) from error
    except OSError as error:
        raise in_words(error, "standard output") from error
