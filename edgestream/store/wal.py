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
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_HEADER = struct.Struct(">IIIIIIII")
_MAGIC = 0x377F0682
_FRAME = struct.Struct(">IIII")
"""Page number, size of the database after a commit (else 0), and two salts."""
_FRAME_HEADER = 24
_READ_FRAMES_AT = 16
"""Where the header of the index, in the byte order of the machine, has the number of frames."""
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
        page, salts = _HEADER.unpack(header)[2], header[16:24]
        if not 512 <= page <= 65_536:
            page = _page_size(path)
        if _whole(header):
            return sum(frame == salts for frame in _commits(log, page, _frames_read(path)))
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


def _whole(header: bytes) -> bool:
    """Whether the checksum of the log's header is right."""
    magic = _HEADER.unpack(header)[0]
    if magic & ~1 != _MAGIC:
        return False
    first = second = 0
    words = struct.unpack(f"{'>' if magic & 1 else '<'}6I", header[:24])
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return struct.pack(">II", first, second) == header[24:]


def _frames_read(path: Path) -> int:
    with Path(f"{path}-shm").open("rb") as index:
        index.seek(_READ_FRAMES_AT)
        return int(struct.unpack("=I", index.read(4))[0])


def _page_size(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(16)
        size = int(struct.unpack(">H", file.read(2))[0])
    return 65_536 if size == 1 else max(size, 512)
