"""What a source of files gives for the lines of one file, and how far in the file that is.

The place is moved before an item is given, so that it is always just after the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgestream.batch import Batch
from edgestream.component import Context, Payloads
from edgestream.pieces import Pieces
from edgestream.sources.csv_table import CsvLines
from edgestream.sources.lines import BOM, MAX_LINE, Chunk, LineReader, pieces

MAX_ROWS = 2_000
"""The most lines of CSV taken at once."""
MAX_PAYLOADS = 4_096
"""The most lines given at once as payloads: JSON of one shape is decoded so many at a time."""


@dataclass(slots=True)
class Items:
    """The items of one file: payloads for a codec, or batches where it is read as CSV."""

    ctx: Context
    name: Path
    reader: LineReader
    csv: CsvLines | None
    offset: int = 0
    line: int = 0

    def of(self, chunk: Chunk | None) -> Iterator[Payloads | Batch]:
        """What a chunk gives; at the end of the file (None), what waited for a last line."""
        lines = chunk.lines if chunk else ()
        if self.csv is None:
            for piece in pieces(lines, MAX_PAYLOADS):
                yield from self._payloads(piece, chunk is not None and chunk.returns)
        elif chunk is None:
            yield from self._rows(self.csv, (), last=True)
        elif chunk.cut:
            yield from self._rows(self.csv, (), last=True)
            yield from self._bad(lines, {0: f"longer than {MAX_LINE} bytes; the rest is cut off"})
            self.offset = self.reader.offset
        else:
            for piece in pieces(list(lines), MAX_ROWS):
                yield from self._rows(self.csv, piece, last=False)

    def _payloads(self, lines: Sequence[bytes], returns: bool) -> Iterator[Payloads]:
        """Lines for the codec, without empty ones."""
        first = self.offset == 0
        self._move(lines)
        if first and lines[0].startswith(BOM):
            lines = [lines[0].removeprefix(BOM), *lines[1:]]
        if returns:
            lines = [line.removesuffix(b"\r") for line in lines]
        if not isinstance(lines, Pieces) or not lines.sizes.all():
            lines = list(filter(None, lines))
        if lines:
            yield Payloads(lines, received=self.ctx.clock.wall())

    def _rows(
        self, csv: CsvLines, lines: Sequence[bytes], *, last: bool
    ) -> Iterator[Payloads | Batch]:
        """The whole rows of lines of CSV, and the lines that are none."""
        more = True
        while more:
            taken = csv.take(lines, last=last)
            lines, more = (), taken.more
            for oddity, count in taken.oddities.items():
                self.ctx.metrics.add(oddity, count)
            good = max(taken.bad) + 1 if taken.bad else 0
            yield from self._bad(taken.lines[:good], taken.bad)
            self._move(taken.lines[good:])
            if taken.count:
                yield Batch(taken.columns, np.full(taken.count, self.ctx.clock.wall(), np.int64))

    def _bad(self, lines: Sequence[bytes], bad: Mapping[int, str]) -> Iterator[Payloads]:
        """Lines that no row can be made of: dead letters, and counted."""
        if bad:
            first = self.line + 1
            self._move(lines)
            self.ctx.metrics.add("bad_lines", len(bad))
            reasons = [f"line {first + index}: {why}" for index, why in bad.items()]
            payloads = [lines[index] for index in bad]
            refused = dict(enumerate(reasons))
            yield Payloads(payloads, received=self.ctx.clock.wall(), refused=refused)

    def _move(self, lines: Sequence[bytes]) -> None:
        # The last line of a file may have no end, and one that was cut is longer than it looks.
        taken = lines.sizes.sum() if isinstance(lines, Pieces) else sum(map(len, lines))
        size = int(taken) + len(lines)
        cut = len(lines) == 1 and size > MAX_LINE
        end = self.reader.offset
        self.offset = end if cut else min(self.offset + size, end)
        self.line += len(lines)
