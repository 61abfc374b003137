"""Rows from files: lines for a codec, or CSV with a header; once, or as the file grows.

Reading happens in the event loop in pieces of 256 KiB, which take well under a millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import ClassVar, Literal

from edgestream.batch import Batch
from edgestream.component import Context, Payloads, Position, Source, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.schema import Schema
from edgestream.sources.csv_table import CellKind, CsvLines
from edgestream.sources.items import Items
from edgestream.sources.lines import head_hash
from edgestream.sources.trail import Trail


@component(
    "file",
    shorthand="path",
    examples=(
        "file: readings.ndjson",
        "file: {path: 'archive/*.csv.gz', delimiter: ';', kinds: {device: string}}",
        "file: {path: /var/log/sensors.ndjson, follow: true}",
    ),
)
class File(Source):
    """The lines of a file, or of all files that match a pattern, in the order of their names.

    Each line is one payload for the codec (``decode:``); empty lines are skipped. A file called
    ``.csv`` (or with ``format: csv``) needs no codec: its first line names the columns, a column
    of whole numbers is int, of numbers float, else text, and an empty cell is missing. A column
    that turns out to be wider later changes from there on; ``kinds`` settles it beforehand, and a
    cell that is then no number is missing and counted. A line that is no row (a quote that is
    never closed, a field of more than 128 KiB) becomes a dead letter. Numbers with leading zeros
    are text. For a CSV file without a header use ``format: ndjson`` and the csv codec. Names
    ending in ``.gz`` are decompressed.

    With ``follow`` the source waits for the file to appear and for more lines; a file that was
    renamed and begun anew (log rotation) is read to its end first. A pattern must not match the
    rotated files. ``speed`` is for replaying: times the pace at which the rows once came.

    Delivery: replayable. The position is kept by byte, so nothing is lost and nothing comes
    twice; a file that was changed before the position stops the pipeline (when following, the new
    file is read from its start, with a warning).
    """

    replayable: ClassVar[bool] = True

    path: str = option(help="A file, or a pattern such as data/*.ndjson.gz.")
    format: Literal["ndjson", "csv"] | None = option(
        default=None, help="csv (with a header), or lines for the codec; by default from the name."
    )
    follow: bool = option(default=False, help="Wait for more lines instead of ending.")
    speed: float = option(
        default=0.0,
        help="Replay at so many times the pace of the event times; 0 is at once.",
        minimum=0,
    )
    delimiter: str = option(default=",", help="What stands between two cells of CSV.")
    encoding: str = option(default="utf-8", help="How text is encoded in CSV.")
    kinds: Mapping[str, Literal["float", "string"]] | None = option(
        default=None, help="Kinds of CSV columns, where they shall not be inferred."
    )
    poll: Duration = option(default="200ms", help="How often a followed file is looked at.")

    _ctx: Context | None = state()
    _trail: Trail | None = state()
    _items: Items | None = state()
    _learnt: dict[str, CellKind] = state(dict)

    def check(self) -> None:
        """A compressed file cannot be followed; a delimiter is one sign; encodings have names."""
        problems = []
        if self.follow and self.path.endswith(".gz"):
            problems.append(Problem("a compressed file cannot be followed", ("follow",)))
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            hint = "such as ',' or ';' or a tab"
            problems.append(Problem("must be a single sign", ("delimiter",), hint))
        try:
            fits = "\n,a".encode(self.encoding) == b"\n,a"
        except LookupError:
            fits = False
        if not fits:
            hint = "such as utf-8, latin-1 or cp1252"
            problems.append(Problem(f"{self.encoding!r} cannot be read", ("encoding",), hint))
        if problems:
            raise ConfigError(problems)

    def schema(self) -> Schema:
        """What is known of CSV beforehand."""
        return Schema(dict(self.kinds or {}), open=True)

    async def open(self, ctx: Context, resume: Position | None) -> None:
        """Find the files; go on in the file and at the byte of ``resume``."""
        await self.close()
        self._ctx = ctx
        resume = resume or {}
        self._learnt = dict(resume.get("kinds", {}))
        self._trail = Trail(self.path, follow=self.follow, log=ctx.log)
        if await self._trail.open(resume):
            self._enter(self._trail, int(resume["offset"]), int(resume["line"]))
        else:
            self._enter(self._trail, 0, 0)

    async def batches(self) -> AsyncIterator[Payloads | Batch]:
        """The lines as they come, at most 2,000 at a time."""
        assert self._trail is not None
        while True:
            reader = self._trail.reader
            chunk = reader.read() if reader else None
            if reader and self._items and (chunk or reader.whole):
                for item in self._items.of(chunk):
                    yield item
            if chunk is not None:
                await asyncio.sleep(0)
            elif not await self._go_on(self._trail):
                return

    def position(self) -> Position:
        """The file, the byte and the line after the last that was given, and what is known."""
        items = self._items
        if items is None:
            return {}
        return {
            "file": str(items.name),
            "offset": items.offset,
            "line": items.line,
            "head": head_hash(items.reader.head, items.offset),
            "kinds": dict(self._learnt),
        }

    def total(self) -> tuple[int, int] | None:
        """Bytes read and bytes in all, as they lie on the disk."""
        return self._trail.progress() if self._trail and not self.follow else None

    async def close(self) -> None:
        """Close the open file."""
        if self._trail is not None:
            self._trail.close()

    def _enter(self, trail: Trail, offset: int, line: int) -> None:
        """Get ready for the file that was opened."""
        self._items = None
        if trail.name is None or trail.reader is None or self._ctx is None:
            return
        csv = None
        if (self.format or trail.name.name.removesuffix(".gz")[-4:]) in ("csv", ".csv"):
            csv = CsvLines(self.delimiter, self.encoding, self.kinds or {}, self._learnt)
            if offset:
                csv.header(trail.reader.first_line)
        self._items = Items(self._ctx, trail.name, trail.reader, csv, offset, line)

    async def _go_on(self, trail: Trail) -> bool:
        """Begin the next file or wait for more; False when all is read."""
        assert self._ctx is not None
        following = trail.following()
        if following is not None and (trail.reader is None or trail.reader.whole):
            trail.begin(following)
            self._enter(trail, 0, 0)
        elif self.follow:
            # One more look after a pause: its writer may just have been adding a last line.
            await self._ctx.clock.sleep(nanos(self.poll))
            if following is not None and trail.reader is not None:
                trail.reader.whole = True
        return self.follow or following is not None
