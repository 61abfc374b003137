"""JSON payloads of one shape, read all at once: the same fields in one order, written one way.

Between the values of such payloads lie the same bytes: names, punctuation, blanks. A shape is these
literals and what lies between them. Each step compares a literal and reads the value behind it, in
all payloads, and lets go those that are otherwise. What is read is what any reader of JSON would:
every byte of a payload that is taken was looked at, and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array
from edgestream.codecs.columns import Kind, Learnt
from edgestream.codecs.digits import first_mark, quotes
from edgestream.codecs.json_block import Block
from edgestream.codecs.json_numbers import Read, long
from edgestream.codecs.json_short import short
from edgestream.codecs.shaped import Followed
from edgestream.textcodes import MOST_BYTES, WORD, Words, first_bytes

Form: TypeAlias = Literal["number", "text", "flag"]

NUMBER_WORDS: Final = 3
"""So many words of a number are looked at: 23 characters."""
_TRUE = np.uint64(int.from_bytes(b"true", "little")), np.uint64((1 << 32) - 1)
_FALSE = np.uint64(int.from_bytes(b"false", "little")), np.uint64((1 << 40) - 1)

FITTING: Mapping[Form, frozenset[Kind | None]] = {
    "number": frozenset({"int", "float"}),
    "text": frozenset({"string"}),
    "flag": frozenset({"bool"}),
}
"""The kinds of columns that values of a form are for; true is no number even where one fits."""


class Before:
    """The literal before a value, as words that end where the value begins."""

    def __init__(self, raw: bytes) -> None:
        """Bytes of the first word that are before the literal do not matter."""
        self.size = len(raw)
        self.count = -(-len(raw) // WORD)
        whole_words = raw.rjust(WORD * self.count, b"\0")
        self.words = np.frombuffer(whole_words, np.uint64)
        self.mask = np.uint64((1 << 64) - (1 << 8 * (WORD * self.count - len(raw))))

    def differ(self, words: Words) -> Words:
        """Zero in the rows that begin with it."""
        differ: Words = words[:, 0] ^ self.words[0]
        differ &= self.mask
        for at in range(1, self.count):
            differ |= words[:, at] ^ self.words[at]
        return differ


@dataclass(frozen=True, slots=True)
class Value:
    """What lies behind a literal: its form, the words that are looked at, and whose value it is."""

    form: Form
    words: int
    column: Learnt | None


class Shape:
    """Literals, each with a value behind it, and the last bytes of a payload."""

    def __init__(self, literals: tuple[bytes, ...], values: tuple[Value, ...]) -> None:
        """There is one literal more than there are values; none is empty."""
        self.literals = literals
        self.values = values
        self.reach = max(map(len, literals)) + MOST_BYTES
        *befores, self._last = map(Before, literals)
        self._steps = list(zip(befores, values, strict=True))

    def usable(self) -> bool:
        """Whether the values of all its columns can be read as they are."""
        return all(
            value.column is None or value.column.kind in FITTING[value.form]
            for value in self.values
        )

    def widened(self, other: Shape) -> Shape:
        """The same shape, for longer values if ``other`` has any."""
        pairs = zip(self.values, other.values, strict=True)
        values = tuple(
            Value(mine.form, max(mine.words, its.words), mine.column) for mine, its in pairs
        )
        return self if values == self.values else Shape(self.literals, values)

    def read(self, block: Block, rows: NDArray[np.int64]) -> Found:
        """The values of those among ``rows`` that are of this shape."""
        found = Found(block, rows)
        for before, value in self._steps:
            found.read(before, value)
        found.end(self._last)
        return found


class Found(Followed):
    """The payloads that are of a shape; texts are rows of words."""

    values: dict[str, Array]

    def __init__(self, block: Block, rows: NDArray[np.int64]) -> None:
        """Begin with all of them."""
        super().__init__(rows, block.starts, block.ends)
        self.block = block

    def read(self, before: Before, value: Value) -> None:
        """Keep those where the literal comes next, and read the value behind it."""
        start = self.at + before.size
        words = self.block.words(start - WORD * before.count, before.count + 1)
        there = before.differ(words) == 0
        end, good, values = self._value(value, start, words[:, before.count], there)
        if not good.all():
            # What it is of the others is of no use, and to take it out of all arrays neither.
            self.keep(good)
            self.read(before, value)
            return
        self.at = start + end
        if values is not None and value.column is not None:
            self.values[value.column.name] = values

    def _value(
        self, value: Value, start: NDArray[np.int64], word: Words, good: NDArray[np.bool_]
    ) -> Read:
        """The values that begin at ``start``, of which ``word`` are the first eight bytes."""
        if value.form == "flag":
            return _flag(word, value.column, good)
        if value.form == "text":
            return _text(self.block.words(start, value.words), value.column, good)
        if value.words == 1:
            return short(word, value.column, good)
        return long(self.block, start, value.words, value.column, good)

    def end(self, before: Before) -> None:
        """Keep those that end with the literal."""
        start = self.at + before.size
        words = self.block.words(start - WORD * before.count, before.count)
        self.keep((before.differ(words) == 0) & (start == self.ends))


def _text(words: Words, column: Learnt | None, good: NDArray[np.bool_]) -> Read:
    """What comes before a double quote: words of UTF-8, filled up with zeros.

    Where there is none, the next literal, which begins with one, is not found.
    """
    end = first_mark(quotes(words))
    if column is None or not good.all():
        return end, good, None
    return end, good, first_bytes(words, end)


def _flag(word: Words, column: Learnt | None, good: NDArray[np.bool_]) -> Read:
    """True or false."""
    true = (word & _TRUE[1]) == _TRUE[0]
    good &= true | ((word & _FALSE[1]) == _FALSE[0])
    return np.uint8(5) - true, good, None if column is None else true
