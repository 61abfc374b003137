"""Columns of a batch as values for PostgreSQL, and which rows do not fit: pure functions.

A value is never bent to fit: where a column of the table cannot hold it exactly, its row is
refused with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

import edgestream as es

Kind: TypeAlias = Literal["float", "int", "bool", "string", "time"]
Mask: TypeAlias = NDArray[np.bool_]

TYPES: Mapping[Kind, str] = {
    "float": "double precision",
    "int": "bigint",
    "bool": "boolean",
    "string": "text",
    "time": "timestamp with time zone",
}
"""The type a column is created with."""
INTEGERS: Mapping[str, int] = {"smallint": 15, "integer": 31, "bigint": 63}
FLOATS: Mapping[str, int] = {"real": 24, "double precision": 53}
TEXTS = frozenset({"text", "character varying", "character"})
_TIMES = frozenset({"timestamp with time zone", "timestamp without time zone", "date"})
_KINDS: Mapping[str, Kind] = {"f": "float", "i": "int", "b": "bool", "M": "time"}

_NAME = re.compile(r"[^\W\d][\w .:/%°+-]*")
_SYSTEM = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
_LONGEST_NAME = 63
_EPOCH_2000 = 946_684_800_000_000
_FIRST_TIME = -210_866_803_200_000_000
"""The first microsecond that PostgreSQL can hold: 4713 BC."""


def usable(name: str) -> bool:
    """Whether a name may become a table or column (it is quoted all the same)."""
    fits = len(name.encode("utf-8", "replace")) <= _LONGEST_NAME
    return fits and _NAME.fullmatch(name) is not None and name not in _SYSTEM


def quote(name: str) -> str:
    """A name as an identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def kind_of(column: es.Column) -> Kind:
    """What a column holds."""
    return "string" if isinstance(column, es.Strings) else _KINDS[column.dtype.kind]


def values_of(column: es.Column) -> list[Any]:
    """A column as the driver takes it: None where missing, times in µs since 2000."""
    if isinstance(column, es.Strings) or column.dtype.kind != "M":
        return es.to_python(column)
    micros = column.astype("datetime64[us]").astype(np.int64)
    shifted = (np.maximum(micros, _FIRST_TIME) - _EPOCH_2000).tolist()
    gaps = np.isnat(column).tolist()
    return [None if gap else value for value, gap in zip(shifted, gaps, strict=True)]


def missing(column: es.Column) -> Mask:
    """The rows without a value."""
    if isinstance(column, es.Strings):
        return column.codes < 0
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "M":
        return np.isnat(column)
    return np.zeros(len(column), np.bool_)


def misfits(column: es.Column, pg_type: str) -> tuple[Mask, str]:
    """The rows whose value a column of ``pg_type`` cannot hold exactly, and why."""
    if isinstance(column, es.Strings):
        bad = column.map(_no_text, missing=False, dtype=np.bool_)
        return bad.astype(np.bool_), "PostgreSQL holds no text with a NUL or half a surrogate"
    if column.dtype.kind == "M":
        early = column.astype("datetime64[us]").astype(np.int64) < _FIRST_TIME
        if pg_type in _TIMES:
            return early & ~missing(column), "PostgreSQL holds no time before 4713 BC"
    kind = kind_of(column)
    if pg_type in TEXTS or pg_type == TYPES[kind]:
        return np.zeros(len(column), np.bool_), ""
    if kind == "float" and pg_type in INTEGERS:
        return _no_integer(
            column, INTEGERS[pg_type]
        ), f"it is no whole number that a {pg_type} holds"
    if kind == "int" and pg_type in FLOATS:
        bits = FLOATS[pg_type]
        return np.abs(column) > 2**bits, f"a {pg_type} would lose digits of it"
    if kind == "int" and pg_type in INTEGERS:
        limit = 2 ** INTEGERS[pg_type]
        return (column < -limit) | (column >= limit), f"it is too large for a {pg_type}"
    if kind in ("int", "float") and pg_type in ("numeric", "real"):
        return np.zeros(len(column), np.bool_), ""
    return ~missing(column), f"a {pg_type} holds no {_WORDS[kind]}"


_WORDS: Mapping[Kind, str] = {
    "float": "number with a fraction",
    "int": "whole number",
    "bool": "true or false",
    "string": "text",
    "time": "time",
}


def _no_text(text: str) -> bool:
    if "\0" in text:
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _no_integer(column: es.Array, bits: int) -> Mask:
    with np.errstate(invalid="ignore"):
        whole: Mask = (column == np.floor(column)) & (np.abs(column) < 2.0**bits)
    bad: Mask = ~(whole | np.isnan(column))
    return bad
