"""text → code for very many texts: a hash table in numpy arrays, many look-ups at a time.

A Python dictionary of 100,000 texts lies in no cache, and each look-up waits for four places in
memory one after the other (index, entry, text, code). Here the places of a whole batch are
fetched together. Rules: it never takes one text for another, and it says which texts it does not
hold: those that are too long or have a NUL, and a few that find their places taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint64]
Codes: TypeAlias = NDArray[np.int32]

MOST_BYTES: Final = 40
"""Longer texts (a UUID has 36 characters) are not held."""
WORD: Final = 8
MOST_WORDS: Final = MOST_BYTES // WORD
_FEWEST: Final = 1024
_SPARE: Final = 4
"""So many places for each text; a quarter of them in the second table, for those left over."""
_SPACIOUS: Final = 16_384
"""So many places are no burden to the cache, and the fewer texts there are the fewer collide."""
_NONE: Final = np.iinfo(np.uint64).max
"""The words of what is no text: UTF-8 has no such bytes."""
_FACTORS: Final = np.array(
    [
        [
            0x9E3779B97F4A7C15,
            0xC2B2AE3D27D4EB4F,
            0x165667B19E3779F9,
            0x27D4EB2F165667C5,
            0x85EBCA77C2B2AE63,
        ],
        [
            0xFF51AFD7ED558CCD,
            0xC4CEB9FE1A85EC53,
            0x9FB21C651E98DF25,
            0xD6E8FEB86659FD93,
            0xA0761D6478BD642F,
        ],
    ],
    np.uint64,
)
"""Odd numbers whose bits look random, for the first and the second place of a text."""


class TextCodes:
    """The codes of the texts of one dictionary, as far as it was told of them."""

    __slots__ = ("_held", "_tables", "_texts", "count")

    def __init__(self) -> None:
        """Start without texts."""
        self.count = 0
        self._held = 0
        # More rows than texts: an empty place has the code −1, and the last row is no text.
        self._texts = np.full((_FEWEST, 1), _NONE)
        self._tables = _tables(_FEWEST)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._texts.nbytes + sum(table.nbytes for table in self._tables)

    def find(self, texts: Sequence[str | None]) -> Codes:
        """The code of each text, −1 where it is not held."""
        return self.look_up(_packed(texts, self._texts.shape[1]))

    def look_up(self, packed: Words) -> Codes:
        """The same for texts that are rows of words: UTF-8, filled up with zeros."""
        if not self._held:
            return np.full(len(packed), -1, np.int32)
        packed, long = self._fitted(packed)
        codes = self._tables[0][self._places(0, packed)]
        wrong = np.flatnonzero(self._differ(codes, packed))
        if len(wrong):
            left = packed[wrong]
            again = self._tables[1][self._places(1, left)]
            again[self._differ(again, left)] = -1
            codes[wrong] = again
        if long is not None:
            codes[long] = -1
        return codes

    def _fitted(self, packed: Words) -> tuple[Words, NDArray[np.bool_] | None]:
        """Texts in as many words as the ones held, and which are too long for that."""
        width = self._texts.shape[1]
        if packed.shape[1] <= width:
            missing = width - packed.shape[1]
            return (np.pad(packed, ((0, 0), (0, missing))) if missing else packed), None
        return packed[:, :width], np.logical_or.reduce(packed[:, width:], axis=1)

    def add(self, texts: Sequence[str]) -> NDArray[np.intp]:
        """Take the texts of the codes from `count` on; gives the codes of those it does not hold.

        There may be some among them that it did hold: in larger tables texts have other places.
        """
        packed = _packed(texts, MOST_WORDS)
        fit = packed[:, 0] != _NONE
        begin, self.count = self.count, self.count + len(texts)
        self._make_room(int(np.flatnonzero(packed[fit].any(axis=0)).max(initial=0)) + 1)
        self._texts[begin : self.count] = packed[:, : self._texts.shape[1]]
        self._held += int(np.count_nonzero(fit))
        if _SPARE * self._held > len(self._tables[0]):
            self._tables = _tables(max(_SPACIOUS, 1 << (_SPARE * self._held).bit_length()))
            begin = 0
        codes = np.arange(begin, self.count)
        fit = self._texts[begin : self.count, 0] != _NONE
        left = self._settled(1, self._settled(0, codes[fit]))
        return np.concatenate([codes[~fit], left])

    def _make_room(self, words: int) -> None:
        """For all texts, and so many words of each; widening changes nobody's place."""
        rows, width = self._texts.shape
        if self.count >= rows or words > width:
            rows = rows if self.count < rows else 2 * self.count
            larger = np.full((rows, max(words, width)), _NONE)
            old = self._texts
            larger[: len(old), :width] = old
            larger[: len(old), width:] = np.where(old[:, :1] == _NONE, _NONE, 0)
            self._texts = larger

    def _settled(self, which: int, codes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Codes put where there is room for them; gives those that are left."""
        table = self._tables[which]
        places = self._places(which, self._texts[codes])
        free = table[places] < 0
        table[places[free]] = codes[free]
        left: NDArray[np.intp] = codes[table[places] != codes]
        return left

    def _places(self, which: int, packed: Words) -> NDArray[np.intp]:
        factors = _FACTORS[which]
        mixed: Words = packed[:, 0] * factors[0]
        for word in range(1, packed.shape[1]):
            mixed ^= packed[:, word] * factors[word]
        mixed *= _FACTORS[1, 0]
        mixed >>= np.uint64(65 - len(self._tables[which]).bit_length())
        return mixed.view(np.intp)

    def _differ(self, codes: Codes, packed: Words) -> NDArray[np.bool_]:
        known = _taken(self._texts, codes)
        differ: NDArray[np.bool_] = known[:, 0] != packed[:, 0]
        for word in range(1, packed.shape[1]):
            differ |= known[:, word] != packed[:, word]
        return differ


def _tables(size: int) -> tuple[Codes, Codes]:
    return np.full(size, -1, np.int32), np.full(size // 4, -1, np.int32)


def _taken(rows: Words, at: NDArray[np.integer]) -> Words:
    """Some of the rows, each copied in one piece."""
    width = rows.shape[1]
    taken: Words = rows.view(f"V{WORD * width}")[:, 0][at].view(np.uint64)
    return taken.reshape(-1, width)


def _packed(texts: Sequence[str | None], words: int) -> Words:
    """Texts as rows of whole words, filled up with zeros; those that do not fit as no text."""
    try:
        joined = "\0".join(texts)  # type: ignore[arg-type]
    except TypeError:
        return _packed_some(texts, words)
    width = WORD * words
    raw = joined.encode("utf-8", "surrogatepass") + bytes(1 + width)
    ends = np.flatnonzero(np.frombuffer(raw, np.uint8, len(raw) - width) == 0)
    if len(ends) != len(texts):
        return _packed_some(texts, words)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts
    packed = words_at(raw, starts, np.minimum(sizes, width), words)
    if np.maximum.reduce(sizes) > width:
        packed[sizes > width] = _NONE
    return packed


def words_at(raw: bytes, starts: NDArray[np.intp], sizes: NDArray[np.intp], words: int) -> Words:
    """Texts as rows of so many words, which they fit; ``raw`` goes on behind the last for a row."""
    width = WORD * words
    anywhere = np.ndarray((len(raw) - width,), f"V{width}", raw, strides=(1,))
    packed: Words = anywhere[starts].view(np.uint64).reshape(-1, words)
    return first_bytes(packed, sizes)


def first_bytes(words: Words, sizes: NDArray[np.integer]) -> Words:
    """The first so many bytes of each row, all others zero."""
    kept: Words = words & _MASKS[words.shape[1]].take(sizes, axis=0)
    return kept


def _packed_some(texts: Sequence[str | None], words: int) -> Words:
    """The same where texts are missing, or hold what stands between texts there."""
    plain = [at for at, text in enumerate(texts) if text is not None and "\0" not in text]
    packed = np.full((len(texts), words), _NONE)
    if plain:
        packed[plain] = _packed([texts[at] for at in plain], words)
    return packed


def _masks(words: int) -> Words:
    """For each number of bytes the words in which those are ones."""
    width = WORD * words
    bits = np.where(np.arange(width) < np.arange(width + 1)[:, None], 0xFF, 0)
    masks: Words = bits.astype(np.uint8).view(np.uint64)
    return masks


_MASKS: Final = {words: _masks(words) for words in range(1, MOST_WORDS + 1)}
