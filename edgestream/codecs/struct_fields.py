"""The fields of a fixed binary layout: how each is read from, and written to, numpy records.

A field is read for all rows at once. What it cannot stand for is told row by row: reading gives
the rows that are bad, if there are any, and writing does too.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import MISSING, Array, Column, Strings
from edgestream.codecs.columns import HIGHEST, Texts
from edgestream.codecs.known import UNREADABLE, Known
from edgestream.errors import ConfigError
from edgestream.schema import ColumnKind

Bad: TypeAlias = NDArray[np.bool_] | None
"""The rows that are bad, or None if no row is."""

NUMBERS: Mapping[str, str] = {
    **{f"{sign}{bits}": f"{sign}{bits // 8}" for sign in "iu" for bits in (8, 16, 32, 64)},
    **{f"f{bits}": f"f{bits // 8}" for bits in (16, 32, 64)},
    "bool": "u1",
}
"""The types of numbers, as users write them and as numpy does."""


@dataclass(slots=True)
class Cell(ABC):
    """One column of the layout; ``field`` is the record field that it lies in."""

    name: str
    field: str
    kind: ClassVar[ColumnKind] = "float"

    @abstractmethod
    def read(self, whole: Array) -> tuple[Column, Bad]:
        """The column of all rows."""

    @abstractmethod
    def write(self, whole: Array, column: Column) -> Bad:
        """Put the values of a column into the records."""

    @abstractmethod
    def reason(self, shown: object) -> str:
        """Why a value is bad, read or written."""

    def given(self) -> ColumnKind:
        """What the column holds."""
        return self.kind

    def unlike(self, column: Column) -> ConfigError:
        """A column of another kind was to be written."""
        what = (
            "text" if isinstance(column, Strings) else "a time" if _is_time(column) else "numbers"
        )
        return ConfigError(f"the column {self.name!r} holds {what}, its field in the layout not")


@dataclass(slots=True)
class Number(Cell):
    """A number, perhaps scaled; one raw value may stand for missing."""

    dtype: np.dtype[Any]
    scale: float = 1.0
    offset: float = 0.0
    missing: int | None = None
    flag: bool = False

    @property
    def _plain(self) -> bool:
        return self.scale == 1.0 and self.offset == 0.0 and self.missing is None

    def given(self) -> ColumnKind:
        """Whole numbers stay whole unless they are scaled or can be missing."""
        if self.flag:
            return "bool"
        return "int" if self.dtype.kind in "iu" and self._plain else "float"

    def read(self, whole: Array) -> tuple[Column, Bad]:
        """Infinities, and whole numbers beyond 63 bits, are bad."""
        raw: Array = whole[self.field]
        if self.flag:
            return raw != 0, None
        if self.dtype.kind == "f":
            values = raw.astype(np.float64)
            beyond = np.isinf(values)
            return self._scaled(values), beyond if beyond.any() else None
        if not self._plain:
            values = self._scaled(raw.astype(np.float64))
            if self.missing is not None:
                values[raw == self.missing] = math.nan
            return values, None
        if self.dtype.itemsize == 8 and self.dtype.kind == "u":
            large = raw > HIGHEST
            return raw.astype(np.int64), large if large.any() else None
        return raw.astype(np.int64), None

    def _scaled(self, values: Array) -> Array:
        if self.scale != 1.0:
            inverse = round(1 / self.scale) if abs(self.scale) > 1e-18 else 0
            # 2155 / 100 is 21.55, 2155 * 0.01 is not.
            exact = inverse != 0 and 1 / inverse == self.scale
            values = values / inverse if exact else values * self.scale
        return values + self.offset if self.offset else values

    def write(self, whole: Array, column: Column) -> Bad:
        """Out of range is bad, and so is a fraction or a gap that the type has no place for."""
        if isinstance(column, Strings) or _is_time(column):
            raise self.unlike(column)
        if self.flag:
            whole[self.field] = np.nan_to_num(column, nan=0.0) != 0
            return _any(np.isnan(column) if column.dtype.kind == "f" else None)
        if self.dtype.kind == "f":
            with np.errstate(over="ignore"):
                raw = ((column - self.offset) / self.scale).astype(self.dtype)
            whole[self.field] = raw
            return _any(np.isinf(raw))
        limits = np.iinfo(self.dtype)
        if self._plain and column.dtype.kind in "ib":
            values = column.astype(np.int64)
            low, high = int(limits.min), min(int(limits.max), HIGHEST)
            bad = (values < low) | (values > high)
            whole[self.field] = np.where(bad, 0, values).astype(self.dtype)
            return _any(bad)
        return self._write_floats(whole, column.astype(np.float64), limits)

    def _write_floats(self, whole: Array, values: Array, limits: np.iinfo[Any]) -> Bad:
        with np.errstate(invalid="ignore", over="ignore"):
            raw = (values - self.offset) / self.scale
            rounded = raw if self._plain else np.rint(raw)
            # As floats the upper limits of 64 bits are one too many.
            fits = (rounded >= float(limits.min)) & (rounded < float(limits.max) + 1.0)
        bad = ~fits | (rounded != np.floor(rounded))
        made = np.where(bad, 0.0, rounded).astype(self.dtype)
        if self.missing is not None:
            bad |= made == self.missing
            gaps = np.isnan(values)
            made[gaps] = self.missing
            bad &= ~gaps
        whole[self.field] = made
        return _any(bad)

    def reason(self, shown: object) -> str:
        """It is out of range, or missing where nothing stands for missing."""
        if shown is None:
            return f"{self.name}: missing, and nothing in the layout stands for missing"
        return f"{self.name}: the number is out of range"


@dataclass(slots=True)
class Bits(Cell):
    """Some bits of a whole number: true or false if it is one, else a whole number."""

    low: int
    width: int

    def given(self) -> ColumnKind:
        """One bit is true or false."""
        return "bool" if self.width == 1 else "int"

    def read(self, whole: Array) -> tuple[Column, Bad]:
        """Shifted and masked."""
        raw = whole[self.field].astype(np.uint64) >> np.uint64(self.low)
        part = raw & np.uint64(2**self.width - 1)
        return part.astype(np.bool_ if self.width == 1 else np.int64), None

    def write(self, whole: Array, column: Column) -> Bad:
        """Added to the other bits of the number."""
        if isinstance(column, Strings) or _is_time(column):
            raise self.unlike(column)
        with np.errstate(invalid="ignore"):
            bad = ~((column >= 0) & (column < 2**self.width))
            bad |= column != np.floor(column) if column.dtype.kind == "f" else False
        part = np.where(bad, 0, column).astype(np.uint64) << np.uint64(self.low)
        whole[self.field] |= part.astype(whole.dtype[self.field])
        return _any(bad)

    def reason(self, shown: object) -> str:
        """It needs more bits."""
        return f"{self.name}: {shown} does not fit in {self.width} bits"


@dataclass(slots=True)
class Text(Cell):
    """Text of a fixed number of bytes, filled up with zeros; ``hex`` shows any bytes."""

    size: int
    hex: bool = False
    kind: ClassVar[ColumnKind] = "string"
    texts: Texts = field(default_factory=Texts)
    _known: Known | None = None

    def read(self, whole: Array) -> tuple[Column, Bad]:
        """What is not UTF-8 is bad; empty is missing."""
        self.texts.renew()
        if self._known is None or self._known.dictionary is not self.texts.dictionary:
            self._known = Known(self.texts, bytes.hex if self.hex else _text)
        raw: Sequence[bytes] = whole[self.field].tolist()
        codes = np.fromiter(map(self._known.__getitem__, raw), np.int32, len(raw))
        bad = codes == UNREADABLE
        if bad.any():
            self._known = None  # what cannot be read is not worth remembering
            return Strings(np.where(bad, MISSING, codes), self.texts.dictionary), bad
        return Strings(codes, self.texts.dictionary), None

    def write(self, whole: Array, column: Column) -> Bad:
        """Too many bytes are bad, and zeros within text."""
        if not isinstance(column, Strings):
            raise self.unlike(column)
        write = functools.partial(_hex_bytes if self.hex else _text_bytes, self.size)
        made = column.map(write, bytes(self.size) if not self.hex else None, object)
        bad = np.array([value is None for value in made.tolist()], np.bool_)
        made[bad] = bytes(self.size)
        whole[self.field] = np.array(made.tolist(), whole.dtype[self.field])
        return _any(bad)

    def reason(self, shown: object) -> str:
        """It does not fit, or is not text."""
        if shown is None:
            return f"{self.name}: {'missing' if self.hex else 'not UTF-8'}"
        what = f"{self.size} bytes as hex" if self.hex else f"text of {self.size} bytes"
        return f"{self.name}: {str(shown)[:40]!r} is not {what}"


def _text(raw: bytes) -> str | None:
    return raw.partition(b"\0")[0].decode() or None


def _text_bytes(size: int, text: str) -> bytes | None:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return None
    return raw if len(raw) <= size and b"\0" not in raw else None


def _hex_bytes(size: int, text: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return raw if len(raw) == size else None


def _is_time(column: Array) -> bool:
    return column.dtype.kind == "M"


def _any(bad: Bad) -> Bad:
    return bad if bad is not None and bad.any() else None
