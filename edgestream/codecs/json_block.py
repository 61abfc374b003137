"""JSON payloads in one array of bytes, so that all of them are looked at together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgestream.codecs.json_form import is_utf8
from edgestream.pieces import Pieces
from edgestream.textcodes import WORD, Words

_PIECE: Final = 1024
"""So many payloads are joined at a time: what is larger comes from the system, page by page."""
_BEFORE: Final = 64
_BEHIND: Final = 64
_SPACE: Final = 32
_ASCII: Final = 127
_BACKSLASH: Final = 92


class Kept:
    """Memory for what is of no use any more when it is asked for again: no page of it is new."""

    def __init__(self) -> None:
        """Begin with none."""
        self._words = np.zeros(0, np.uint64)

    def words(self, size: int) -> Words:
        """So many words."""
        if size > len(self._words):
            self._words = np.zeros(size + size // 4, np.uint64)
        return self._words[:size]


class Block:
    """Payloads in ``bytes``, each from its start to its end, and which of them are plain.

    In plain ones no character is written as something else: they have no backslash, no control
    character (so no line end either), and are UTF-8.
    """

    def __init__(
        self,
        raw: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        kept: Kept,
    ) -> None:
        """All of them are plain, and ASCII, until it is known better."""
        self.bytes = raw
        self.starts = starts
        self.ends = ends
        self.plain = np.ones(len(starts), np.bool_)
        self.kept = kept
        self._views: dict[int, NDArray[np.void]] = {}
        self.ascii = True
        """Whether all bytes of all of them are ASCII."""

    def payload(self, row: int) -> bytes:
        """One of them."""
        return self.bytes[self.starts[row] : self.ends[row]].tobytes()

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
    """Memory that is used for block after block; each block is good until the next is made."""

    def __init__(self) -> None:
        """Begin with none."""
        self._bytes: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._kept = Kept()

    def block(self, payloads: Sequence[bytes], sizes: NDArray[np.int64], reach: int) -> Block:
        """The payloads; behind the last there are zeros for ``reach`` bytes and a value."""
        behind = _BEHIND + reach
        if isinstance(payloads, Pieces) and payloads.printable:
            first, last = int(payloads.starts[0]), int(payloads.stops[-1])
            if last - first <= 2 * sizes.sum():  # what lies between them is no more than they are
                here = self._space(last - first, behind)
                here[:] = np.frombuffer(payloads.data, np.uint8, last - first, first)
                moved = _BEFORE - first
                block = Block(
                    self._bytes, payloads.starts + moved, payloads.stops + moved, self._kept
                )
                if payloads.data.find(b"\\", first, last) >= 0:
                    _set_apart(block, here == _BACKSLASH)
                return block
        return self._joined(payloads, sizes, behind)

    def _joined(self, payloads: Sequence[bytes], sizes: NDArray[np.int64], behind: int) -> Block:
        """Payloads of which nothing is known, one after the other."""
        ends = np.cumsum(sizes)
        here = self._space(int(ends[-1]), behind)
        ends += _BEFORE
        block = Block(self._bytes, ends - sizes, ends, self._kept)
        text = self._bytes.data
        escaped = False
        for first in range(0, len(payloads), _PIECE):
            piece = b"".join(payloads[first : first + _PIECE])
            begin = int(block.starts[first])
            text[begin : begin + len(piece)] = piece
            escaped = escaped or b"\\" in piece
        # As signed bytes, those beyond ASCII are less than a space too.
        printable = here.view(np.int8).min(initial=_SPACE) >= _SPACE
        if not printable:
            block.ascii = bool(here.max(initial=0) <= _ASCII)
            if not block.ascii:
                _check_utf8(block)
            printable = here.min(initial=_SPACE) >= _SPACE
        if escaped or not printable:
            _set_apart(block, (here < _SPACE) | (here == _BACKSLASH))
        return block

    def _space(self, size: int, behind: int) -> NDArray[np.uint8]:
        """Where so many bytes go; behind them there are zeros."""
        needed = _BEFORE + size + behind
        if needed > len(self._bytes):
            self._bytes = np.zeros(needed + needed // 4, np.uint8)
        end = _BEFORE + size
        self._bytes[end : end + behind] = 0
        return self._bytes[_BEFORE:end]


def _set_apart(block: Block, odd: NDArray[np.bool_]) -> None:
    """The payloads with an odd byte are not plain; the first of ``odd`` is that behind _BEFORE."""
    places = np.flatnonzero(odd) + _BEFORE
    rows = np.searchsorted(block.ends, places, side="right")
    block.plain[rows[block.starts[rows] <= places]] = False


def _check_utf8(block: Block) -> None:
    """What is taken begins and ends with ASCII, so none completes a character of another."""
    for first in range(0, len(block.ends), _PIECE):
        last = min(first + _PIECE, len(block.ends)) - 1
        if not is_utf8(block.bytes[block.starts[first] : block.ends[last]].tobytes()):
            block.plain[first : last + 1] = False


def sizes_of(payloads: Sequence[bytes]) -> NDArray[np.int64]:
    """The bytes of each payload."""
    if isinstance(payloads, Pieces):
        return payloads.sizes
    try:
        return np.frombuffer(bytearray(map(len, payloads)), np.uint8).astype(np.int64)
    except ValueError:  # one has more than 255; counting so takes twice as long
        return np.fromiter(map(len, payloads), np.int64, len(payloads))
