"""text → code for very many texts: a hash table in numpy arrays, many look-ups at a time.

A Python dictionary of 100,000 texts lies in no cache, and each look-up waits for four places in
memory one after the other (index, entry, text, code). Here the places of a whole batch are
fetched together. Rules: it never takes one text for another, and a text it does not find may still
be known: it holds no long ones, and a few find their place taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_BYTES: Final = 39
"""Longer texts (a UUID has 36 characters) are not held."""
_WORD: Final = 8
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

    def __init__(self, texts: Sequence[str]) -> None:
        """Hold ``texts`` with the codes 0, 1, 2, …; those that are ASCII and not too long."""
        self.count = len(texts)
        lengths = np.fromiter(map(len, texts), np.intp, len(texts))
        fits = np.fromiter(map(_plain, texts), np.bool_, len(texts)) & (lengths <= MOST_BYTES)
        held = np.flatnonzero(fits)
        # One byte more than the longest: what is longer than any of them differs in it.
        self._words = (int(lengths[held].max(initial=0)) + _WORD) // _WORD
        self._texts = np.zeros((len(texts) + 1, self._words), np.uint64)
        self._texts[held] = self._packed([texts[code] for code in held.tolist()])
        self._texts[-1] = np.iinfo(np.uint64).max  # what an empty place stands for: no text
        self._tables = []
        for factors in _FACTORS:
            table, held = self._table(held, factors)
            self._tables.append((table, factors))

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._texts.nbytes + sum(table.nbytes for table, _ in self._tables)

    def find(self, texts: Sequence[str | None]) -> NDArray[np.int32] | None:
        """The code of each text, −1 where it is not held; None where no text can be looked up.

        That is so where a text is missing, is not ASCII or holds a NUL.
        """
        try:
            joined = "".join(texts)  # type: ignore[arg-type]
        except TypeError:
            return None
        if not joined.isascii() or "\0" in joined:
            return None
        packed = self._packed(texts)
        (table, factors), (second, others) = self._tables
        codes = table[self._places(packed, factors, len(table))]
        wrong = np.flatnonzero(self._differ(codes, packed))
        if len(wrong):
            left = packed[wrong]
            again = second[self._places(left, others, len(second))]
            again[self._differ(again, left)] = -1
            codes[wrong] = again
        return codes

    def _packed(self, texts: Sequence[str | None]) -> NDArray[np.uint64]:
        """Texts as rows of whole words, cut off and filled up with zeros."""
        made = np.array(texts, f"S{self._words * _WORD}")
        return made.view(np.uint64).reshape(len(texts), self._words)

    def _differ(self, codes: NDArray[np.int32], packed: NDArray[np.uint64]) -> NDArray[np.bool_]:
        known = self._texts[codes]
        differ: NDArray[np.bool_] = known[:, 0] != packed[:, 0]
        for word in range(1, self._words):
            differ |= known[:, word] != packed[:, word]
        return differ

    def _places(
        self, packed: NDArray[np.uint64], factors: NDArray[np.uint64], size: int
    ) -> NDArray[np.uint64]:
        mixed: NDArray[np.uint64] = packed[:, 0] * factors[0]
        for word in range(1, self._words):
            mixed ^= packed[:, word] * factors[word]
        mixed *= _FACTORS[1, 0]
        mixed >>= np.uint64(65 - size.bit_length())
        return mixed

    def _table(
        self, held: NDArray[np.intp], factors: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """A table a quarter full of ``held`` codes, and those whose place another one has."""
        table = np.full(max(16, 1 << (4 * len(held) - 1).bit_length()), -1, np.int32)
        places = self._places(self._texts[held], factors, len(table))
        table[places] = held
        return table, held[table[places] != held]


def _plain(text: str) -> bool:
    return text.isascii() and "\0" not in text
