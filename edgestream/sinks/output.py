"""A file that rows are appended to, whose committed size is kept in a small file beside it.

Opening it again cuts off whatever came after the last commit.
"""

from __future__ import annotations

import fcntl
import logging
import os
import zlib
from pathlib import Path

from edgestream.batch import Batch
from edgestream.component import Token
from edgestream.errors import EXIT_CONFIG, Disconnected, Fatal, Held
from edgestream.sinks.cells import good_rows, without_columns
from edgestream.sinks.committed import Committed, force
from edgestream.sinks.disk import worded
from edgestream.sinks.text import csv_lines, csv_text, json_lines, writable

SPILL = 1024 * 1024
"""Rows are held in memory up to this many bytes before they are written."""
_GZIP = 16 + zlib.MAX_WBITS
_MAX_HEADER = 1024 * 1024


class Output:
    """An open file; every method is called in one thread.

    ``_end`` is how far the file is written and ``_pending`` what comes next, so a write that
    fails can be made again.
    """

    def __init__(self, path: str, *, as_csv: bool, id: str, log: logging.Logger) -> None:  # noqa: A002
        """Nothing is opened yet; ``id`` is the key of the token."""
        self._path = Path(path)
        self._committed = Committed(self._path)
        self._as_csv = as_csv
        self._gzip = path.endswith(".gz")
        self._id = id
        self._log = log
        self._fd = -1
        self._end = 0
        self._pending = bytearray()
        self._squeeze: zlib._Compress | None = None
        self._names: list[str] | None = None

    def open(self) -> Token | None:
        """Open or create the file, cut off what was not committed; the last token of the id."""
        with worded(self._path):
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                words = f"{self._path} is being written by another process or pipeline"
                raise Held(f"{words}; waiting for it to end") from error
            self._end = self._restore()
            if self._end:
                self._go_on()
        return self._committed.tokens.get(self._id)

    def write(self, batch: Batch) -> dict[int, str]:
        """Take the rows; those that can never be written, with why."""
        if len(batch) == 0:
            return {}
        if len(self._pending) > SPILL:
            self._spill()
        fit, reasons = writable(batch)
        if not self._as_csv:
            self._add(json_lines(good_rows(fit, reasons)))
            return reasons
        if self._names is None:
            self._names = list(fit.columns)
            self._add(csv_text([self._names]))
        for name in fit.columns:
            if name not in self._names:
                why = f"the file has no column {name!r}: a CSV file keeps the columns it began with"
                reasons |= without_columns(batch, {name: why})
        self._add(csv_lines(good_rows(fit, reasons), self._names))
        return reasons

    def flush(self, token: Token | None) -> None:
        """Force the rows to the disk, then say so together with the token."""
        if self._squeeze is not None:
            self._pending += self._squeeze.flush()
            self._squeeze = None
        self._spill()
        if token is None and self._end == self._committed.size:
            return
        force(self._fd, self._path)
        tokens = self._committed.tokens
        if token is not None:
            tokens = {**tokens, self._id: token}
        self._committed.write(self._fd, self._end, tokens)

    def close(self) -> None:
        """Close the file; the next open cuts off what was not flushed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _restore(self) -> int:
        """Read what is committed and cut off the rest; how far the file is good."""
        size = os.fstat(self._fd).st_size
        known = self._committed.read()
        committed = self._committed.size if known else size
        if 0 < size < committed:
            raise self._changed(f"it has {size} bytes but {committed} were committed")
        if size >= committed and not self._committed.is_of(self._fd):
            raise self._changed(f"what stands before byte {committed} is not what was committed")
        if size > committed:
            told = "%s: %d bytes that were not committed are cut off"
            self._log.warning(told, self._path, size - committed)
            os.ftruncate(self._fd, committed)
        elif size < committed:
            self._log.warning("%s was moved away or emptied; it begins anew", self._path)
        if not known or size < committed:
            # From now on the file is cut at its present end, should nothing be committed.
            self._committed.write(self._fd, size, self._committed.tokens)
        return self._committed.size

    def _changed(self, how: str) -> Fatal:
        remedy = f"put it back, or move it and {self._committed.path} away"
        return Fatal(f"{self._path} was changed by another program: {how}; {remedy}", EXIT_CONFIG)

    def _go_on(self) -> None:
        """Get ready to append to rows that are there."""
        if self._as_csv:
            self._names = _header(self._path)
        if not self._gzip and os.pread(self._fd, 1, self._end - 1) != b"\n":
            self._add(b"\n")

    def _add(self, data: bytes) -> None:
        if self._gzip:
            if self._squeeze is None:
                self._squeeze = zlib.compressobj(wbits=_GZIP)
            data = self._squeeze.compress(data)
        self._pending += data

    def _spill(self) -> None:
        """Write what is pending; where that fails the file is as before."""
        with worded(self._path):
            self._look()
            try:
                with memoryview(self._pending) as data:
                    done = 0
                    while done < len(data):
                        done += os.pwrite(self._fd, data[done:], self._end + done)
            except OSError:
                os.ftruncate(self._fd, self._end)
                raise
        self._end += done
        self._pending.clear()

    def _look(self) -> None:
        """Raise `Disconnected` where the open file is no more the one that people see."""
        if self._fd < 0:
            raise Disconnected(f"{self._path} is not open")
        mine = os.fstat(self._fd)
        try:
            same = os.path.samestat(self._path.stat(), mine)
        except FileNotFoundError:
            same = False
        if not same:
            # Forced to the disk, for what is cut off here is written to the new file.
            os.ftruncate(self._fd, min(mine.st_size, self._committed.size))
            force(self._fd, self._path)
            raise Disconnected(f"{self._path} was moved away; it begins anew")
        if mine.st_size != self._end:
            raise Disconnected(f"{self._path} was changed by another program")


def _header(path: Path) -> list[str]:
    """The column names of a CSV file."""
    import csv  # noqa: PLC0415 - only where a file needs it
    import gzip  # noqa: PLC0415

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            line = file.readline(_MAX_HEADER).decode("utf-8", "replace")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        words = f"{path} is damaged: its column names cannot be read ({error}); move it away"
        raise Fatal(words, EXIT_CONFIG) from error
    return next(csv.reader([line]), [])
