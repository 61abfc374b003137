"""The shape of one payload: a plain object is taken apart into literals and values."""

from __future__ import annotations

import re
from typing import Final

from edgestream.codecs.columns import Learnt
from edgestream.codecs.digits import MOST_WORDS, WORD
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.json_numbers import MOST_DIGITS
from edgestream.codecs.json_shape import (
    FITTING,
    TEXT_BYTES,
    Form,
    Shape,
    Value,
)
from edgestream.codecs.json_spots import Path

MAX_VALUES: Final = 64
"""Payloads of more values have no shape: following it would take longer than reading each."""

_BLANK = re.compile(rb"[ \t]*")
_TEXT = re.compile(rb'"([^"\\\x00-\x1f]*)"')
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?![0-9.eE+-])")
_WORD = re.compile(rb"true|false|null")


class _ShapelessError(Exception):
    """A payload has no shape."""


def shape_of(payload: bytes, layout: Layout) -> Shape | None:
    """The shape of a payload that was taken, or None if it has none.

    It has none with lists, escaped characters, exponents, line ends, names that come twice, long
    texts, and where what would be read is not what its column holds.
    """
    try:
        return _Sample(payload, layout).shape()
    except _ShapelessError:
        return None


class _Sample:
    def __init__(self, payload: bytes, layout: Layout) -> None:
        self._payload = payload
        self._layout = layout
        self._at = 0
        self._begun = 0
        self._literals: list[bytes] = []
        self._values: list[Value] = []

    def shape(self) -> Shape:
        self._object(())
        self._blank()
        if self._at != len(self._payload):
            raise _ShapelessError
        names = [value.column.name for value in self._values if value.column is not None]
        if len(set(names)) < len(names):
            raise _ShapelessError
        return Shape((*self._literals, self._payload[self._begun :]), tuple(self._values))

    def _object(self, path: Path) -> None:
        keys: set[str] = set()
        self._pass(b"{")
        if self._next() == b"}":
            self._pass(b"}")
            return
        while True:
            key = self._match(_TEXT)[1:-1].decode()
            if key in keys:
                raise _ShapelessError
            keys.add(key)
            self._pass(b":")
            self._value((*path, key))
            if self._next() == b"}":
                break
            self._pass(b",")
            self._blank()
        self._pass(b"}")

    def _value(self, path: Path) -> None:
        head = self._next()
        column = self._layout.column_at(path)
        if head == b"{":
            if column is not None:
                raise _ShapelessError
            self._object(path)
        elif head == b'"':
            begun = self._at + 1
            if len(self._match(_TEXT)) - 2 > TEXT_BYTES:
                raise _ShapelessError
            self._add("text", begun, self._at - 1, column)
        elif head in (b"t", b"f", b"n"):
            begun = self._at
            if self._match(_WORD) != b"null":  # nothing is always written so
                self._add("flag", begun, self._at, column)
            elif column is None and self._layout.is_open:
                raise _ShapelessError
        else:
            begun = self._at
            if sum(map(str.isdigit, self._match(_NUMBER).decode())) > MOST_DIGITS:
                raise _ShapelessError
            self._add("number", begun, self._at, column)

    def _add(self, form: Form, begun: int, end: int, column: Learnt | None) -> None:
        unfit = column is not None and column.kind not in FITTING[form]
        unknown = column is None and self._layout.is_open
        if unfit or unknown or len(self._values) == MAX_VALUES:
            raise _ShapelessError
        self._literals.append(self._payload[self._begun : begun])
        self._values.append(Value(form, min((end - begun) // WORD + 1, MOST_WORDS), column))
        self._begun = end

    def _next(self) -> bytes:
        self._blank()
        return self._payload[self._at : self._at + 1]

    def _blank(self) -> None:
        blank = _BLANK.match(self._payload, self._at)
        assert blank is not None
        self._at = blank.end()

    def _pass(self, token: bytes) -> None:
        if self._next() != token:
            raise _ShapelessError
        self._at += 1

    def _match(self, pattern: re.Pattern[bytes]) -> bytes:
        self._blank()
        found = pattern.match(self._payload, self._at)
        if found is None:
            raise _ShapelessError
        self._at = found.end()
        return found.group()
