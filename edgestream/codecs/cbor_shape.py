"""Payloads of one shape, read all at once: the same fields in one order, whatever their values.

Between the values of such payloads lie the same bytes: the heads of maps, and the names of fields.
A shape is these literals and what lies between them. Each step compares or reads one of them in
all payloads, and lets go those that are otherwise. What is read is what any reader of CBOR would:
only a payload that was followed byte by byte to its end is taken, and nothing is guessed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array
from edgestream.codecs.cbor_heads import (
    DOUBLE,
    FITTING,
    HALF,
    LONG,
    SHIFT,
    SINGLE,
    SIZE,
    TEXT,
    TRUE,
)
from edgestream.codecs.columns import HIGHEST, Learnt
from edgestream.codecs.json_form import is_utf8
from edgestream.codecs.shaped import Followed

_PADDING = 32
_NOT_ASCII = 128
_WORD = 8


Heads: TypeAlias = NDArray[np.uint8] | np.uint8
"""The first byte of each value, or the one that all of them have."""


class Block:
    """Payloads one after the other, and what is behind every byte as a number of eight bytes."""

    def __init__(self, payloads: Sequence[bytes], reach: int) -> None:
        """``reach`` is the size of the longest literal that will be looked for."""
        # A step may run beyond the end of its payload, which is found out at the last step. Beyond
        # that of the last payload no literal is found in zeros.
        whole = b"".join([*payloads, bytes(reach + _PADDING)])
        lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
        self.text = whole
        self.ends: NDArray[np.int64] = np.cumsum(lengths)
        self.starts: NDArray[np.int64] = self.ends - lengths
        self.bytes: NDArray[np.uint8] = np.frombuffer(whole, np.uint8)
        self.words: NDArray[np.uint64] = np.ndarray(
            (len(whole) - _WORD + 1,), "<u8", self.bytes, strides=(1,)
        )


class Literal:
    """Bytes that are the same in all payloads of a shape."""

    def __init__(self, raw: bytes) -> None:
        """As words with masks, to be compared eight bytes at a time."""
        self.raw = raw
        self._words = [
            (at, np.uint64(int.from_bytes(word, "little")), np.uint64((1 << 8 * len(word)) - 1))
            for at in range(0, len(raw), _WORD)
            if (word := raw[at : at + _WORD])
        ]

    def are(self, block: Block, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        """At which places it is there."""
        there = [(block.words[at + offset] & mask) == word for offset, word, mask in self._words]
        return functools.reduce(np.bitwise_and, there)


@dataclass(slots=True)
class Spans:
    """Spans where they lie in a block."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __getitem__(self, some: NDArray[np.bool_]) -> Spans:
        """Some of them."""
        return Spans(self.starts[some], self.ends[some])

    def raw(self, block: Block) -> list[bytes]:
        """Each as bytes."""
        sizes = self.ends - self.starts
        size = int(sizes[0]) if len(sizes) else 0
        if size and (sizes == size).all():
            places = np.ndarray(
                (len(block.text) - size + 1,), f"V{size}", block.bytes, strides=(1,)
            )
            return list(places[self.starts].tolist())
        return [
            block.text[start:end]
            for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        ]


class Shape:
    """Literals, and between them values: of a column, or None where they are not read."""

    def __init__(self, literals: tuple[bytes, ...], columns: tuple[Learnt | None, ...]) -> None:
        """There is one literal more than there are values; the last one may be empty."""
        self.literals = literals
        self.reach = max(map(len, literals))
        self._passed = [Literal(raw) for raw in literals]
        self._columns = columns

    def usable(self) -> bool:
        """Whether values of all its columns can be read as they are."""
        kinds = [column.kind for column in self._columns if column is not None]
        return all(kind is not None and kind in FITTING for kind in kinds)

    def widened(self, other: Shape) -> Shape:
        """The same shape."""
        return self

    def read(self, block: Block, rows: NDArray[np.int64]) -> Found:
        """The values of those among ``rows`` that are of this shape."""
        found = Found(block, rows)
        *literals, last = self._passed
        for literal, column in zip(literals, self._columns, strict=True):
            found.pass_over(literal)
            found.read(column)
        found.pass_over(last)
        found.keep(found.at == found.ends)
        return found


class Found(Followed):
    """The payloads that are of a shape; texts are spans of the block."""

    values: dict[str, Array | Spans]

    def __init__(self, block: Block, rows: NDArray[np.int64]) -> None:
        """Begin with all of them."""
        super().__init__(rows, block.starts, block.ends)
        self.block = block

    def pass_over(self, literal: Literal) -> None:
        """Keep those where it comes next."""
        if literal.raw:
            self.keep(literal.are(self.block, self.at))
            self.at = self.at + len(literal.raw)

    def read(self, column: Learnt | None) -> None:
        """Read the value that comes next, or pass over it where it is no column's."""
        if not len(self.rows):
            return
        fitting = FITTING[None if column is None else column.kind]
        heads = self.block.bytes[self.at]
        head: Heads = heads[0] if (heads == heads[0]).all() else heads  # one for all is faster
        good = fitting[head]
        if not good.all():
            self.keep(np.broadcast_to(good, self.at.shape))
            self.read(column)
        elif LONG[head].any():
            self._span(column, head)
        else:
            good = None if column is None else self._number(column, head)
            self.at = self.at + 1 + SIZE[head]
            if good is not None:
                self.keep(good)

    def _argument(self, head: Heads) -> NDArray[np.uint64]:
        """The numbers that heads tell, or that lie behind them."""
        size = SIZE[head]
        if not size.any():
            return np.broadcast_to((head & 31).astype(np.uint64), self.at.shape)
        behind = self.block.words[self.at + 1].byteswap() >> SHIFT[head]
        return behind if size.all() else np.where(size > 0, behind, head & 31)

    def _span(self, column: Learnt | None, head: Heads) -> None:
        lengths = np.where(LONG[head], self._argument(head), 0)
        room = np.maximum(self.ends - self.at, 0)
        starts = self.at + 1 + SIZE[head]
        # Compared before it is added: a length may be any number of 64 bits.
        fits = lengths <= room.astype(np.uint64)
        ends = starts + np.where(fits, lengths, 0).astype(np.int64)
        if column is not None:
            self.values[column.name] = Spans(starts, ends)
        self.at = ends
        # Of nothing the next byte is taken, which does no more than cost a look.
        pairs = np.stack([starts, ends], axis=1).ravel()
        odd = np.maximum.reduceat(self.block.bytes, pairs)[::2] >= _NOT_ASCII
        for row in np.flatnonzero(odd & fits & (head >> 5 == TEXT)).tolist():
            fits[row] = is_utf8(self.block.text[starts[row] : ends[row]])
        self.keep(fits)

    def _number(self, column: Learnt, head: Heads) -> NDArray[np.bool_] | None:
        """Which numbers are in range, if there are others."""
        if column.kind == "bool":
            self.values[column.name] = np.broadcast_to(head == TRUE, self.at.shape)
            return None
        read = self._whole if column.kind == "int" else self._floats
        self.values[column.name], good = read(head)
        return good

    def _whole(self, head: Heads) -> tuple[Array, NDArray[np.bool_]]:
        """Whole numbers, and which of them fit in 64 bits."""
        told = self._argument(head)
        values = told.astype(np.int64)
        below = head >= 0x20
        return np.where(below, ~values, values), told <= HIGHEST

    def _floats(self, head: Heads) -> tuple[Array, NDArray[np.bool_]]:
        """Numbers, NaN for nothing, and which of them are in range."""
        told = self._argument(head)
        if (head == DOUBLE).all():
            made = told.view(np.float64)
            return made, ~np.isinf(made)
        head = np.broadcast_to(head, self.at.shape)
        whole = head < 0x40
        values, good = self._whole(head)
        made = np.where(whole, values, np.nan)
        for one, kind, bits in _FLOATS:
            here = head == one
            made[here] = told[here].astype(bits).view(kind)
        return made, ~np.isinf(made) & (good | ~whole)


_FLOATS: tuple[tuple[int, type, type], ...] = (
    (HALF, np.float16, np.uint16),
    (SINGLE, np.float32, np.uint32),
    (DOUBLE, np.float64, np.uint64),
)
