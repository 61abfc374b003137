"""Stretches of JSON payloads that are written in one way in all of them, compared all at once.

A stretch is literals, and between them values of one layout: so many digits here, a point there, a
text of one length. So every byte of it must be a certain one, or any digit, or any but a quote. All
three are asked of all bytes by the same two operations: XOR, and adding a number with which the top
bit is set where a byte is not as it must be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgestream.codecs.columns import Learnt
from edgestream.codecs.json_block import Block
from edgestream.codecs.json_fixed import IN_TEXT, Fixed, Form, Rows, fixed
from edgestream.textcodes import WORD, Words

_TOGETHER: Final = 512
"""Templates are repeated for so many rows: short loops of numpy are slow ones."""
_TOP, _LOW, _ALL = 0x80, 0x7F, 0xFF
_DIGIT: Final = ord("0"), 0x80 - 10, _TOP, _TOP
_IN_TEXT: Final = IN_TEXT, 1, _TOP, 0
"""XOR makes 0x7F of a quote, and of no other byte of ASCII. Beyond ASCII this takes 0xA2 for one:
payloads with it are left to others."""


def _literal(byte: int) -> tuple[int, int, int, int]:
    """What is XORed, what is added, what then must be zero, and what before."""
    return byte, _LOW, _TOP, _TOP


class Stretch:
    """Literals, and values that are written in one way: up to a value that is not, or the end."""

    def __init__(
        self, literals: Sequence[bytes], values: Sequence[tuple[Form, bytes, Learnt | None]]
    ) -> None:
        """A literal comes first; ``values`` have a layout, and a column if they are read."""
        self.size = sum(map(len, literals)) + sum(len(layout) for _, layout, _ in values)
        self._front = -self.size % WORD
        if values and self._front + len(literals[0]) < WORD:
            self._front += WORD  # numbers are read by the words that end with their digits
        self._words = (self._front + self.size) // WORD + 1
        self.bytes = WORD * self._words
        """A row is so long: with bytes in front to begin whole words, and eight of what follows."""
        self.values: list[tuple[str, Fixed]] = []
        self._leading: list[int] = []
        template = [(0, 0, 0, 0)] * self._front
        for number, literal in enumerate(literals):
            template += map(_literal, literal)
            if number < len(values):
                form, layout, column = values[number]
                at = len(template)
                template += _template(form, layout)
                if form == "number" and layout.removeprefix(b"-").startswith(b"00"):
                    self._leading.append(at + layout.startswith(b"-"))
                if column is not None:
                    self.values.append((column.name, fixed(form, layout, at, column)))
        template += [(0, 0, 0, 0)] * WORD
        self._xor, self._add, self._wrong, self._ascii = (
            np.tile(np.frombuffer(bytes(part), np.uint64), _TOGETHER)
            for part in zip(*template, strict=True)
        )
        self._all_literal = not values
        self._first = self._wrong[0] // _TOP * _ALL

    def look(
        self, block: Block, starts: NDArray[np.int64]
    ) -> tuple[Rows, NDArray[np.bool_] | None]:
        """The stretches that begin there, and which are as they must be; None: all."""
        words = block.words(starts - self._front, self._words)
        rows = Rows(words)
        if self._all_literal:
            good = self._differ(words) == 0
            return rows, None if good.all() else good
        _with(np.bitwise_xor, words, self._xor, words)
        asked = self._asked(words, block.ascii)
        good = None
        if self._any(asked):
            marks = _with(np.bitwise_and, asked, self._wrong, asked)
            found = marks[:, 0].copy()
            for word in range(1, self._words):
                found |= marks[:, word]
            good = found == 0
        for at in self._leading:
            leading = rows.byte(at) != 0
            if not leading.all():
                good = leading if good is None else good & leading
        return rows, good

    def _differ(self, words: Words) -> Words:
        """Zero where all is literal and as it must be; fewer operations than for values."""
        differ: Words = words[:, 0] ^ self._xor[0]
        differ &= self._first
        for word in range(1, self._words - 1):
            differ |= words[:, word] ^ self._xor[word]
        return differ

    def _asked(self, left: Words, ascii_only: bool) -> Words:
        """Top bits where bytes are not as they must be; between the stretches, any."""
        if ascii_only:
            return _with(np.add, left, self._add, np.empty_like(left))
        low = left & np.uint64(0x7F7F7F7F7F7F7F7F)  # what is added carries into no other byte
        marks = _with(np.add, low, self._add, low)
        marks |= _with(np.bitwise_and, left, self._ascii, np.empty_like(left))
        return marks

    def _any(self, marks: Words) -> bool:
        """Whether any of them is where there must be none."""
        flat, size = marks.reshape(-1), len(self._wrong)
        whole = len(flat) // size * size
        found = np.bitwise_or.reduce(flat[:whole].reshape(-1, size), axis=0)
        found[: len(flat) - whole] |= flat[whole:]
        found &= self._wrong
        return bool(found.any())


def _template(form: Form, layout: bytes) -> list[tuple[int, int, int, int]]:
    if form == "text":
        return [_IN_TEXT] * len(layout)
    if form == "number":
        return [_DIGIT if byte == ord("0") else _literal(byte) for byte in layout]
    return [_literal(byte) for byte in layout]


def _with(does: Callable[..., Any], rows: Words, template: Words, made: Words) -> Words:
    """An operation on all rows and the template, which stands for as many as it was made for."""
    flat, out, size = rows.reshape(-1), made.reshape(-1), len(template)
    whole = len(flat) // size * size
    if whole:
        does(flat[:whole].reshape(-1, size), template, out=out[:whole].reshape(-1, size))
    if whole < len(flat):
        does(flat[whole:], template[: len(flat) - whole], out=out[whole:])
    return made
