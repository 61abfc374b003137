"""Stretches of JSON payloads that are written in one way in all of them, compared all at once.

A stretch is literals, and between them values of one layout: so many digits here, a point there, a
text of one length. So every byte of it must be a certain one, or any digit, or any but a quote. All
three are asked of all bytes by the same two operations: XOR, and adding a number with which the top
bit is set where a byte is not as it must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgestream.codecs.columns import Learnt
from edgestream.codecs.json_block import Block
from edgestream.codecs.json_fixed import IN_TEXT, Fixed, Form, Rows, fixed
from edgestream.textcodes import WORD, Words

_TOGETHER: Final = 112 * 1024
"""So many bytes are looked at together: they stay in the cache, and larger memory for them would
come from the system, page by page."""
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
        self._together = max(1, _TOGETHER // self.bytes)
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
            np.tile(np.frombuffer(bytes(part), np.uint64), self._together)
            for part in zip(*template, strict=True)
        )
        self._all_literal = not values
        self._first = self._wrong[0] // _TOP * _ALL

    def look(
        self, block: Block, starts: NDArray[np.int64]
    ) -> tuple[Rows, NDArray[np.bool_] | None]:
        """The stretches that begin there, and which are as they must be; None: all.

        The rows are good until the next stretch is looked at.
        """
        count, width = len(starts), self._words
        if self._all_literal:
            words = block.words(starts - self._front, width)
            good = self._differ(words) == 0
            return Rows(words), None if good.all() else good
        kept = block.kept.words(width * count)
        found: Words | None = None
        step = -(-count // -(-count // self._together)) if count else 1
        for first in range(0, count, step):
            flat = block.words(starts[first : first + step] - self._front, width).reshape(-1)
            left = kept[width * first : width * first + len(flat)]
            np.bitwise_xor(flat, self._xor[: len(flat)], out=left)
            asked = self._asked(left, flat, block.ascii)
            if found is None:
                found = asked
            else:
                found[: len(flat)] |= asked
        rows = Rows(kept.reshape(-1, width))
        good = None
        if found is not None:
            found &= self._wrong[: len(found)]
            if np.bitwise_or.reduce(found):
                good = self._good(kept, block.ascii)
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

    def _asked(self, left: Words, out: Words, ascii_only: bool) -> Words:
        """Top bits where bytes are not as they must be; around the stretches, any."""
        size = len(left)
        if ascii_only:
            return np.add(left, self._add[:size], out=out)
        np.bitwise_and(left, np.uint64(0x7F7F7F7F7F7F7F7F), out=out)
        out += self._add[:size]  # carries into no other byte
        out |= left & self._ascii[:size]
        return out

    def _good(self, kept: Words, ascii_only: bool) -> NDArray[np.bool_]:
        """Which rows are as they must be."""
        size = len(self._wrong)
        good = []
        for first in range(0, len(kept), size):
            left = kept[first : first + size]
            marks = self._asked(left, np.empty_like(left), ascii_only)
            marks &= self._wrong[: len(left)]
            rows = marks.reshape(-1, self._words)
            wrong = rows[:, 0].copy()
            for word in range(1, self._words):
                wrong |= rows[:, word]
            good.append(wrong == 0)
        return np.concatenate(good)


def _template(form: Form, layout: bytes) -> list[tuple[int, int, int, int]]:
    if form == "text":
        return [_IN_TEXT] * len(layout)
    if form == "number":
        return [_DIGIT if byte == ord("0") else _literal(byte) for byte in layout]
    return [_literal(byte) for byte in layout]
