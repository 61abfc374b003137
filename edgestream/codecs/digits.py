"""Numbers and texts where they lie in JSON, eight bytes of each as one word, all rows at once.

A word is read so that the first byte is its lowest. What is asked of all eight bytes is asked with
a few operations on the word (as in D. Lemire, "Number Parsing at a Gigabyte per Second", 2021,
and S. E. Anderson, "Bit Twiddling Hacks"); a row takes some nanoseconds, whatever it holds.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.textcodes import MOST_WORDS, WORD, Words

Counts: TypeAlias = NDArray[np.uint8]


def _each(byte: int) -> np.uint64:
    """A word of eight times this byte."""
    return np.uint64(byte * 0x0101010101010101)


_ONE = np.uint64(1)
_ONES: Final = _each(1)
_ZEROS: Final = _each(ord("0"))
_QUOTES: Final = _each(ord('"'))
_TO_TOP: Final = _each(0x80 - 10)
_TOPS: Final = _each(0x80)
_THREE = np.uint8(3)

_TENS = np.uint64(1 + (10 << 8)), np.uint64(8), np.uint64(0x00FF00FF00FF00FF)
_HUNDREDS = np.uint64(1 + (100 << 16)), np.uint64(16), np.uint64(0x0000FFFF0000FFFF)
_THOUSANDS = np.uint64(1 + (10_000 << 32)), np.uint64(32)
_WORTH: Final = np.uint64(100_000_000)

_POWERS: Final = np.array([float(10**power) for power in range(23)])
"""Powers of ten that are exact as floats."""
WHOLE_POWERS: Final = np.uint64(10) ** np.arange(20, dtype=np.uint64)
_EXACT: Final = np.uint64(1 << 53)
"""Up to here whole numbers are exact as floats."""


def _last(words: int) -> Words:
    """For each count of bytes, the masks of the last so many bytes of ``words`` words."""
    size = WORD * words
    there = np.arange(size) >= size - np.arange(size + 1)[:, None]
    masks: Words = np.where(there, 0xFF, 0).astype(np.uint8).view(np.uint64)
    return masks


_LAST: Final = {words: _last(words) for words in range(1, MOST_WORDS + 1)}


def digit_values(words: Words) -> Words:
    """Each byte as the digit it is; what is more than 9 is none."""
    return words ^ _ZEROS


def not_digits(values: Words) -> Words:
    """The top bit of each byte that is no digit, of what `digit_values` made."""
    marks = values + _TO_TOP  # a byte above 127 may carry into the next, and is marked itself
    marks |= values
    marks &= _TOPS
    return marks


def quotes(words: Words) -> Words:
    """The top bit of each byte that is a double quote; above the first, of some others too."""
    values = words ^ _QUOTES
    marks = values - _ONES
    np.bitwise_not(values, out=values)
    marks &= values
    marks &= _TOPS
    return marks


def before(marks: Words) -> Words:
    """All bits below the lowest that is set; all bits where none is."""
    below = marks - _ONE
    below &= ~marks
    return below


def whole_bytes(below: Words) -> Counts:
    """How many whole bytes the bits are that `before` found; 8 where there was no mark."""
    count: Counts = np.bitwise_count(below)
    count >>= _THREE
    return count


def first_mark(marks: Words) -> Counts:
    """How many bytes lie before the first mark, in rows of words; all where there is none."""
    counts = whole_bytes(before(marks))
    found: Counts = counts[:, 0].copy()
    if marks.shape[1] > 1:
        none = found == WORD
        for at in range(1, marks.shape[1]):
            found += counts[:, at] * none
            none &= counts[:, at] == WORD
    return found


def whole(words: Words, counts: Counts) -> Words:
    """The whole number that the last so many bytes of each row are the digits of.

    It is right for 19 digits at most.
    """
    values = digit_values(words)
    values &= _LAST[words.shape[1]].take(counts, axis=0)
    values = joined(values)
    made: Words = values[:, 0]
    for at in range(1, values.shape[1]):
        made = made * _WORTH + values[:, at]
    return made


def joined(values: Words) -> Words:
    """The whole number of each word whose bytes are digits; ``values`` is overwritten."""
    for factor, shift, mask in (_TENS, _HUNDREDS):
        values *= factor
        values >>= shift
        values &= mask
    factor, shift = _THOUSANDS
    values *= factor
    values >>= shift
    return values


def decimal(mantissa: Words, decimals: Counts) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The nearest float to ``mantissa`` / 10 ** ``decimals``, and which are surely it.

    Both are exact as floats where the mantissa is no more than 2 ** 53, and one division is rounded
    once (W. D. Clinger, "How to Read Floating Point Numbers Accurately", 1990). Above it what the
    division leaves is reckoned exactly (T. J. Dekker, 1971) and added, so that only what lies
    almost in the middle between two floats is not sure. ``decimals`` are 22 at most.
    """
    powers = _POWERS.take(decimals)
    exact = mantissa <= _EXACT
    divided = mantissa.astype(np.float64) / powers
    if exact.all():
        return divided, exact
    high = (mantissa & ~np.uint64(0x7FF)).astype(np.float64)
    low = (mantissa & np.uint64(0x7FF)).astype(np.float64)
    near = high / powers
    product, slip = _product(near, powers)
    rest = ((high - product) - slip + low) / powers
    made = near + rest
    error = np.abs(rest - (made - near))
    half = np.spacing(made) / 2
    sure = np.abs(error - half) > half * 2.0**-30
    # Just above a power of two the next float below is only half as far.
    sure &= np.abs(error - half / 2) > half * 2.0**-30
    return np.where(exact, divided, made), sure | exact


_SPLIT: Final = float((1 << 27) + 1)


def _product(
    left: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A product as a float, and what is missing from it."""
    product = left * right
    left_high, right_high = left * _SPLIT, right * _SPLIT
    left_high -= left_high - left
    right_high -= right_high - right
    left_low, right_low = left - left_high, right - right_high
    slip = left_high * right_high - product
    slip += left_high * right_low
    slip += left_low * right_high
    slip += left_low * right_low
    return product, slip
