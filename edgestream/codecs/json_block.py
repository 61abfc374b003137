"""JSON payloads one after the other, so that all of them are looked at together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgestream.codecs.json_form import is_utf8
from edgestream.textcodes import WORD, Words

_PIECE: Final = 1024
"""So many payloads are joined at a time: what is larger comes from the system, page by page."""
_BEFORE: Final = 64
_BEHIND: Final = 64
_SPACE: Final = 32
_ASCII: Final = 127
_BACKSLASH: Final = 92


class Block:
    """Payloads in one array of bytes, and which of them are plain.

    In plain ones no character is written as something else: they have no backslash, no control
    character (so no line end either), and are UTF-8.
    """

    def __init__(self, room: Room, payloads: Sequence[bytes], sizes: NDArray[np.int64]) -> None:
        """Put them into ``room``; the block is good until the next one is."""
        self.ends: NDArray[np.int64] = np.cumsum(sizes)
        self.ends += _BEFORE
        self.starts: NDArray[np.int64] = self.ends - sizes
        self.bytes: NDArray[np.uint8] = room.bytes
        self.plain = np.ones(len(payloads), np.bool_)
        self._views: dict[int, NDArray[np.void]] = {}
        end = int(self.ends[-1])
        text = self.bytes.data
        escaped = False
        for first in range(0, len(payloads), _PIECE):
            piece = b"".join(payloads[first : first + _PIECE])
            begin = int(self.starts[first])
            text[begin : begin + len(piece)] = piece
            escaped = escaped or b"\\" in piece
        self.bytes[end : end + room.behind] = 0
        here = self.bytes[_BEFORE:end]
        if here.max(initial=0) > _ASCII:
            self._check_utf8()
        if escaped or here.min(initial=_SPACE) < _SPACE:
            odd = np.flatnonzero((here < _SPACE) | (here == _BACKSLASH))
            self.plain[np.searchsorted(self.ends, odd + _BEFORE, side="right")] = False

    def _check_utf8(self) -> None:
        """What is taken begins and ends with ASCII, so none completes a character of another."""
        for first in range(0, len(self.ends), _PIECE):
            last = min(first + _PIECE, len(self.ends)) - 1
            if not is_utf8(self.bytes[self.starts[first] : self.ends[last]].tobytes()):
                self.plain[first : last + 1] = False

    def words(self, starts: NDArray[np.int64], count: int) -> Words:
        """The ``count`` words that begin at each of ``starts``, in rows."""
        size = WORD * count
        view = self._views.get(count)
        if view is None:
            shape = (len(self.bytes) - size + 1,)
            view = np.ndarray(shape, f"V{size}", self.bytes.data, strides=(1,))
            self._views[count] = view
        taken: Words = view[starts].view(np.uint64)
        return taken.reshape(-1, count)


class Room:
    """Memory that is used for block after block."""

    def __init__(self) -> None:
        """Begin with none."""
        self.bytes: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self.behind = _BEHIND

    def block(self, payloads: Sequence[bytes], sizes: NDArray[np.int64], reach: int) -> Block:
        """The payloads; behind the last there are zeros for ``reach`` bytes and a value."""
        self.behind = _BEHIND + reach
        needed = _BEFORE + int(sizes.sum()) + self.behind
        if needed > len(self.bytes):
            self.bytes = np.zeros(needed + needed // 4, np.uint8)
        return Block(self, payloads, sizes)


def sizes_of(payloads: Sequence[bytes]) -> NDArray[np.int64]:
    """The bytes of each payload."""
    try:
        return np.frombuffer(bytearray(map(len, payloads)), np.uint8).astype(np.int64)
    except ValueError:  # one has more than 255; counting so takes twice as long
        return np.fromiter(map(len, payloads), np.int64, len(payloads))
