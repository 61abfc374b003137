"""The values of an expression in one batch, and the form in which cells keep them.

A cell keeps a value of kind float as float64, of text as a Python string, of any other kind as
int64. Kinds only widen: bool, int, float; anything beside text becomes text.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.groups import Groups, grouped
from edgestream.aggregate.hashes import Hashes, TextHashes, of_numbers, of_texts
from edgestream.batch import MISSING, NAT, Array, Column, Strings, to_python
from edgestream.expr.values import number
from edgestream.schema import ColumnKind

_KINDS: dict[str, ColumnKind] = {"f": "float", "i": "int", "u": "int", "b": "bool", "M": "time"}
_WHOLE = np.iinfo(np.int64)
_EXACT, _END = 2.0**53, 2.0**63
_WIDTH: dict[ColumnKind, int] = {"bool": 0, "int": 1, "float": 2}


def kind_of(column: Column) -> ColumnKind:
    """The kind of a column that is there."""
    return "string" if isinstance(column, Strings) else _KINDS.get(column.dtype.kind, "any")


def join(one: ColumnKind, other: ColumnKind) -> ColumnKind:
    """The kind that holds values of both."""
    if other in (one, "any"):
        return one
    if one == "any":
        return other
    if "string" in (one, other):
        return "string"
    if "time" in (one, other):
        return "float"
    return one if _WIDTH[one] > _WIDTH[other] else other


def present(column: Column) -> NDArray[np.intp] | None:
    """The rows that hold a value; None stands for all, and is found without making a mask."""
    if isinstance(column, Strings):
        if column.codes.min() != MISSING:
            return None
        return np.flatnonzero(column.codes != MISSING)
    if column.dtype.kind == "f":
        # A sum is the cheapest test: it is NaN where any value is.
        total = np.add.reduce(column)
        return None if total == total else np.flatnonzero(column == column)
    if column.dtype.kind == "M":
        held = ~np.isnat(column)
        return None if held.all() else np.flatnonzero(held)
    return None


class Values:
    """The values that are there, in the order of their rows."""

    __slots__ = ("_groups", "_kept", "_numbers", "_texts", "column", "kind", "second")

    def __init__(
        self,
        column: Column,
        second: Array | None = None,
        texts: TextHashes | None = None,
    ) -> None:
        """Take a column without missing rows, and the numbers of a second expression."""
        self.column = column
        self.second = second
        self.kind = kind_of(column)
        self._texts = texts
        self._numbers: NDArray[np.float64] | None = None
        self._kept: tuple[ColumnKind, Array] | None = None
        self._groups: Groups | None = None

    def numbers(self) -> NDArray[np.float64]:
        """As float64."""
        if self._numbers is None:
            self._numbers = as_numbers(self.column)
        return self._numbers

    def kept(self, kind: ColumnKind) -> Array:
        """In the form in which cells keep values of ``kind``."""
        if self._kept is None or self._kept[0] != kind:
            self._kept = kind, keep(self.column, kind)
        return self._kept[1]

    def kept_like(self, kept: Array) -> Array:
        """In the form of what is kept: values of a narrower kind are widened as they come."""
        return self.kept(self._kind_like(kept))

    def hashes(self, kept: Array | None = None) -> Hashes:
        """One a value; as of the kind of what is kept, where something is."""
        if isinstance(self.column, Strings):
            return (self._texts or TextHashes()).of(self.column)
        if kept is not None and self._kind_like(kept) == "string":
            return of_texts(self.kept("string").tolist())
        return of_numbers(self.column)

    def groups(self, cells: NDArray[np.intp]) -> Groups:
        """The rows by cell; ``cells`` are those of all values."""
        if self._groups is None:
            self._groups = grouped(cells)
        return self._groups

    def _kind_like(self, kept: Array) -> ColumnKind:
        if kept.dtype == object:
            return "string"
        return "float" if kept.dtype == np.float64 else self.kind


def as_numbers(column: Column) -> NDArray[np.float64]:
    """A column as float64: text is read, true is 1, a time is its epoch seconds."""
    if not isinstance(column, Strings) and column.dtype == np.float64:
        return column
    return cast("NDArray[np.float64]", number(column).astype(np.float64))


def plain(column: Column) -> Array:
    """A column as numbers: whole ones as they are, all else as floats."""
    if not isinstance(column, Strings) and column.dtype == np.int64:
        return column
    return as_numbers(column)


def halves(numbers: Array) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Numbers as floats, and what rounding took from them; None where it took nothing.

    Compared in this order the two are as exact as the numbers, whole ones and others together.
    """
    floats = numbers.astype(np.float64)
    if numbers.dtype.kind != "i" or not (np.abs(floats) >= _EXACT).any():
        return floats, None
    above = floats >= _END  # 2**63, which no int64 holds
    whole = np.where(above, 0, floats).astype(np.int64)
    rest = np.where(above, numbers - _WHOLE.max - 1, numbers - whole)
    return floats, rest.astype(np.float64)


def keep(column: Column, kind: ColumnKind) -> Array:
    """A column in the form in which cells keep values of ``kind``."""
    if kind == "string":
        if isinstance(column, Strings):
            return column.to_array()
        out = np.empty(len(column), object)
        out[:] = [None if value is None else str(value) for value in to_python(column)]
        return out
    if kind in ("float", "any"):
        return as_numbers(column)
    plain = cast("Array", column)
    return (plain.astype("datetime64[us]") if kind == "time" else plain).astype(np.int64)


def blank(kind: ColumnKind) -> Array:
    """What a cell without a value keeps, as an array without dimensions."""
    if kind == "string":
        return np.array(None, object)
    if kind in ("float", "any"):
        return np.array(np.nan)
    return np.array(NAT if kind == "time" else 0, np.int64)


def to_column(kept: Array, kind: ColumnKind, held: NDArray[np.bool_]) -> Column:
    """Kept values as a column, missing where not ``held``; numbers then become float64."""
    if kind == "string":
        texts: list[Any] = kept.tolist()
        if not held.all():
            texts = [text if there else None for text, there in zip(texts, held, strict=True)]
        return Strings.of(texts)
    if kind == "time":
        return np.where(held, kept, NAT).astype(np.int64).view("datetime64[us]")
    if not held.all():
        return np.where(held, kept.astype(np.float64), np.nan)
    return kept.astype(np.bool_) if kind == "bool" else kept
