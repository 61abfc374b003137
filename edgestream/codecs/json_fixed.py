"""Values that are written in one way in all payloads: read from where they are known to lie.

A layout is a value without what differs: digits are zeros, a text is so many quotes.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array
from edgestream.codecs.columns import HIGHEST, Learnt
from edgestream.codecs.digits import WHOLE_POWERS, decimal, joined
from edgestream.textcodes import WORD, Words

Form: TypeAlias = Literal["number", "text", "flag"]

QUOTE: Final = b'"'
IN_TEXT: Final = ord(QUOTE) ^ 0x7F
"""Of ASCII, XOR with it makes 0x7F of a quote alone."""
_IN_TEXT = np.uint64(IN_TEXT * 0x0101010101010101)
_ALIKE: Final = bytes.maketrans(b"123456789", b"000000000")
_EXACT_DIGITS: Final = 15
"""Whole numbers of so many digits are exact as floats."""
_EIGHT = np.uint64(8)
_HUNDRED_MILLIONS = np.uint64(10**WORD)


def layout_of(form: Form, raw: bytes) -> bytes:
    """The layout of a value."""
    if form == "number":
        return raw.translate(_ALIKE)
    return QUOTE * len(raw) if form == "text" else raw


class Rows:
    """Payloads cut out where one stretch of them lies, and what XOR has left of the values in it.

    A digit is what it stands for, and a byte of a text was XORed with `IN_TEXT`.
    """

    def __init__(self, words: Words) -> None:
        """Rows of words; the last ones are what follows, as it came."""
        self.words = words

    def keep(self, good: NDArray[np.bool_]) -> Rows:
        """These of them."""
        return Rows(self.words[good])

    def byte(self, at: int) -> NDArray[np.uint8]:
        """The byte at this place of each."""
        count, words = self.words.shape
        return np.ndarray((count,), np.uint8, self.words, at, (WORD * words,))

    def word(self, at: int) -> Words:
        """The word that begins at this byte of each, where it lies."""
        count, words = self.words.shape
        return np.ndarray((count,), np.uint64, self.words, at, (WORD * words,))


def _bytes(first: int, end: int) -> np.uint64:
    """A word in which these bytes are ones."""
    return np.uint64((1 << 8 * end) - (1 << 8 * first))


class Fixed(Protocol):
    """A value that is written in one way."""

    def read(self, rows: Rows) -> tuple[Array, NDArray[np.bool_] | None]:
        """What it is in each row, and which are sure; None: all."""


class FixedNumber:
    """A number of so many digits before and behind its point."""

    def __init__(self, layout: bytes, at: int, column: Learnt) -> None:
        """Its first byte is this one of a row."""
        self._column = column
        self._below = layout.startswith(b"-")
        whole, _, decimals = layout.removeprefix(b"-").partition(b".")
        self._whole, self._decimals = len(whole), len(decimals)
        self._end = at + len(layout)

    def read(self, rows: Rows) -> tuple[Array, NDArray[np.bool_] | None]:
        """The numbers, and which are in range and surely the nearest floats."""
        told = self._told(rows)
        if self._column.kind == "int":
            sure = told <= HIGHEST if self._whole > _EXACT_DIGITS else None
            numbers = told.view(np.int64)
            if self._below:
                np.negative(numbers, out=numbers)
            return numbers, sure
        sure = None
        if self._whole + self._decimals <= _EXACT_DIGITS:
            floats = told.astype(np.float64)
            if self._decimals:
                floats /= 10.0**self._decimals
        else:
            floats, sure = decimal(told, np.full(len(told), self._decimals, np.uint8))
        if self._below:
            np.negative(floats, out=floats)
            if not self._decimals:
                floats += 0.0  # -0 is a whole number, which has no sign
        return floats, sure

    def _told(self, rows: Rows) -> Words:
        """All digits as one whole number."""
        decimals = self._decimals
        if not decimals:
            return _told(rows, self._end, self._whole)
        point = WORD - 1 - decimals
        if self._whole <= point:
            told = rows.word(self._end - WORD).copy()
            over = told & _bytes(point - self._whole, point)
            over <<= _EIGHT
            told &= _bytes(point + 1, WORD)
            told |= over
            return joined(told)
        told = _told(rows, self._end - decimals - 1, self._whole)
        told *= WHOLE_POWERS[decimals]
        told += _told(rows, self._end, decimals)
        return told


def _told(rows: Rows, end: int, count: int) -> Words:
    """The whole number of so many digits; the first of them are often the same, as of times."""
    told = np.zeros(1, np.uint64)
    for behind in range((count - 1) // WORD * WORD, -1, -WORD):
        word = rows.word(end - behind - WORD).copy()
        if count - behind < WORD:
            word &= _bytes(WORD - (count - behind), WORD)
        if behind and (word == word[0]).all():
            word = word[:1]
        told = told * _HUNDRED_MILLIONS + joined(word)
    return told


class FixedText:
    """A text of so many bytes."""

    def __init__(self, size: int, at: int) -> None:
        """Its first byte is this one of a row."""
        self._at = at
        self._words = max(1, -(-size // WORD))
        self._last = _bytes(0, size - WORD * (self._words - 1))

    def read(self, rows: Rows) -> tuple[Array, NDArray[np.bool_] | None]:
        """The texts as rows of words, filled up with zeros."""
        made = np.empty((self._words, len(rows.words)), np.uint64)
        for number, words in enumerate(made):
            np.bitwise_xor(rows.word(self._at + WORD * number), _IN_TEXT, out=words)
        made[-1] &= self._last
        return made.T, None


class FixedFlag:
    """True in all payloads, or false."""

    def __init__(self, layout: bytes) -> None:
        """Which of them."""
        self._true = layout == b"true"

    def read(self, rows: Rows) -> tuple[Array, NDArray[np.bool_] | None]:
        """The same for all."""
        return np.full(len(rows.words), self._true), None


def fixed(form: Form, layout: bytes, at: int, column: Learnt) -> Fixed:
    """What reads a value of this layout."""
    if form == "number":
        return FixedNumber(layout, at, column)
    return FixedText(len(layout), at) if form == "text" else FixedFlag(layout)
