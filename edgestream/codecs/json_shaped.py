"""From JSON payloads to columns: by their shapes, and those of none one by one.

What reads by shapes is imported when the first large block comes: a start does without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from edgestream.codecs.json_form import JsonForm
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.shaped import Part, ShapedReading

if TYPE_CHECKING:
    from edgestream.codecs.json_block import Room
    from edgestream.codecs.json_shape import Found, Shape

FEW = 1536
"""Fewer payloads take less time one by one."""
FEW_LEFT: Final = 64
"""So few that no shape read yet are not worth another one."""
MOST_BYTES: Final = 4 * 1024 * 1024
"""More are not copied in order to be read together."""


class JsonReading(ShapedReading["Shape"]):
    """The state of decoding, with the shapes of the payloads that came."""

    def __init__(self, layout: Layout, max_payload: int) -> None:
        """Begin without a shape."""
        super().__init__(layout, JsonForm(max_payload))
        self._max_payload = max_payload
        self._room: Room | None = None

    @property
    def few(self) -> int:
        """Fewer payloads take less time one by one."""
        return FEW

    def _read_by(
        self, shapes: Sequence[Shape], payloads: Sequence[bytes]
    ) -> tuple[NDArray[np.bool_], list[Part]]:
        """Which payloads are left, and a part for each shape."""
        from edgestream.codecs.json_block import Room, sizes_of  # noqa: PLC0415 - see above

        if self._room is None:
            self._room = Room()
        left = np.ones(len(payloads), np.bool_)
        nothing = Part(np.zeros(0, np.int64), {})
        sizes = sizes_of(payloads)
        if sizes.sum() > MOST_BYTES:
            return left, [nothing] * len(shapes)
        block = self._room.block(payloads, sizes, max(shape.reach for shape in shapes))
        fitting = block.plain & (sizes <= self._max_payload)
        parts = []
        for shape in shapes:
            rows = np.flatnonzero(left & fitting)
            few = min(FEW_LEFT, self.few)
            if len(rows) < few:
                parts.append(nothing)
                continue
            read = [found for found in shape.read(block, rows, few) if len(found.rows)]
            for found in read:
                left[found.rows] = False
            parts.append(_together([self._part(found) for found in read]) if read else nothing)
        return left, parts

    def _shape_of(self, payload: bytes) -> Shape | None:
        """The shape of a payload that was read alone, if it has one."""
        from edgestream.codecs.json_sample import shape_of  # noqa: PLC0415 - see above

        return shape_of(payload, self.layout)

    def _part(self, found: Found) -> Part:
        arrays = {}
        for name, values in found.values.items():
            texts = self.layout.columns[name].texts
            arrays[name] = texts.encode_words(values) if values.ndim > 1 else values
        return Part(found.rows, arrays)


def _together(parts: Sequence[Part]) -> Part:
    """One of several with the same columns."""
    first, *others = parts
    if not others:
        return first
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns
    }
    return Part(np.concatenate([part.rows for part in parts]), columns)
