"""Whether SQLite's write-ahead log has been damaged in its middle.

SQLite reads the log up to the first frame whose checksum does not match, and takes the rest for a
torn end, without a word. A crash tears at most the last transaction, for each is synced before the
next begins. So whole transactions behind the place where reading ended were on the disk once, and
acknowledged: a bit has rotted before them.

Formats: https://sqlite.org/fileformat2.html#the_write_ahead_log and
https://sqlite.org/walformat.html#the_wal_index_header
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_HEADER = struct.Struct(">IIIIIIII")
_MAGIC = 0x377F0682
_FRAME = struct.Struct(">IIII")
"""Page number, size of the database after a commit (else 0), and two salts."""
_FRAME_HEADER = 24
_READ_FRAMES_AT = 16
"""Where the header of the index, in the byte order of the machine, has the number of frames."""
_SALTS_AT = 32
"""Where it has the salts of the log, as they stand in the log."""
_WORD = 0xFFFFFFFF


def commits_behind(path: Path) -> int:
    """Transactions in the log of the open database ``path`` that SQLite has not read.

    One may be torn by a crash; two or more say that the log is damaged. Call it after the first
    read, which makes the index, and before the first write.
    """
    place = Path(f"{path}-wal")
    if not place.exists():
        return 0
    with place.open("rb") as log:
        header = log.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return 0
        page = _HEADER.unpack(header)[2]
        if not 512 <= page <= 65_536:
            page = _page_size(path)
        frames, salts = _index(path)
        if _whole(header) and not frames and salts not in (bytes(8), header[16:24]):
            return 0  # all of it is in the database; who began the log anew could not write it
        return _behind(log, header, page, frames if _whole(header) else 0)


def _behind(log: BinaryIO, header: bytes, page: int, frames: int) -> int:
    """Transactions behind the first ``frames``."""
    if _whole(header):
        return sum(frame == header[16:24] for frame in _commits(log, page, frames))
    log.seek(_HEADER.size)
    first = log.read(_FRAME.size)[8:]
    # The header fits into a sector, and is never torn: one more is already too many.
    return 1 + sum(frame == first for frame in _commits(log, page, 0))


def _commits(log: BinaryIO, page: int, skip: int) -> Iterator[bytes]:
    """The salts of each frame that ends a transaction, after the first ``skip`` frames."""
    at = _HEADER.size + skip * (_FRAME_HEADER + page)
    while True:
        log.seek(at)
        frame = log.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            return
        if frame[4:8] != bytes(4):
            yield frame[8:]
        at += _FRAME_HEADER + page


@dataclass(frozen=True, slots=True)
class Committed:
    """What is in a log: how many pages the database has, and those that were changed.

    ``behind`` is `commits_behind`, found out without SQLite.
    """

    count: int = 0
    pages: Mapping[int, bytes] = field(default_factory=dict)
    behind: int = 0


def committed(path: Path, page: int) -> Committed:
    """What SQLite would read of the log: all transactions up to the first frame that fits not."""
    place = Path(f"{path}-wal")
    if not place.exists():
        return Committed()
    with place.open("rb") as log:
        header = log.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return Committed()
        if not _whole(header) or _HEADER.unpack(header)[2] != page:
            return Committed(behind=_behind(log, header, page, 0))
        pages: dict[int, bytes] = {}
        changed: dict[int, bytes] = {}
        count = frames = 0
        for read, (number, size, data) in enumerate(_frames(log, header, page), 1):
            changed[number] = data
            if size:
                count, frames = size, read
                pages |= changed
                changed = {}
        return Committed(count, pages, _behind(log, header, page, frames))


def _frames(log: BinaryIO, header: bytes, page: int) -> Iterator[tuple[int, int, bytes]]:
    """Page number, size of the database after a commit (else 0), and page of each whole frame."""
    order = _order(header)
    sums: tuple[int, int] = struct.unpack(">II", header[24:])
    while len(frame := log.read(_FRAME_HEADER + page)) == _FRAME_HEADER + page:
        sums = _summed(frame[:8] + frame[_FRAME_HEADER:], order, sums)
        if frame[8:16] != header[16:24] or struct.pack(">II", *sums) != frame[16:24]:
            return
        number, size = struct.unpack(">II", frame[:8])
        yield number, size, frame[_FRAME_HEADER:]


def _order(header: bytes) -> str:
    """The byte order of the log's checksums."""
    return ">" if header[3] & 1 else "<"


def _summed(data: bytes, order: str, sums: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """The checksum of the log, carried on over ``data``."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second


def _whole(header: bytes) -> bool:
    """Whether the checksum of the log's header is right."""
    if _HEADER.unpack(header)[0] & ~1 != _MAGIC:
        return False
    return struct.pack(">II", *_summed(header[:24], _order(header))) == header[24:]


def _index(path: Path) -> tuple[int, bytes]:
    """How many frames of the log were read, and the salts that its next ones will have."""
    with Path(f"{path}-shm").open("rb") as index:
        header = index.read(_SALTS_AT + 8)
    return struct.unpack_from("=I", header, _READ_FRAMES_AT)[0], header[_SALTS_AT:]


def _page_size(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(16)
        size = int(struct.unpack(">H", file.read(2))[0])
    return 65_536 if size == 1 else max(size, 512)
