"""From CBOR payloads to columns: those of a known shape all at once, the others one by one.

The rule: whether a payload is read by its shape changes nothing but the time it takes. A shape is
taken from a payload that was read alone, and reads only values that fit what is known of their
columns; such a payload teaches nothing, so it does not matter which of them are read first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array, Column, Strings
from edgestream.codecs.amount import MAX_VALUES
from edgestream.codecs.cbor_form import CborForm
from edgestream.codecs.cbor_sample import shape_of
from edgestream.codecs.cbor_shape import Block, Found, Shape, Spans
from edgestream.codecs.columns import Learnt, join, piece
from edgestream.codecs.json_decode import REFUSALS, Reading
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.known import Known
from edgestream.component import Decoded

FEW = 128
"""Fewer payloads take less time one by one."""
MAX_SHAPES = 8
_SAMPLES = 4


class CborReading(Reading):
    """The state of decoding, with the shapes of the payloads that came."""

    def __init__(self, layout: Layout, form: CborForm, max_payload: int) -> None:
        """Begin without a shape."""
        super().__init__(layout, form)
        self._cbor = form
        self._longest = min(max_payload, MAX_VALUES)
        self._shapes: list[Shape] = []
        self._known: dict[str, Known] = {}

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The columns of the good payloads, and why the others are rejected."""
        columns = self.layout.columns
        for name, known in list(self._known.items()):
            if known.dictionary is not columns[name].texts.dictionary:  # it was forgotten
                del self._known[name]
        if len(payloads) < FEW:
            return super().decode(payloads)
        found, rest = self._follow(payloads)
        decoded = super().decode([payloads[row] for row in rest.tolist()] if found else payloads)
        good = rest if decoded.good is None else rest[decoded.good]
        self._sample([payloads[row] for row in good[:_SAMPLES].tolist()])
        if not found:
            return decoded
        rejected = {int(rest[row]): why for row, why in decoded.rejected.items()}
        places = np.concatenate([*(one.rows for one in found), good])
        order = np.argsort(places) if len(found) > 1 or len(good) else None
        kept = np.sort(places) if rejected else None
        return Decoded(self._joined(found, decoded, order), len(places), kept, rejected)

    def _read(self, chunk: Sequence[bytes], start: int, rejected: dict[int, str]) -> list[Any]:
        """The good rows of a chunk that no shape read."""
        with contextlib.suppress(*REFUSALS):
            rows = self._cbor.rows(chunk, self._row) if self._cbor.clean(chunk) else None
            if rows is not None:
                return rows
        return super()._read(chunk, start, rejected)

    def _follow(self, payloads: Sequence[bytes]) -> tuple[list[Found], NDArray[np.int64]]:
        """What is read by shapes, and which payloads are left."""
        left = np.ones(len(payloads), np.bool_)
        short = np.fromiter(map(len, payloads), np.int64, len(payloads)) <= self._longest
        shapes = [shape for shape in self._shapes if shape.usable()]
        found: dict[Shape, Found] = {}
        block = Block(payloads, max((shape.reach for shape in shapes), default=0))
        for shape in shapes:
            one = shape.read(block, np.flatnonzero(left & short))
            if len(one.rows):
                found[shape] = one
                left[one.rows] = False
        # Those that read most are tried first the next time, and forgotten last.
        self._shapes.sort(key=lambda shape: -len(found[shape].rows) if shape in found else 0)
        return list(found.values()), np.flatnonzero(left)

    def _sample(self, payloads: Sequence[bytes]) -> None:
        """Make the shape known of one of the payloads that none of the known ones read."""
        known = {shape.literals for shape in self._shapes}
        for payload in payloads:
            shape = None if len(payload) > self._longest else shape_of(payload, self.layout)
            if shape is not None and shape.literals not in known:
                self._shapes = [shape, *self._shapes[: MAX_SHAPES - 1]]
                return

    def _joined(
        self, found: Sequence[Found], decoded: Decoded, order: NDArray[np.int64] | None
    ) -> Mapping[str, Column]:
        """Each column of all the parts, in the order of the payloads."""
        columns: dict[str, Column] = {}
        for name, column in self.layout.columns.items():
            parts = [(len(one.rows), self._array(column, one)) for one in found]
            other = decoded.columns[name]
            parts.append((decoded.count, other.codes if isinstance(other, Strings) else other))
            whole = join(column, parts)
            columns[name] = whole if order is None else whole[order]
        return columns

    def _array(self, column: Learnt, found: Found) -> Array | None:
        values = found.values.get(column.name)
        if values is None and self._readers[column.name] is not None:
            return piece(column, [None] * len(found.rows))
        if not isinstance(values, Spans):
            return values
        known = self._known.get(column.name)
        if known is None or known.dictionary is not column.texts.dictionary:
            known = self._known[column.name] = Known(column.texts, bytes.decode)
        raw = values.raw(found.block)
        return np.fromiter(map(known.__getitem__, raw), np.int32, len(raw))
