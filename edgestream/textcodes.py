"""text → code for very many texts: a hash table in numpy arrays, many look-ups at a time.

A Python dictionary of 100,000 texts lies in no cache, and each look-up waits for four places in
memory one after the other (index, entry, text, code). Here the places of a whole batch are
fetched together. Rules: it never takes one text for another, and it says which texts it does not
hold: those that are too long or have a NUL, and those for which no place is found.
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
_ROUNDS: Final = 16
"""A table made to be full of collisions is given up after so many."""
_NONE: Final = np.iinfo(np.uint64).max
"""The words of what is no text: UTF-8 has no such bytes."""
_FACTORS: Final = np.array(
    [
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x27D4EB2F165667C5,
        0x85EBCA77C2B2AE63,
    ],
    np.uint64,
)
"""Odd numbers whose bits look random, one for each word of a text; and two to mix all of them:"""
_MIX: Final = np.array(0xFF51AFD7ED558CCD, np.uint64)
_SECOND: Final = np.array(0xC4CEB9FE1A85EC53, np.uint64)


class TextCodes:
    """The codes of the texts of one dictionary, as far as it was told of them."""

    __slots__ = ("_held", "_mixed", "_tables", "_texts", "apart", "count")

    def __init__(self) -> None:
        """Start without texts."""
        self.count = 0
        self.apart = 0
        """How many of them it does not hold."""
        self._held = 0
        # More rows than texts: an empty place has the code −1, and the last row is no text.
        self._texts = np.full((_FEWEST, 1), _NONE)
        self._mixed = np.zeros(_FEWEST, np.uint64)
        self._tables = _tables(_FEWEST)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._texts.nbytes + self._mixed.nbytes + sum(table.nbytes for table in self._tables)

    def find(self, texts: Sequence[str | None]) -> Codes:
        """The code of each text, −1 where it is not held."""
        return self.look_up(_packed(texts, self._texts.shape[1]))

    def look_up(self, packed: Words) -> Codes:
        """The same for texts that are rows of words: UTF-8, filled up with zeros."""
        if not self._held:
            return np.full(len(packed), -1, np.int32)
        packed, long = self._fitted(packed)
        mixed = _mixed(packed)
        codes = self._tables[0][_places(0, mixed, len(self._tables[0]))]
        wrong = np.flatnonzero(_unlike(_taken(self._texts, codes), packed))
        if len(wrong):
            again = self._tables[1][_places(1, mixed[wrong], len(self._tables[1]))]
            again[_unlike(_taken(self._texts, again), packed[wrong])] = -1
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
        return self.add_words(_packed(texts, MOST_WORDS))

    def add_words(self, packed: Words) -> NDArray[np.intp]:
        """The same for texts that are rows of words."""
        if packed.shape[1] > MOST_WORDS:
            long = np.logical_or.reduce(packed[:, MOST_WORDS:], axis=1)
            packed = np.where(long[:, None], _NONE, packed[:, :MOST_WORDS])
        fit = packed[:, 0] != _NONE
        begin, self.count = self.count, self.count + len(packed)
        words = self._texts.shape[1]
        if packed.shape[1] > words:
            used = np.flatnonzero(packed[fit].any(axis=0)).max(initial=0)
            words = max(words, int(used) + 1)
        self._make_room(words)
        width = min(packed.shape[1], words)
        fresh = self._texts[begin : self.count]
        fresh[:, :width], fresh[:, width:] = packed[:, :width], 0
        self._mixed[begin : self.count] = _mixed(fresh)
        self._held += int(np.count_nonzero(fit))
        if _SPARE * self._held > len(self._tables[0]):
            self._tables = _tables(max(_SPACIOUS, 1 << (_SPARE * self._held).bit_length()))
            begin = self.apart = 0
        codes = np.arange(begin, self.count)
        fit = self._texts[begin : self.count, 0] != _NONE
        apart = np.concatenate([codes[~fit], self._settled(codes[fit])])
        self.apart += len(apart)
        return apart

    def _make_room(self, words: int) -> None:
        """For all texts, and so many words of each; widening changes nobody's place."""
        rows, width = self._texts.shape
        if self.count >= rows:
            more = 2 * self.count - rows
            rows += more
            self._mixed = np.concatenate([self._mixed, np.zeros(more, np.uint64)])
        if rows > len(self._texts) or words > width:
            larger = np.full((rows, words), _NONE)
            old = self._texts
            larger[: len(old), :width] = old
            larger[: len(old), width:] = np.where(old[:, :1] == _NONE, _NONE, 0)
            self._texts = larger

    def _settled(self, codes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Put codes in a place of theirs, one in either table; gives those that are left.

        Who comes last has the place, and who had it goes to the other table: with so many places
        to spare nearly all have one after a few rounds.
        """
        which = 0
        for _ in range(_ROUNDS):
            table = self._tables[which]
            places = _places(which, self._mixed[codes], len(table))
            before = table[places]
            table[places] = codes
            there = table[places] == codes
            codes = np.concatenate([codes[~there], before[there & (before >= 0)]])
            if not len(codes):
                break
            which = 1 - which
        return codes


def distinct(packed: Words) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each text comes first, and for each row which of these texts it is."""
    count = len(packed)
    first = np.arange(count)
    left = first.copy()
    size = 1 << (_SPARE * count).bit_length()
    marks = np.empty(size, np.intp)
    mixed = _mixed(packed)
    for which in (0, 1):
        places = _places(which, mixed[left], size)
        marks[places[::-1]] = left[::-1]  # backwards: the first row of those that meet stays
        met = marks[places]
        first[left] = met
        left = left[_unlike(_taken(packed, met), _taken(packed, left))]
    if len(left):
        texts = _pieces(packed)[left].tolist()
        known: dict[bytes, int] = {}
        first[left] = list(map(known.setdefault, texts, left.tolist()))
    firsts = np.flatnonzero(first == np.arange(count))
    marks[firsts] = np.arange(len(firsts))
    return firsts, marks[first]


def _mixed(packed: Words) -> Words:
    """64 bits of each text, the same however many words it was filled up to."""
    mixed: Words = packed[:, 0] * _FACTORS[0]
    for word in range(1, min(packed.shape[1], MOST_WORDS)):
        mixed ^= packed[:, word] * _FACTORS[word]
    mixed *= _MIX
    return mixed


def _places(which: int, mixed: Words, size: int) -> NDArray[np.intp]:
    """The first or the second place of texts among ``size``, a power of two."""
    places: Words = (mixed * _SECOND if which else mixed) >> np.uint64(65 - size.bit_length())
    return places.view(np.intp)


def _unlike(known: Words, packed: Words) -> NDArray[np.bool_]:
    differ: NDArray[np.bool_] = known[:, 0] != packed[:, 0]
    for word in range(1, packed.shape[1]):
        differ |= known[:, word] != packed[:, word]
    return differ


def _tables(size: int) -> tuple[Codes, Codes]:
    return np.full(size, -1, np.int32), np.full(size // 4, -1, np.int32)


def _taken(rows: Words, at: NDArray[np.integer]) -> Words:
    """Some of the rows, each copied in one piece."""
    taken: Words = rows.take(at, axis=0)
    return taken


def _pieces(rows: Words) -> NDArray[np.void]:
    pieces: NDArray[np.void] = rows.view(f"V{WORD * rows.shape[1]}")[:, 0]
    return pieces


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
