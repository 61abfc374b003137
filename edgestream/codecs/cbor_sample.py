"""The shape of one payload: a well-formed map is taken apart into literals and values."""

from __future__ import annotations

from edgestream.codecs.cbor_form import PREFIX
from edgestream.codecs.cbor_heads import ARGUMENT, FITTING, LONG, MAP, NOTHING, TEXT
from edgestream.codecs.cbor_shape import Shape
from edgestream.codecs.columns import Learnt
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.json_spots import Path
from edgestream.codecs.sample import Sample, ShapelessError


def shape_of(payload: bytes, layout: Layout) -> Shape | None:
    """The shape of a payload that was taken, or None if it has none.

    It has none with lists, with names that come twice or are no text, and where a value that would
    be read is missing: what is to be there was not seen yet.
    """
    try:
        begin = len(PREFIX) if payload.startswith(PREFIX) else 0
        return _Sample(payload, layout, begin).shape()
    except ShapelessError:
        return None


class _Sample(Sample[Learnt | None]):
    def shape(self) -> Shape:
        self._map(())
        return Shape(*self._parts())

    def _map(self, path: Path) -> None:
        keys: set[str] = set()
        for _ in range(self._argument()):
            if self._payload[self._at] >> 5 != TEXT:
                raise ShapelessError
            size = self._argument()
            key = self._payload[self._at : self._at + size].decode()
            if key in keys:
                raise ShapelessError
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
            raise ShapelessError
        begun = self._at
        size = self._argument()
        self._at += size if LONG[head] else 0
        self._cut(begun, self._at, column, column)

    def _argument(self) -> int:
        """Pass over a head and the number behind it, which is given."""
        low = self._payload[self._at] & 31
        if low > max(ARGUMENT):  # what has no length, and ends with a break
            raise ShapelessError
        start = self._at + 1
        self._at = start + ARGUMENT.get(low, 0)
        return int.from_bytes(self._payload[start : self._at]) if self._at > start else low
