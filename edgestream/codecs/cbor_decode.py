"""From CBOR payloads to columns: by their shapes, and those of none one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array
from edgestream.codecs.amount import MAX_VALUES
from edgestream.codecs.cbor_form import CborForm
from edgestream.codecs.cbor_sample import shape_of
from edgestream.codecs.cbor_shape import Block, Found, Shape, Spans
from edgestream.codecs.json_decode import REFUSALS
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.known import Known
from edgestream.codecs.shaped import Part, ShapedReading

FEW = 128
"""Fewer payloads take less time one by one."""


class CborReading(ShapedReading[Shape]):
    """The state of decoding, with the shapes of the payloads that came."""

    def __init__(self, layout: Layout, form: CborForm, max_payload: int) -> None:
        """Begin without a shape."""
        super().__init__(layout, form)
        self._cbor = form
        self._longest = min(max_payload, MAX_VALUES)
        self._known: dict[str, Known] = {}

    @property
    def few(self) -> int:
        """Fewer payloads take less time one by one."""
        return FEW

    def _renew(self) -> None:
        """Between batches: forget texts if there are too many, and their codes with them."""
        super()._renew()
        for name, known in list(self._known.items()):
            if known.dictionary is not self.layout.columns[name].texts.dictionary:
                del self._known[name]

    def _read(self, chunk: Sequence[bytes], start: int, rejected: dict[int, str]) -> list[Any]:
        """The good rows of a chunk that no shape read."""
        with contextlib.suppress(*REFUSALS):
            rows = self._cbor.rows(chunk, self._row) if self._cbor.clean(chunk) else None
            if rows is not None:
                return rows
        return super()._read(chunk, start, rejected)

    def _read_by(
        self, shapes: Sequence[Shape], payloads: Sequence[bytes]
    ) -> tuple[NDArray[np.bool_], list[Part]]:
        """Which payloads are left, and a part for each shape."""
        left = np.ones(len(payloads), np.bool_)
        short = np.fromiter(map(len, payloads), np.int64, len(payloads)) <= self._longest
        block = Block(payloads, max(shape.reach for shape in shapes))
        parts = []
        for shape in shapes:
            found = shape.read(block, np.flatnonzero(left & short))
            left[found.rows] = False
            arrays = {name: self._array(name, found) for name in found.values}
            parts.append(Part(found.rows, arrays))
        return left, parts

    def _shape_of(self, payload: bytes) -> Shape | None:
        """The shape of a payload that was read alone, if it has one."""
        return None if len(payload) > self._longest else shape_of(payload, self.layout)

    def _array(self, name: str, found: Found) -> Array:
        values = found.values[name]
        if not isinstance(values, Spans):
            return values
        known = self._known.get(name)
        if known is None:
            known = Known(self.layout.columns[name].texts, bytes.decode)
            self._known[name] = known
        raw = values.raw(found.block)
        return np.fromiter(map(known.__getitem__, raw), np.int32, len(raw))
