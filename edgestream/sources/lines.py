"""Lines of files, in bounded chunks, plain or gzip, from any byte offset on.

A file is known again by the hash of its first bytes, because names and inode numbers are reused.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from edgestream.errors import EXIT_CONFIG, EXIT_IO, EXIT_PERMISSION, Fatal
from edgestream.pieces import Pieces

CHUNK = 256 * 1024
"""The most bytes read at once."""
MAX_LINE = 1024 * 1024
"""The longest line; of a longer one a little more than this is given."""
BOM = b"\xef\xbb\xbf"
"""What some programs put before UTF-8 text."""
_LINE_END, _SPACE = 10, 32
HEAD = 1024
"""How many of the first bytes a file is known by."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines without their ends.

    ``cut`` says that the only line is not all there, ``returns`` that lines may end in CR.
    """

    lines: Sequence[bytes]
    cut: bool = False
    returns: bool = False


def lines_of(data: bytes, end: int) -> Pieces:
    """The lines that fill the first ``end`` bytes, where they lie."""
    read = np.frombuffer(data, np.int8, end)  # with a sign: what is not ASCII is below 0
    stops = np.flatnonzero(read == _LINE_END)
    starts = np.concatenate([[0], stops[:-1] + 1])
    printable = np.count_nonzero(read < _SPACE) == len(stops)
    return Pieces(data, starts, stops, printable=bool(printable))


def pieces(lines: Sequence[bytes], most: int) -> Iterator[Sequence[bytes]]:
    """The lines in pieces of about the same length, of at most ``most``."""
    count = -(-len(lines) // most)
    for number in range(count):
        yield lines[len(lines) * number // count : len(lines) * (number + 1) // count]


def head_hash(head: bytes, offset: int) -> str:
    """What a file read up to ``offset`` is known by."""
    return hashlib.blake2b(head[: min(offset, HEAD)], digest_size=8).hexdigest()


class LineReader:
    """One open file; ``offset`` is the end of what was given, in bytes before compression.

    ``whole`` says that no more bytes will be added, so that a last line without end counts.
    """

    def __init__(self, path: Path, *, whole: bool) -> None:
        """Open the file; raises `Fatal` with what to do."""
        self.path = path
        self.whole = whole
        self.offset = 0
        self.head = b""
        self.first_line = b""
        self._rest = b""
        self._dropped = 0
        self._ahead = b""
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise failure(path, error) from error
        self._stream: IO[bytes] = self._file
        if path.suffix == ".gz":
            import gzip  # noqa: PLC0415 - only where a file needs it

            self._stream = cast("IO[bytes]", gzip.GzipFile(fileobj=self._file))

    def peek(self) -> bytes:
        """The first bytes of the file, before anything else is read."""
        start = self._bytes(CHUNK)
        self._stream.seek(0)
        self.first_line = start.lstrip(b"\r\n").split(b"\n", 1)[0]
        return start[:HEAD]

    def seek(self, offset: int) -> Iterator[None]:
        """Go to ``offset`` step by step; raises `Fatal` where the file is shorter."""
        self.head = self.peek()[:offset]
        left = 0 if self._stream is self._file else offset
        while left:
            skipped = len(self._bytes(min(left, CHUNK)))
            if skipped == 0:
                raise Fatal(
                    f"{self.path} ends before byte {offset}, where reading stopped", EXIT_IO
                )
            left -= skipped
            yield
        self._stream.seek(offset)
        self.offset = offset

    def read(self) -> Chunk | None:
        """The next whole lines, perhaps none yet; None at the end of the file."""
        data = self._ahead or self._bytes(CHUNK)
        if len(self.head) < HEAD and not self._ahead:
            self.head += data[: HEAD - len(self.head)]
        self._ahead = b""
        if not data:
            return self._last() if self.whole and self._rest else None
        if len(self._rest) > MAX_LINE:
            return self._skip(data)
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        self.offset += end
        return Chunk(lines_of(data, end) if end else (), returns=b"\r" in data)

    def size(self) -> int:
        """The size of the file now, as it lies on the disk."""
        return os.fstat(self._file.fileno()).st_size

    def done(self) -> int:
        """How many bytes of the file on the disk were read."""
        return self._file.tell()

    def replaced(self, path: Path) -> bool:
        """Whether ``path`` is another file now, or this one was cut short."""
        mine = os.fstat(self._file.fileno())
        try:
            now = path.stat()
        except OSError:
            return False
        return (now.st_ino, now.st_dev) != (mine.st_ino, mine.st_dev) or mine.st_size < self.done()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._file.close()

    def _bytes(self, count: int) -> bytes:
        import zlib  # noqa: PLC0415

        try:
            return self._stream.read(count)
        except (OSError, EOFError, zlib.error) as error:
            raise failure(self.path, error) from error

    def _last(self) -> Chunk:
        line, self._rest = self._rest, b""
        self.offset += len(line) + self._dropped
        cut, self._dropped = self._dropped > 0, 0
        return Chunk((line,), cut, returns=True)

    def _skip(self, data: bytes) -> Chunk:
        """Drop what is left of a line that is too long."""
        self._dropped += len(self._rest) - MAX_LINE - 1
        self._rest = self._rest[: MAX_LINE + 1]
        end = data.find(b"\n")
        if end < 0:
            self._dropped += len(data)
            return Chunk(())
        self._dropped += end + 1
        self._ahead = data[end + 1 :]
        return self._last()


def failure(path: Path, error: Exception) -> Fatal:
    """An error of a file in words, with the exit code that fits."""
    if isinstance(error, FileNotFoundError):
        return Fatal(f"there is no file {path}", EXIT_CONFIG)
    if isinstance(error, IsADirectoryError):
        return Fatal(f"{path} is a folder; name its files, such as {path}/*.ndjson", EXIT_CONFIG)
    if isinstance(error, PermissionError):
        return Fatal(f"{path} may not be read; give this user read permission", EXIT_PERMISSION)
    reason = getattr(error, "strerror", None) or str(error)
    return Fatal(f"{path} cannot be read: {reason}", EXIT_IO)
