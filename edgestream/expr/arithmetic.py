"""Numbers: what is missing stays missing, whole numbers never wrap around.

Where a whole result leaves 64 bits, and wherever a divisor is not a constant, the result is
float64. Division by zero gives inf or NaN. All functions run under ``np.errstate(all="ignore")``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from edgestream.batch import Array

_INT_MIN = np.iinfo(np.int64).min
_LIMIT = 2.0**63


def add(left: Array, right: Array) -> Array:
    """``left + right``."""
    made = left + right
    if made.dtype.kind == "i" and ((left ^ made) & (right ^ made) < 0).any():
        return _floats(left) + right
    return made


def subtract(left: Array, right: Array) -> Array:
    """``left - right``."""
    made = left - right
    if made.dtype.kind == "i" and ((left ^ right) & (left ^ made) < 0).any():
        return _floats(left) - right
    return made


def multiply(left: Array, right: Array) -> Array:
    """``left * right``."""
    made = left * right
    if made.dtype.kind == "i":
        wide = _floats(left) * right
        # What wrapped is off by a multiple of 2**64, far more than float64 rounds.
        if (np.abs(wide - made) > _LIMIT / 2).any():
            return wide
    return made


def divide(left: Array, right: Array) -> Array:
    """``left / right``, always float64."""
    return np.true_divide(left, right)


def floor_divide(left: Array, right: Array) -> Array:
    """``left // right``, rounding down."""
    if _whole_divisor(left, right):
        return negative(left) if right == -1 else left // right
    return np.floor_divide(_floats(left), _floats(right))


def remainder(left: Array, right: Array) -> Array:
    """``left % right``, with the sign of the divisor."""
    if _whole_divisor(left, right):
        return left % right
    return np.remainder(_floats(left), _floats(right))


def _whole_divisor(left: Array, right: Array) -> bool:
    """Whether both are whole and the divisor a constant that divides."""
    whole = left.dtype.kind == "i" and right.dtype.kind == "i"
    return whole and right.ndim == 0 and bool(right != 0)


def power(left: Array, right: Array) -> Array:
    """``left ** right``, always float64."""
    made = np.float_power(left, right)
    # IEEE has 1 ** NaN and NaN ** 0 be 1; a missing value stays missing here.
    return np.where((left != left) | (right != right), np.nan, made)


def negative(value: Array) -> Array:
    """``-value``."""
    if value.dtype.kind == "i" and (value == _INT_MIN).any():
        return -_floats(value)
    return -value


def absolute(value: Array) -> Array:
    """The distance from zero."""
    if value.dtype.kind == "i" and (value == _INT_MIN).any():
        return np.abs(_floats(value))
    return np.abs(value)


def rounded(value: Array, digits: Array | None = None) -> Array:
    """To ``digits`` after the point, half to even; negative digits stand before the point."""
    places = 0 if digits is None else int(digits)
    if value.dtype.kind == "i" and places >= 0:
        return value
    made = np.round(_floats(value), places)
    if value.dtype.kind == "i" and (np.abs(made) < _LIMIT).all():
        return made.astype(np.int64)
    # numpy multiplies by 10**places, which overflows for numbers that have no such digits.
    return np.where(np.isfinite(made), made, value)


def keeping_whole(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """A rounding function that leaves whole numbers alone."""
    return lambda value: value if value.dtype.kind == "i" else cast("Array", function(value))


def floating(function: Callable[..., Any]) -> Callable[..., Array]:
    """A numpy function of float64."""
    return lambda *values: cast("Array", function(*map(_floats, values)))


def smallest(*values: Array) -> Array:
    """The least of each row; missing where one is."""
    made = values[0]
    for value in values[1:]:
        made = np.minimum(made, value)
    return made


def largest(*values: Array) -> Array:
    """The greatest of each row; missing where one is."""
    made = values[0]
    for value in values[1:]:
        made = np.maximum(made, value)
    return made


def clamp(value: Array, low: Array, high: Array) -> Array:
    """Held between two bounds; the upper one wins where they cross."""
    return np.minimum(np.maximum(value, low), high)


def is_finite(value: Array) -> Array:
    """Whether it is a number, neither missing nor infinite."""
    return np.isfinite(value)


def _floats(value: Array) -> Array:
    return value.astype(np.float64, copy=False)
