"""Lines of CSV to typed columns: whole numbers, else numbers, else text.

What a column once was it stays or widens (int → float → text), so that a column never goes back;
the kinds are part of a saved position, so that a replay gives the same columns.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Literal, TypeAlias

import numpy as np

from edgestream.batch import Column, Dictionary, Strings
from edgestream.sources.lines import BOM, MAX_LINE

CellKind: TypeAlias = Literal["int", "float", "string"]
Record: TypeAlias = Sequence[str]

_LEADING_ZERO = re.compile(r"\n *[+-]?0[0-9]")
_MAX_TEXTS = 65_536


@dataclass(slots=True)
class Parsed:
    """Whole records, how many lines they took, and the lines that are no record with the reason.

    ``more`` says that bad lines follow.
    """

    records: list[Record] = field(default_factory=list)
    used: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    more: bool = False


@dataclass(slots=True)
class CsvTable:
    """The columns of one file: ``declared`` kinds are given, ``learnt`` ones grow with the rows.

    ``oddities`` counts what was mended: cells that are no number, rows that are too short or long.
    """

    names: Sequence[str]
    delimiter: str
    declared: Mapping[str, Literal["float", "string"]]
    learnt: dict[str, CellKind]
    oddities: Counter[str] = field(default_factory=Counter)
    _texts: dict[str, Dictionary] = field(default_factory=dict)

    def parse(self, text: str, *, last: bool) -> Parsed:
        """Records of whole lines; those of a record that goes on later are not used.

        Lines that are no record come first or not at all: behind records they wait for the next
        call, so that there is a place in the file between the two.
        """
        lines = list(StringIO(text, newline="\n"))
        parsed = Parsed()
        while parsed.used < len(lines):
            why, opened = self._take(lines[parsed.used :], parsed)
            if not why:
                break
            if opened and not last and sum(map(len, lines[parsed.used :])) < MAX_LINE:
                break
            if parsed.records:
                parsed.more = True
                break
            parsed.bad[parsed.used] = why
            parsed.used += 1
        return parsed

    def _take(self, lines: Sequence[str], parsed: Parsed) -> tuple[str, bool]:
        """Why the line after those taken begins no record, and whether a quote is open there."""
        import csv  # noqa: PLC0415 - only where a file needs it

        ended: list[bool] = []
        reader = csv.reader(_feed(lines, ended), delimiter=self.delimiter)
        start = parsed.used
        try:
            for record in reader:
                if ended:
                    return "a quote is opened and not closed", True
                if record:
                    parsed.records.append(record)
                parsed.used = start + reader.line_num
        except csv.Error as error:
            return str(error), False
        return "", False

    def columns(self, records: Sequence[Record]) -> dict[str, Column]:
        """Typed columns of at least one record."""
        width = len(self.names)
        if set(map(len, records)) != {width}:
            records = [self._fit(record, width) for record in records]
        return {
            name: self._column(name, cells)
            for name, cells in zip(self.names, zip(*records, strict=True), strict=True)
        }

    def _fit(self, record: Record, width: int) -> Record:
        if len(record) != width:
            self.oddities["ragged_rows"] += 1
        return [*record[:width], *[""] * (width - len(record))]

    def _column(self, name: str, cells: Sequence[str]) -> Column:
        declared = self.declared.get(name)
        if declared == "float":
            return np.array([self._number(cell) for cell in cells], np.float64)
        if declared is None and self.learnt.get(name) != "string":
            numbers = self._numbers(name, cells)
            if numbers is not None:
                return numbers
            self.learnt[name] = "string"
        texts = self._texts.get(name)
        if texts is None or len(texts) > _MAX_TEXTS:
            texts = self._texts[name] = Dictionary()
        return Strings(texts.encode([cell or None for cell in cells]), texts)

    def _numbers(self, name: str, cells: Sequence[str]) -> Column | None:
        """The cells as numbers, or None where one of them is text."""
        if not any(cells):
            if self.learnt.get(name) == "int":
                self.learnt[name] = "float"
            return np.full(len(cells), math.nan)
        if not _plain("\n" + "\n".join(cells)):
            return None
        whole = _whole(cells) if self.learnt.get(name) != "float" else None
        if whole is not None:
            self.learnt[name] = "int"
            return _int64(whole)
        try:
            values = np.array([float(cell) if cell else math.nan for cell in cells], np.float64)
        except ValueError:
            return None
        self.learnt[name] = "float"
        return values

    def _number(self, cell: str) -> float:
        try:
            return float(cell) if cell else math.nan
        except ValueError:
            self.oddities["bad_cells"] += 1
            return math.nan


def _feed(lines: Sequence[str], ended: list[bool]) -> Iterator[str]:
    """The lines; ``ended`` is filled when one more is asked for than there are."""
    yield from lines
    ended.append(True)


def _plain(joined: str) -> bool:
    """Whether no cell is text that Python would read as a number: 007, 1_000, nan, ٣."""
    if not joined.isascii() or "_" in joined or "n" in joined or "N" in joined:
        return False
    zeros = "\n0" in joined or "\n-0" in joined or "\n+0" in joined or "\n " in joined
    return not (zeros and _LEADING_ZERO.search(joined))


def _whole(cells: Sequence[str]) -> list[int] | None:
    try:
        return list(map(int, cells))
    except ValueError:
        return None


def _int64(whole: list[int]) -> Column | None:
    try:
        return np.array(whole, np.int64)
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class Taken:
    """What some lines gave: columns (none where no row was whole) and the lines it was made of.

    ``bad`` are those of them that are no row, before all rows, and why; ``oddities`` counts what
    was mended; ``more`` says that lines wait that can be taken at once.
    """

    columns: Mapping[str, Column]
    count: int
    lines: Sequence[bytes]
    bad: Mapping[int, str] = field(default_factory=dict)
    oddities: Mapping[str, int] = field(default_factory=dict)
    more: bool = False


@dataclass(slots=True)
class CsvLines:
    """The lines of one CSV file as they come: the header, then rows, whole ones at once."""

    delimiter: str
    encoding: str
    declared: Mapping[str, Literal["float", "string"]]
    learnt: dict[str, CellKind]
    table: CsvTable | None = None
    waiting: Sequence[bytes] = ()

    def header(self, line: bytes) -> None:
        """Take the line that names the columns."""
        names = header_names(
            line.removeprefix(BOM).decode(self.encoding, "replace"), self.delimiter
        )
        self.table = CsvTable(names, self.delimiter, self.declared, self.learnt)

    def take(self, lines: Sequence[bytes], *, last: bool = False) -> Taken:
        """The rows of the lines, after those that were waiting for the end of a record."""
        lines = [*self.waiting, *lines]
        skip = 0
        if self.table is None:
            skip = next((i for i, line in enumerate(lines) if line.strip()), -1) + 1
            if skip == 0:
                return Taken({}, 0, lines)
            self.header(lines[skip - 1])
        assert self.table is not None
        text = self._text(b"".join(line + b"\n" for line in lines[skip:]))
        parsed = self.table.parse(text, last=last)
        used = skip + parsed.used
        self.waiting = lines[used:]
        columns = self.table.columns(parsed.records) if parsed.records else {}
        oddities, self.table.oddities = self.table.oddities, Counter()
        bad = {skip + index: why for index, why in parsed.bad.items()}
        return Taken(columns, len(parsed.records), lines[:used], bad, oddities, parsed.more)

    def _text(self, data: bytes) -> str:
        try:
            return data.decode(self.encoding)
        except UnicodeDecodeError:
            assert self.table is not None
            text = data.decode(self.encoding, "replace")
            self.table.oddities["bad_text"] += text.count("\ufffd")
            return text


def header_names(line: str, delimiter: str) -> list[str]:
    """The column names of a header line: unnamed ones are numbered, repeated ones as well.

    A line that is no CSV (a line end within, a cell beyond what is read) is cut at its delimiters.
    """
    import csv  # noqa: PLC0415

    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        cells = line.split(delimiter)
    names: dict[str, None] = {}
    for number, cell in enumerate(cells, 1):
        name = cell.strip() or f"column_{number}"
        while name in names:
            name = f"{name}_{number}"
        names[name] = None
    return list(names)
