"""What expressions compute with, and how one kind of value is read as another.

A value is an array of n rows, an array without dimensions that stands for all rows, `Strings`, one
text for all rows, or None: missing in every row. Readings never fail: what cannot be read is
missing. They are needed only where the kind of a column is not known before data comes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias, cast

import numpy as np

from edgestream.batch import Array, Column, Strings, as_column, to_datetime64
from edgestream.expr.strings import Text, spread

Value: TypeAlias = Array | Strings | str | None
Reading: TypeAlias = Callable[[Value], Value]

NOT_A_TIME = np.datetime64("NaT", "us")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LAST_SECOND = 253_402_300_800.0
"""The end of the year 9999: numbers beyond it are no times."""


def to_value(plain: float | int | bool | str | None) -> Value:
    """A constant as a value."""
    if plain is None or isinstance(plain, str):
        return plain
    return np.asarray(plain, {bool: np.bool_, int: np.int64, float: np.float64}[type(plain)])


def to_column(value: Value, rows: int, text: bool) -> Column:
    """A value as a column of ``rows`` rows; ``text`` says what missing everywhere looks like."""
    if value is None:
        return Strings.of([None] * rows) if text else np.full(rows, math.nan)
    if isinstance(value, str):
        constant = Strings.of([value])
        return constant[np.zeros(rows, np.intp)]
    if isinstance(value, Strings):
        return value
    if value.ndim == 0:
        return np.full(rows, value)
    return value if _is_column(value) else as_column(value)


def _is_column(array: Array) -> bool:
    kind = array.dtype.kind
    return kind == "b" or (kind in "fi" and array.dtype.itemsize == 8) or array.dtype == "<M8[us]"


def number(value: Value) -> Array:
    """As float64 or int64: text is read, true is 1, a time is its epoch seconds."""
    if isinstance(value, Strings):
        return spread(value, parse_number, math.nan, np.float64)
    if value is None:
        return np.asarray(math.nan)
    if isinstance(value, str):
        return np.asarray(parse_number(value))
    kind = value.dtype.kind
    if kind in "fi":
        return value if value.dtype.itemsize == 8 else cast("Array", as_column(value))
    if kind == "b":
        return value.astype(np.int64)
    if kind == "M":
        return seconds(value)
    return value.astype(np.float64)


def floats(value: Value) -> Array:
    """As float64."""
    return number(value).astype(np.float64, copy=False)


def parse_number(text: str) -> float:
    """The number a text holds, NaN where it holds none."""
    text = text.strip(" \t\r\n")
    if _NUMBER.fullmatch(text) is None:
        return math.nan
    value = float(text)
    return value if math.isfinite(value) else math.nan


def flags(value: Value) -> Array:
    """As true and false, or as 1, 0 and NaN where some are missing."""
    if value is None:
        return np.asarray(math.nan)
    if isinstance(value, str):
        return np.asarray(_parse_flag(value))
    if isinstance(value, Strings):
        return spread(value, _parse_flag, math.nan, np.float64)
    if value.dtype.kind == "b":
        return value
    numbers = number(value)
    return np.where(missing(numbers), np.nan, numbers != 0)


def _parse_flag(text: str) -> float:
    return {"true": 1.0, "false": 0.0}.get(text, math.nan)


def truth(value: Value) -> Array:
    """True where a value is true; missing is false."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        return value
    made = flags(value)
    return made if made.dtype.kind == "b" else cast("Array", made == 1)


def moment(value: Value) -> Array:
    """As ``datetime64[us]``: text is read as ISO 8601, a number as epoch seconds."""
    if value is None:
        return np.asarray(NOT_A_TIME)
    if isinstance(value, str):
        return np.asarray(parse_moment(value))
    if isinstance(value, Strings):
        return spread(value, parse_moment, NOT_A_TIME, "datetime64[us]")
    if value.dtype.kind == "M":
        return value.astype("datetime64[us]", copy=False)
    given = floats(value)
    real = np.abs(given) < _LAST_SECOND
    micros = np.rint(np.where(real, given, 0) * 1e6).astype(np.int64)
    return np.where(real, micros.astype("datetime64[us]"), NOT_A_TIME)


def parse_moment(text: str) -> np.datetime64:
    """The time a text holds (ISO 8601; UTC unless it says otherwise), NaT where it holds none."""
    try:
        return to_datetime64(datetime.fromisoformat(text.strip(" \t\r\n")))
    except (ValueError, OverflowError):
        return NOT_A_TIME


def seconds(times: Array) -> Array:
    """Epoch seconds of times."""
    micros = times.astype("datetime64[us]").astype(np.int64)
    return np.where(np.isnat(times), np.nan, micros / 1e6)


def text(value: Value) -> Text:
    """As text: each distinct value is written once."""
    if value is None or isinstance(value, str | Strings):
        return value
    kind = value.dtype.kind
    if kind == "b":
        made: list[str | None] = ["false", "true"]
        return _written(made, value.astype(np.intp))
    distinct, rows = np.unique(value, return_inverse=True)
    rows = rows.reshape(value.shape)
    if kind == "M":
        return _written([show_moment(time) for time in distinct], rows)
    return _written([show_number(plain) for plain in distinct.tolist()], rows)


def _written(texts: Sequence[str | None], rows: Array) -> Text:
    if rows.ndim == 0:
        return texts[int(rows)]
    return Strings.of(texts)[rows]


def show_number(plain: float | int) -> str | None:
    """A number as text: 21.5, 42 (for 42.0 too), 1e+20, inf; None for NaN."""
    if plain != plain:
        return None
    if isinstance(plain, float) and abs(plain) < 1e15 and plain == int(plain):
        return str(int(plain))
    return repr(plain)


def show_moment(time: np.datetime64) -> str | None:
    """A time as ISO 8601 in UTC with as many digits of the second as it has; None for NaT."""
    if np.isnat(time):
        return None
    whole = str(np.datetime_as_string(time, unit="us"))
    return whole.rstrip("0").rstrip(".") + "Z" if "." in whole else whole + "Z"


def missing(value: Value) -> Array:
    """Where a value is missing; without dimensions where that is so in all rows or none."""
    if value is None or isinstance(value, str):
        return np.asarray(value is None)
    if isinstance(value, Strings):
        return cast("Array", value.codes < 0)
    if value.dtype.kind == "f":
        return cast("Array", value != value)
    if value.dtype.kind == "M":
        return np.isnat(value)
    return np.asarray(False)


def alike(values: Sequence[Value], mixed_as: Reading) -> list[Value]:
    """Values of one kind, as they are; of several kinds, all as ``mixed_as`` reads them."""
    kinds = {_kind(value) for value in values if value is not None}
    if kinds <= {"number"} or kinds <= {"text"} or kinds <= {"time"} or kinds <= {"flag"}:
        return list(values)
    if kinds == {"time", "text"} and mixed_as is not text:
        return [moment(value) for value in values]
    return [mixed_as(value) for value in values] if "text" in kinds else list(map(number, values))


def _kind(value: Value) -> str:
    if isinstance(value, Strings | str):
        return "text"
    assert value is not None
    return {"M": "time", "b": "flag"}.get(value.dtype.kind, "number")


def whole(numbers: Array, gaps: Array) -> Array:
    """Whole numbers as int64, or as float64 where some rows are missing."""
    return np.where(gaps, np.nan, numbers) if gaps.any() else numbers
