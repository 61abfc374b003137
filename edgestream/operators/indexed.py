"""A table in memory: the rows that have some keys, and their columns with a row of missing values.

Numbers are compared as numbers and text as text; a number in the stream also finds a key that is
written as its text, and the other way round.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array, Column, Strings
from edgestream.schema import ColumnKind
from edgestream.tables.table import Cell, Cells

Rows = NDArray[np.int64]
_NONE = -1
_LONG = 2**63


class Indexed:
    """Rows by key; of rows with the same key the last one counts."""

    def __init__(self, cells: Cells, keys: Sequence[str]) -> None:
        """Index ``cells`` by the columns ``keys``, which are there."""
        self.columns = {name: _typed(values) for name, values in cells.items()}
        self._keys = [_Key(cells[name]) for name in keys]
        self._pairs: list[Rows] = []
        codes = self._keys[0].codes
        for key in self._keys[1:]:
            packed = _packed(codes, key.codes, key.count)
            self._pairs.append(np.unique(packed[packed >= 0]))
            codes = _position(self._pairs[-1], packed)
        self._rows = np.full(int(codes.max(initial=_NONE)) + 1, _NONE)
        known = np.flatnonzero(codes >= 0)
        self._rows[codes[known]] = known  # the last write stays

    def find(self, columns: Sequence[Column | None], rows: int) -> Rows:
        """The row of the table for each of ``rows`` rows by their key columns; −1 is none."""
        if any(column is None for column in columns) or not len(self._rows):
            return np.full(rows, _NONE)
        codes, *others = (
            key.find(column)
            for key, column in zip(self._keys, columns, strict=True)
            if column is not None
        )
        for key, code, pairs in zip(self._keys[1:], others, self._pairs, strict=True):
            codes = _position(pairs, _packed(codes, code, key.count))
        return np.where(codes >= 0, self._rows[codes], _NONE)


def _packed(one: Rows, other: Rows, count: int) -> Rows:
    """Two codes as one number; −1 where either is."""
    return np.where((one >= 0) & (other >= 0), one * count + other, _NONE)


def _position(known: Array, wanted: Array) -> Rows:
    """Where numbers stand among those ``known``, which are sorted; −1 is nowhere."""
    if not len(known):
        return np.full(len(wanted), _NONE)
    at = np.searchsorted(known, wanted)
    at[at == len(known)] = 0
    return np.where(known[at] == wanted, at, _NONE)


class _Key:
    """One key column: its values as 0, 1, 2, …"""

    def __init__(self, values: Sequence[Cell]) -> None:
        self._texts: dict[str, int] = {}
        whole: dict[int, int] = {}
        floats: dict[float, int] = {}
        codes = []
        for value in values:
            text = _text(value)
            if text is None:
                codes.append(_NONE)
                continue
            code = self._texts.setdefault(text, len(self._texts))
            codes.append(code)
            number = _number(value)
            if isinstance(number, int):
                whole[number] = code
            if number is not None:
                floats[float(number)] = code
        self.codes: Rows = np.array(codes, np.int64)
        self.count = len(self._texts)
        self._whole = _sorted(whole, np.int64)
        self._floats = _sorted(floats, np.float64)

    def find(self, column: Column) -> Rows:
        """The code of each value; −1 where there is none."""
        if isinstance(column, Strings):
            get = self._texts.get
            return column.map(lambda text: get(text, _NONE), _NONE, np.int64)
        if column.dtype.kind == "M":
            return np.full(len(column), _NONE)
        known, codes = self._floats if column.dtype.kind == "f" else self._whole
        if column.dtype.kind == "b":
            column = column.astype(np.int64)
        at = _position(known, column)
        return np.where(at >= 0, codes[at], _NONE) if len(codes) else at


def _sorted(numbers: Mapping[int, int] | Mapping[float, int], dtype: type) -> tuple[Array, Rows]:
    known: Array = np.array(list(numbers), dtype)
    order = np.argsort(known)
    return known[order], np.array(list(numbers.values()), np.int64)[order]


def _text(value: Cell) -> str | None:
    """A key as text: ``7`` for 7 and 7.0, ``true`` for True."""
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _LONG:
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value)


def _number(value: Cell) -> int | float | None:
    """A key as a number, also of a text that is written as one."""
    if isinstance(value, str):
        try:
            number = float(value) if value.strip() == value else None
        except ValueError:
            return None
        if number is None or not math.isfinite(number) or _text(number) != value:
            return None
        value = number
    if value is None or isinstance(value, dt.datetime):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if not isinstance(value, int) or abs(value) < _LONG else float(value)


@dataclass(frozen=True, slots=True)
class Typed:
    """A column of a table, with one row more after the last.

    In ``optional`` that row is missing, so that a position of −1 gives a missing value.
    """

    kind: ColumnKind
    column: Column
    optional: Column


def _typed(values: Sequence[Cell]) -> Typed:
    """A column of the narrowest kind that holds all values; one without values is ``any``."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {dt.datetime}:
        times = np.array([*map(_moment, values), None], "datetime64[us]")
        return Typed("time", times, times)
    numbers = kinds <= {bool, int, float}
    if not numbers or not kinds:
        texts = Strings.of([*map(_text, values), None])
        return Typed("string" if kinds else "any", texts, texts)
    floats = np.array([_float(value) for value in [*values, None]])
    if len(kinds) == 1 and None not in values:
        if bool in kinds:
            return Typed("bool", np.array([*values, False], np.bool_), floats)
        if int in kinds and all(isinstance(value, int) and abs(value) < _LONG for value in values):
            return Typed("int", np.array([*values, 0], np.int64), floats)
    return Typed("float", floats, floats)


def _moment(value: Cell) -> dt.datetime | None:
    """A time as numpy takes it: without a zone, which is UTC."""
    assert isinstance(value, dt.datetime | None)
    if value is None or value.tzinfo is None:
        return value
    return value.astimezone(dt.UTC).replace(tzinfo=None)


def _float(value: Cell) -> float:
    return math.nan if value is None or isinstance(value, dt.datetime) else float(value)
