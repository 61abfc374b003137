"""JSON payloads of one shape, read all at once: the same fields in one order, written one way.

Between the values of such payloads lie the same bytes: names, punctuation, blanks. A shape is these
literals and what lies between them. Each step compares a stretch of literals, with such values in
it as are written in one way in all payloads, reads the value behind it, and lets go those that are
otherwise. What is read is what any reader of JSON would: every byte of a payload that is taken was
looked at, and nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array
from edgestream.codecs.columns import Kind, Learnt
from edgestream.codecs.digits import first_mark, quotes
from edgestream.codecs.json_block import Block
from edgestream.codecs.json_fixed import Form, layout_of
from edgestream.codecs.json_numbers import Read, long
from edgestream.codecs.json_short import short
from edgestream.codecs.json_stretch import Stretch
from edgestream.codecs.shaped import Followed
from edgestream.textcodes import MOST_BYTES, Words, first_bytes

Steps: TypeAlias = list[tuple[Stretch, "Value | None"]]
"""Stretches, each with the value behind it; None: what follows is another stretch or the end."""

NUMBER_WORDS: Final = 3
"""So many words of a number are looked at: 23 characters."""
_SAMPLES: Final = 64
"""So many payloads show which values are written in one way."""
_LONG: Final = 128
"""Longer stretches are cut: what is made of 4,096 of them would not fit in the L2 cache."""
_VALUES: Final[Mapping[Form, re.Pattern[bytes]]] = {
    "number": re.compile(rb"[-.0-9]+"),
    "text": re.compile(rb'[^"]*'),
    "flag": re.compile(rb"true|false"),
}
_TRUE = np.uint64(int.from_bytes(b"true", "little")), np.uint64((1 << 32) - 1)
_FALSE = np.uint64(int.from_bytes(b"false", "little")), np.uint64((1 << 40) - 1)

FITTING: Mapping[Form, frozenset[Kind | None]] = {
    "number": frozenset({"int", "float"}),
    "text": frozenset({"string"}),
    "flag": frozenset({"bool"}),
}
"""The kinds of columns that values of a form are for; true is no number even where one fits."""


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
        self._layouts: list[bytes | None] | None = None
        self._each = self._steps([None] * len(values))
        self._known = self._each

    @property
    def reach(self) -> int:
        """So many bytes behind a payload may be looked at."""
        return MOST_BYTES + max(stretch.bytes for stretch, _ in (*self._each, *self._known))

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

    def read(self, block: Block, rows: NDArray[np.int64], few: int) -> list[Found]:
        """The values of those among ``rows`` that are of this shape.

        First of those that are written as all were before, then of others, unless they are few.
        """
        found = Found(block, rows, self._known)
        made = [found]
        if self._known is not self._each:
            if len(rows) - len(found.rows) < few:
                return made
            left = np.zeros(len(block.starts), np.bool_)
            left[rows] = True
            left[found.rows] = False
            found = Found(block, np.flatnonzero(left), self._each)
            made.append(found)
        if len(found.rows) and (self._layouts is None or self._known is not self._each):
            self._learn(block, found.rows)
        return made

    def _learn(self, block: Block, rows: NDArray[np.int64]) -> None:
        """Which values are written in one way, from some of the rows that were read."""
        step = max(1, len(rows) // _SAMPLES)
        came = [self._layouts_of(block.payload(row)) for row in rows[::step].tolist()]
        known = came[0] if self._layouts is None else self._layouts
        alike = [
            mine if all(mine == other for other in others) else None
            for mine, *others in zip(known, *came, strict=True)
        ]
        if alike == self._layouts:
            alike = [None] * len(alike)  # what else is otherwise in them is not known
        self._layouts = alike
        self._known = self._each
        if any(layout is not None for layout in alike):
            self._known = self._steps(alike)

    def _layouts_of(self, payload: bytes) -> list[bytes | None]:
        layouts: list[bytes | None] = []
        at = 0
        for literal, value in zip(self.literals, self.values, strict=False):
            found = _VALUES[value.form].match(payload, at + len(literal))
            assert found is not None
            layouts.append(layout_of(value.form, found.group()))
            at = found.end()
        return layouts

    def _steps(self, layouts: Sequence[bytes | None]) -> Steps:
        """Stretches, each with the value of no known layout that follows it, if one does."""
        steps: Steps = []
        literals = [self.literals[0]]
        values: list[tuple[Form, bytes, Learnt | None]] = []
        for value, layout, literal in zip(self.values, layouts, self.literals[1:], strict=True):
            if layout is None:
                steps.append((Stretch(literals, values), value))
                literals, values = [], []
            else:
                if sum(map(len, literals)) + sum(len(one[1]) for one in values) > _LONG:
                    steps.append((Stretch(literals, values), None))
                    literals, values = [b""], []
                values.append((value.form, layout, value.column))
            literals.append(literal)
        return [*steps, (Stretch(literals, values), None)]


class Found(Followed):
    """The payloads that are of a shape; texts are rows of words."""

    values: dict[str, Array]

    def __init__(self, block: Block, rows: NDArray[np.int64], steps: Steps) -> None:
        """Follow all of them to their end, and keep those that get there."""
        super().__init__(rows, block.starts, block.ends)
        self._block = block
        for stretch, value in steps:
            word = self._pass(stretch)
            if not len(word):
                return
            if value is not None:
                self._read(value, word)
        self.keep(self.at == self.ends)

    def _pass(self, stretch: Stretch) -> Words:
        """Keep those that go on with it, and the values in it; gives the first word behind it."""
        rows, good = stretch.look(self._block, self.at)
        if good is not None:
            self.keep(good)
            rows = rows.keep(good)
        for name, value in stretch.values if len(rows.words) else ():
            self.values[name], sure = value.read(rows)
            if sure is not None and not sure.all():
                self.keep(sure)
                rows = rows.keep(sure)
        self.at = self.at + stretch.size
        return rows.words[:, -1]

    def _read(self, value: Value, word: Words) -> None:
        """Read what begins with these words."""
        end, good, values = self._value(value, word, np.ones(len(word), np.bool_))
        if not good.all():
            # What it is of the others is of no use, and to take it out of all arrays neither.
            self.keep(good)
            end, good, values = self._value(value, word[good], good[good])
        self.at = self.at + end
        if values is not None and value.column is not None:
            self.values[value.column.name] = values

    def _value(self, value: Value, word: Words, good: NDArray[np.bool_]) -> Read:
        """The values, of which ``word`` are the first eight bytes, and which are ``good`` too."""
        if value.form == "flag":
            return _flag(word, value.column, good)
        if value.form == "text":
            return _text(self._block.words(self.at, value.words), value.column, good)
        if value.words == 1:
            return short(word, value.column, good)
        return long(self._block, self.at, value.words, value.column, good)


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
