"""The shape of one payload: a plain object is taken apart into literals and values."""

from __future__ import annotations

import re

from edgestream.codecs.columns import Learnt
from edgestream.codecs.json_fixed import Form
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.json_numbers import MOST_DIGITS
from edgestream.codecs.json_shape import (
    FITTING,
    Shape,
    Value,
)
from edgestream.codecs.json_spots import Path
from edgestream.codecs.sample import Sample, ShapelessError
from edgestream.textcodes import MOST_BYTES, MOST_WORDS, WORD

_BLANK = re.compile(rb"[ \t]*")
_TEXT = re.compile(rb'"([^"\\\x00-\x1f]*)"')
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?![0-9.eE+-])")
_WORD = re.compile(rb"true|false|null")


def shape_of(payload: bytes, layout: Layout) -> Shape | None:
    """The shape of a payload that was taken, or None if it has none.

    It has none with lists, escaped characters, exponents, line ends, names that come twice, long
    texts, and where what would be read is not what its column holds.
    """
    try:
        return _Sample(payload, layout).shape()
    except ShapelessError:
        return None


class _Sample(Sample[Value]):
    def shape(self) -> Shape:
        self._object(())
        self._blank()
        if self._at != len(self._payload):
            raise ShapelessError
        return Shape(*self._parts())

    def _object(self, path: Path) -> None:
        keys: set[str] = set()
        self._pass(b"{")
        if self._next() == b"}":
            self._pass(b"}")
            return
        while True:
            key = self._match(_TEXT)[1:-1].decode()
            if key in keys:
                raise ShapelessError
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
                raise ShapelessError
            self._object(path)
        elif head == b'"':
            begun = self._at + 1
            if len(self._match(_TEXT)) - 2 > MOST_BYTES:
                raise ShapelessError
            self._add("text", begun, self._at - 1, column)
        elif head in (b"t", b"f", b"n"):
            begun = self._at
            if self._match(_WORD) != b"null":  # nothing is always written so
                self._add("flag", begun, self._at, column)
            elif column is None and self._layout.is_open:
                raise ShapelessError
        else:
            begun = self._at
            if sum(map(str.isdigit, self._match(_NUMBER).decode())) > MOST_DIGITS:
                raise ShapelessError
            self._add("number", begun, self._at, column)

    def _add(self, form: Form, begun: int, end: int, column: Learnt | None) -> None:
        unfit = column is not None and column.kind not in FITTING[form]
        unknown = column is None and self._layout.is_open
        if unfit or unknown:
            raise ShapelessError
        words = min((end - begun) // WORD + 1, MOST_WORDS)
        self._cut(begun, end, column, Value(form, words, column))

    def _next(self) -> bytes:
        self._blank()
        return self._payload[self._at : self._at + 1]

    def _blank(self) -> None:
        blank = _BLANK.match(self._payload, self._at)
        assert blank is not None
        self._at = blank.end()

    def _pass(self, token: bytes) -> None:
        if self._next() != token:
            raise ShapelessError
        self._at += 1

    def _match(self, pattern: re.Pattern[bytes]) -> bytes:
        self._blank()
        found = pattern.match(self._payload, self._at)
        if found is None:
            raise ShapelessError
        self._at = found.end()
        return found.group()
