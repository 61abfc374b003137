"""Values of one column for each key, whatever their kind, as whole numbers.

Numbers are kept by their bits, times by their microseconds, and texts by numbers of their own, so
that nothing depends on the dictionary a text came with. `NAT` is missing. Two values are equal
where their numbers are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.values import as_numbers, join, keep, kind_of, to_column
from edgestream.batch import MISSING, NAT, Array, Column, Dictionary, Strings
from edgestream.schema import ColumnKind
from edgestream.window.keys import TextKeys
from edgestream.window.stored import stored, within

Bits: TypeAlias = NDArray[np.int64]
_EXACT = 2.0**53
_FEW_TEXTS = 1024
_MANY = 4
"""Texts are tidied up once there are so many times those that can be in use."""


class Kept:
    """What is remembered of a column: ``values`` has a row a slot, ``width`` values long."""

    def __init__(self, width: int = 0) -> None:
        """Start without slots; ``width`` 0 is one value a slot."""
        self.kind: ColumnKind = "any"
        self.values: Bits = np.zeros((0, width) if width else 0, np.int64)
        self._texts = TextKeys()

    @property
    def nbytes(self) -> int:
        """The bytes held; texts are reckoned."""
        return self.values.nbytes + self._texts.nbytes

    def bits(self, column: Column | None, rows: int) -> Bits:
        """A column as what is kept; a column that is not there is missing in all rows."""
        if column is None or not rows:
            return np.full(rows, NAT)
        wider = join(self.kind, _kind_beside(column, self.kind))
        if wider != self.kind:
            old = self.column(self.values.reshape(-1))
            self.kind = wider
            self.values = self._encode(old).reshape(self.values.shape)
        return self._encode(column)

    def column(self, bits: Bits) -> Column:
        """What is kept as a column; numbers become floats where some are missing."""
        held = bits != NAT
        if self.kind == "string":
            if not held.any():
                return Strings(np.full(len(bits), MISSING, np.int32), Dictionary())
            found = self._texts.take(np.where(held, bits, 0))
            codes = np.where(held, found.codes, MISSING).astype(np.int32)
            return Strings(codes, found.dictionary)
        if self.kind in ("float", "any"):
            return np.where(held, bits.view(np.float64), np.nan)
        return to_column(bits, self.kind, held)

    def grow(self, slots: int) -> None:
        """Add slots without values."""
        more = np.full((slots - len(self.values), *self.values.shape[1:]), NAT)
        self.values = np.concatenate([self.values, more])

    def tidy(self) -> None:
        """Forget texts that no slot holds, once they are many."""
        if len(self._texts) <= max(_FEW_TEXTS, _MANY * self.values.size):
            return
        held = self.values != NAT
        used, numbers = np.unique(self.values[held], return_inverse=True)
        self._texts = self._texts.only(used)
        self.values[held] = numbers

    def save(self, slots: int) -> tuple[dict[str, Any], Bits]:
        """A JSON value and an array, of the first slots, that `load` understands."""
        texts = list(self._texts.texts) if self.kind == "string" else []
        return {"kind": self.kind, "texts": texts}, self.values[:slots].copy()

    def load(self, meta: Mapping[str, Any], values: Array, slots: int) -> None:
        """Become what gave these to `save`."""
        self.kind, self._texts = meta["kind"], TextKeys(meta["texts"])
        self.values = stored(values, np.int64, slots, *self.values.shape[1:])
        if self.kind == "string":
            within(self.values[self.values != NAT], len(self._texts))

    def _encode(self, column: Column) -> Bits:
        kind = self.kind
        if not len(column):
            return np.zeros(0, np.int64)
        if kind == "string":
            if not isinstance(column, Strings):
                column = Strings.of(keep(column, "string").tolist())
            numbers = self._texts.numbers(column)
            return np.where(column.codes == MISSING, NAT, numbers)
        if kind in ("float", "any"):
            floats = as_numbers(column) + 0.0  # −0.0 is 0.0
            return np.where(floats == floats, floats.view(np.int64), NAT)
        plain = cast("Array", column)
        if plain.dtype.kind == "f":
            missing = plain != plain
            return np.where(missing, NAT, np.where(missing, 0.0, plain).astype(np.int64))
        return keep(plain, kind)


def _kind_beside(column: Column, kept: ColumnKind) -> ColumnKind:
    """The kind of a column beside values of kind ``kept``.

    Whole numbers and times among which some are missing may come as floats; so does a column of
    which nothing is there. They stay what they were.
    """
    kind = kind_of(column)
    if kind != "float" or kept == "float":
        return kind
    plain = cast("Array", column)
    there = plain[plain == plain]
    if not len(there):
        return kept
    whole = (there == np.floor(there)) & (np.abs(there) < _EXACT)
    return kept if kept in ("bool", "int") and _fits(there, kept) and whole.all() else kind


def _fits(there: Array, kept: ColumnKind) -> bool:
    return kept == "int" or bool(((there == 0) | (there == 1)).all())
