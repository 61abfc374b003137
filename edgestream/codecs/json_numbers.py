"""Numbers where they lie in JSON payloads: whether they are any, how long, and what they are."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array
from edgestream.codecs.columns import HIGHEST, Learnt
from edgestream.codecs.digits import (
    WHOLE_POWERS,
    Counts,
    decimal,
    digit_values,
    first_mark,
    joined,
    not_digits,
    whole,
)
from edgestream.codecs.json_block import Block
from edgestream.textcodes import WORD, Words

MOST_DIGITS: Final = 19
"""A number of more is not read; so many fit in a word."""

_MINUS, _POINT, _NAUGHT = ord("-"), ord("."), ord("0")
_ONE, _THREE, _SEVEN = np.uint64(1), np.uint64(3), np.uint64(7)
_EIGHT, _LOW_BYTE = np.uint64(8), np.uint64(0xFF)

Read: TypeAlias = tuple[Counts | NDArray[np.int64], NDArray[np.bool_], Array | None]
"""How many bytes each value has, which of them are as they should be, and what they are: None
where nobody wants them, or where not all are good."""


def long(
    block: Block,
    start: NDArray[np.int64],
    words: int,
    column: Learnt | None,
    good: NDArray[np.bool_],
) -> Read:
    """Numbers of which the digits before and behind the point take so many words."""
    start, first, below = _past_sign(block, start)
    values = digit_values(block.words(start, words))
    digits = first_mark(not_digits(values))
    size = digits if below is None else digits + below
    good &= (digits == 1) | ((digits > 0) & (first != _NAUGHT) & (digits <= MOST_DIGITS))
    point = start + digits
    decimals = None
    if not _is_whole(column):
        has_point = block.bytes.take(point) == _POINT
        if has_point.any():
            behind = digit_values(block.words(point + 1, words))
            decimals = first_mark(not_digits(behind)) * has_point
            size = size + decimals + has_point
            good &= (decimals > 0) | ~has_point
            good &= digits + decimals <= MOST_DIGITS
    if column is None or not good.all():
        return size, good, None
    told = _told(block, values, point, digits)
    if decimals is not None:
        told *= WHOLE_POWERS.take(decimals)
        told += _field(block, point + 1 + decimals, decimals)
    return size, *_signed(told, decimals, below, column)


def _past_sign(
    block: Block, start: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Counts, NDArray[np.bool_] | None]:
    """Where the digits begin, the first of them, and which numbers have a sign; None: no one."""
    first = block.bytes.take(start)
    below = first == _MINUS
    if not below.any():
        return start, first, None
    start = start + below
    return start, block.bytes.take(start), below


def _is_whole(column: Learnt | None) -> bool:
    """Whether there can be no point: where one is, the next literal is not found."""
    return column is not None and column.kind == "int"


def _told(block: Block, values: Words, ends: NDArray[np.int64], digits: Counts) -> Words:
    """The whole numbers of so many digits; ``values`` are the words that begin with them."""
    count = values.shape[1]
    last = int(digits[0]) - WORD * (count - 1) if len(digits) else 0
    if last <= 0 or not (digits == digits[0]).all():
        return _field(block, ends, digits)
    # All are of the same length, as times are. The last word is moved up to its end.
    values[:, -1] <<= np.uint64(8 * (WORD - last))
    values = joined(values)
    told: Words = values[:, 0]
    for at in range(1, count):
        told = told * WHOLE_POWERS[WORD if at < count - 1 else last] + values[:, at]
    return told


def _signed(
    told: Words, decimals: Counts | None, below: NDArray[np.bool_] | None, column: Learnt
) -> tuple[NDArray[np.bool_], Array]:
    """Which numbers are sure and in range, and what they are."""
    if column.kind == "int":
        fits = told <= HIGHEST
        whole_numbers = told.view(np.int64)
        if below is not None:
            np.negative(whole_numbers, out=whole_numbers, where=below)
        return fits, whole_numbers
    if decimals is None:
        decimals = np.zeros(len(told), np.uint8)
    floats, sure = decimal(told, decimals)
    if below is not None:
        # Of zeros only those with a fraction have a sign: -0 is a whole number.
        np.negative(floats, out=floats, where=below & ((told > 0) | (decimals > 0)))
    return sure, floats


def _field(block: Block, ends: NDArray[np.int64], digits: Counts) -> Words:
    """The whole number whose digits end at ``ends``."""
    count = (int(digits.max(initial=1)) + WORD - 1) // WORD
    return whole(block.words(ends - WORD * count, count), digits)
