"""Taking one payload apart into the literals of its shape and what lies between them."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from edgestream.codecs.columns import Learnt
from edgestream.codecs.json_layout import Layout

MAX_VALUES: Final = 64
"""Payloads of more values have no shape: following it would take longer than reading each."""

V = TypeVar("V")


class ShapelessError(Exception):
    """A payload has no shape."""


class Sample(Generic[V]):
    """A payload that is read from the front, and what was found of its shape."""

    def __init__(self, payload: bytes, layout: Layout, at: int = 0) -> None:
        """Begin to read ``at`` a place."""
        self._payload = payload
        self._layout = layout
        self._at = at
        self._begun = 0
        self._names: set[str] = set()
        self._literals: list[bytes] = []
        self._values: list[V] = []

    def _cut(self, begun: int, end: int, column: Learnt | None, value: V) -> None:
        """There is a value between two places; a column may have one."""
        if len(self._values) == MAX_VALUES or (column is not None and column.name in self._names):
            raise ShapelessError
        if column is not None:
            self._names.add(column.name)
        self._literals.append(self._payload[self._begun : begun])
        self._values.append(value)
        self._begun = end

    def _parts(self) -> tuple[tuple[bytes, ...], tuple[V, ...]]:
        """The literals, one more than there are values, and the values."""
        return (*self._literals, self._payload[self._begun :]), tuple(self._values)
