"""Numbers of fewer than eight bytes where they lie in JSON payloads: one word holds all of each.

Which of the eight bytes are no digits says how a number is written (`-1.25,` is one byte, a digit,
one byte, two digits), and a table says of each of these 256 ways where sign, point and digits must
be and what to do with them. So a number takes the same few operations however it is written.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgestream.codecs.columns import Learnt
from edgestream.codecs.digits import digit_values, joined, not_digits
from edgestream.codecs.json_numbers import Read
from edgestream.textcodes import WORD, Words

_WAYS: Final = 1 << WORD
_MINUS, _POINT = ord("-") ^ ord("0"), ord(".") ^ ord("0")
_NEVER: Final = 0xFF
_EIGHT = np.uint64(8)
_COLLECT, _COLLECTED = np.uint64(0x0002040810204081), np.uint64(56)


def _bytes(first: int, end: int) -> int:
    """A word in which the bytes from ``first`` up to ``end`` are ones."""
    return (1 << 8 * end) - (1 << 8 * first) if end > first else 0


class Ways:
    """For each set of bytes that are no digits, how such a number is read."""

    def __init__(self, pointed: bool) -> None:
        """With a point, or for whole numbers alone, which end where a point is."""
        self.size = np.zeros(_WAYS, np.int64)
        """Bytes up to where the number ends."""
        self.marked, self.marks = np.zeros((2, _WAYS), np.uint64)
        """The bytes that are sign and point, and what they must be."""
        self.leading = np.zeros(_WAYS, np.uint64)
        """The byte that must not be a zero: the first digit, where another one follows."""
        self.over, self.plain = np.zeros((2, _WAYS), np.uint64)
        """The digits that move over the point, and those that stay."""
        self.up = np.zeros(_WAYS, np.uint64)
        """By so many bits the last digit moves into the last byte."""
        self.sign = np.ones(_WAYS, np.int64)
        self.divisor = np.ones(_WAYS, np.float64)
        """What divides the digits: a power of ten, with the sign of the number."""
        self.ended = np.zeros(_WAYS, np.int64)
        """The way without digits behind the first byte that is neither sign nor digit."""
        for way in range(_WAYS):
            self._add(way, pointed)

    def _add(self, way: int, pointed: bool) -> None:
        ends = [at for at in range(WORD) if way >> at & 1]
        begin = 1 if way & 1 else 0
        point = next((at for at in ends if at >= begin), WORD)
        last = next((at for at in ends if at > point), WORD)
        self.ended[way] = way | (_WAYS - (1 << point))
        if not pointed or last == point + 1 or point == WORD - 1:
            last = point
        if point in (begin, WORD) or last == WORD:
            # No digit where one must be, or no end: what the first byte is not, it should be.
            self.marked[way], self.marks[way] = _NEVER, 0 if way & 1 else _NEVER
            return
        decimals = max(0, last - point - 1)
        self.size[way] = last
        if begin:
            self.marked[way], self.marks[way] = _NEVER, _MINUS
            self.sign[way] = -1
        if decimals:
            self.marked[way] |= np.uint64(_bytes(point, point + 1))
            self.marks[way] |= np.uint64(_POINT << 8 * point)
            self.over[way] = _bytes(begin, point)
            self.plain[way] = _bytes(point + 1, last)
        else:
            self.plain[way] = _bytes(begin, last)
        # -0 is left to others: it is no float with a sign, and there is no whole number of it.
        first_counts = point > begin + 1 or (begin and not decimals)
        leading = begin if first_counts else point
        self.leading[way] = _bytes(leading, leading + 1)
        self.up[way] = 8 * (WORD - last)
        self.divisor[way] = self.sign[way] * 10.0**decimals

    def wrong(self, way: NDArray[np.int64], values: Words) -> Words:
        """Zero where sign and point are what they must be."""
        wrong: Words = self.marks.take(way)
        wrong ^= values
        wrong &= self.marked.take(way)
        return wrong


_WHOLE: Final = Ways(pointed=False)
_POINTED: Final = Ways(pointed=True)


def short(word: Words, column: Learnt | None, good: NDArray[np.bool_]) -> Read:
    """Numbers that begin ``word``, which of them are good as well, and what they are."""
    whole = column is not None and column.kind == "int"
    ways = _WHOLE if whole else _POINTED
    values = digit_values(word)
    marks = not_digits(values)
    marks *= _COLLECT
    marks >>= _COLLECTED
    way = marks.view(np.int64)
    wrong = ways.wrong(way, values)
    if not whole and wrong.any():
        # No point, but the end of a payload, behind which lies something that begins with a digit.
        way = np.where(wrong == 0, way, ways.ended.take(way))
        wrong = ways.wrong(way, values)
    good &= wrong == 0
    leading = ways.leading.take(way)
    leading &= values
    good &= leading != 0
    size = ways.size.take(way)
    if column is None or not good.all():
        return size, good, None
    told = ways.plain.take(way)
    told &= values
    if not whole:
        values &= ways.over.take(way)
        values <<= _EIGHT
        told |= values
    told <<= ways.up.take(way)
    joined(told)
    if whole:
        numbers = told.view(np.int64)
        numbers *= ways.sign.take(way)
        return size, good, numbers
    return size, good, told.astype(np.float64) / ways.divisor.take(way)
