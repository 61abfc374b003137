"""The shape of one payload: a well-formed map is taken apart into literals and values."""

from __future__ import annotations

from edgestream.codecs.cbor_form import PREFIX
from edgestream.codecs.cbor_heads import ARGUMENT, FITTING, LONG, MAP, NOTHING, TEXT
from edgestream.codecs.cbor_shape import Shape
from edgestream.codecs.columns import Learnt
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.json_spots import Path

MAX_VALUES = 64
"""Payloads of more values have no shape: following it would take longer than reading each."""


class _ShapelessError(Exception):
    """A payload has no shape."""


def shape_of(payload: bytes, layout: Layout) -> Shape | None:
    """The shape of a payload that was taken, or None if it has none.

    It has none with lists, with names that come twice or are no text, and where a value that would
    be read is missing: what is to be there was not seen yet.
    """
    try:
        return _Sample(payload, layout).shape()
    except _ShapelessError:
        return None


class _Sample:
    def __init__(self, payload: bytes, layout: Layout) -> None:
        self._payload = payload
        self._layout = layout
        self._at = len(PREFIX) if payload.startswith(PREFIX) else 0
        self._begun = 0
        self._literals: list[bytes] = []
        self._columns: list[Learnt | None] = []

    def shape(self) -> Shape:
        self._map(())
        names = [column.name for column in self._columns if column is not None]
        if len(set(names)) < len(names):
            raise _ShapelessError
        return Shape((*self._literals, self._payload[self._begun :]), tuple(self._columns))

    def _map(self, path: Path) -> None:
        keys: set[str] = set()
        for _ in range(self._argument()):
            if self._payload[self._at] >> 5 != TEXT:
                raise _ShapelessError
            size = self._argument()
            key = self._payload[self._at : self._at + size].decode()
            if key in keys:
                raise _ShapelessError
            keys.add(key)
            self._at += size
            self._value((*path, key))

    def _value(self, path: Path) -> None:
        head = self._payload[self._at]
        if head >> 5 == MAP:
            self._map(path)
            return
        column = self._layout.column_at(path)
        kind = None if column is None else column.kind
        seen = column is None or (kind is not None and head not in NOTHING)
        if not seen or kind not in FITTING or not FITTING[kind][head]:
            raise _ShapelessError
        if len(self._columns) == MAX_VALUES:
            raise _ShapelessError
        self._literals.append(self._payload[self._begun : self._at])
        self._columns.append(column)
        size = self._argument()
        self._at += size if LONG[head] else 0
        self._begun = self._at

    def _argument(self) -> int:
        """Pass over a head and the number behind it, which is given."""
        low = self._payload[self._at] & 31
        if low > max(ARGUMENT):  # what has no length, and ends with a break
            raise _ShapelessError
        start = self._at + 1
        self._at = start + ARGUMENT.get(low, 0)
        return int.from_bytes(self._payload[start : self._at]) if self._at > start else low
