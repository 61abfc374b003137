"""Rows as text: JSON lines, CSV, or a table for people."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from edgestream.batch import Batch, Column, Strings
from edgestream.errors import printable
from edgestream.sinks.cells import broken_text, cells, has_surrogate, without_columns


def writable(batch: Batch) -> tuple[Batch, dict[int, str]]:
    """The columns that can be written as UTF-8, and why some of the rows cannot."""
    unfit = {name: f"{name!r} is no valid Unicode" for name in batch.columns if has_surrogate(name)}
    reasons = broken_text(batch) | without_columns(batch, unfit)
    if unfit:
        batch = batch.select([name for name in batch.columns if name not in unfit])
    return batch, reasons


def json_lines(batch: Batch) -> bytes:
    """One JSON object a line."""
    from edgestream.codecs.json_encode import encode  # noqa: PLC0415

    return b"".join(line + b"\n" for line in encode(batch))


def csv_lines(batch: Batch, names: Sequence[str]) -> bytes:
    """One line a row with these columns; what is missing is empty."""
    columns = [
        _csv_cells(batch.columns[name]) if name in batch.columns else [""] * len(batch)
        for name in names
    ]
    return csv_text(list(zip(*columns, strict=True)))


def csv_text(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows of cells as CSV in UTF-8."""
    import csv  # noqa: PLC0415 - only where a file needs it

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _csv_cells(column: Column) -> list[Any]:
    if isinstance(column, Strings) or column.dtype.kind in "iM":
        return cells(column)
    if column.dtype.kind == "b":
        return ["true" if value else "false" for value in column.tolist()]
    return ["" if math.isnan(value) else value for value in column.tolist()]


class TextTable:
    """Rows in columns that are lined up; the heading comes again when a column changes."""

    def __init__(self) -> None:
        """No heading has been written."""
        self._widths: dict[str, int] = {}

    def text(self, batch: Batch) -> str:
        """The lines of a batch."""
        if not len(batch):
            return ""
        columns = {name: [printable(name), *_shown(c)] for name, c in batch.columns.items()}
        widths = {
            name: max(self._widths.get(name, 0), *map(len, texts))
            for name, texts in columns.items()
        }
        aligned = [
            [text.ljust(widths[name]) for text in texts]
            if isinstance(batch.columns[name], Strings)
            else [text.rjust(widths[name]) for text in texts]
            for name, texts in columns.items()
        ]
        lines = ["  ".join(row).rstrip() + "\n" for row in zip(*aligned, strict=True)]
        same, self._widths = widths == self._widths, widths
        return "".join(lines[1:] if same else lines)


def _shown(column: Column) -> list[str]:
    if isinstance(column, Strings):
        return ["-" if text is None else printable(text) for text in column.to_list()]
    if column.dtype.kind == "f":
        return ["-" if math.isnan(value) else f"{value:.6g}" for value in column.tolist()]
    if column.dtype.kind == "b":
        return ["yes" if value else "no" for value in column.tolist()]
    return ["-" if value is None else str(value) for value in cells(column)]
