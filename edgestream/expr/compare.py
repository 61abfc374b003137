"""Comparisons, membership and tests for missing: a comparison with a missing value is false."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from edgestream.batch import Array, Strings
from edgestream.expr.strings import Text, aligned, spread
from edgestream.expr.values import Value, missing, number, text

_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
NOWHERE = np.asarray(False)


def comparison(symbol: str) -> Callable[[Value, Value], Array]:
    """The function behind ``<``, ``==``, …; both sides must be of one kind."""
    order = _ORDER[symbol]
    unequal = symbol == "!="

    def compare(left: Value, right: Value) -> Array:
        if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
            made = order(left, right)
            # NaN and NaT differ from everything; every other comparison with them is false.
            return cast("Array", made & _present(left) & _present(right) if unequal else made)
        return _compare_any(symbol, left, right)

    return compare


def _compare_any(symbol: str, left: Value, right: Value) -> Array:
    if left is None or right is None:
        return NOWHERE
    if isinstance(left, Strings | str) and isinstance(right, Strings | str):
        return _compare_text(symbol, left, right)
    made = np.asarray(_ORDER[symbol](left, right))
    return made & _present(left) & _present(right)


def _present(value: Value) -> Array:
    return ~missing(value)


def _compare_text(symbol: str, left: Strings | str, right: Strings | str) -> Array:
    order = _ORDER[symbol]
    if isinstance(left, str) and isinstance(right, str):
        return np.asarray(order(left, right))
    if isinstance(left, str):
        return _compare_text(_TURNED.get(symbol, symbol), right, left)
    if isinstance(right, str):
        if symbol not in ("==", "!="):
            return spread(left, lambda own: order(own, right), False, np.bool_)
        code = left.dictionary.code(right)
        return cast("Array", order(left.codes, code) & (left.codes >= 0))
    if left.dictionary is right.dictionary and symbol in ("==", "!="):
        mine, theirs = left.codes, right.codes
    else:
        mine, theirs = aligned(left, right)
    return cast("Array", order(mine, theirs) & (mine >= 0) & (theirs >= 0))


def within(value: Value, *choices: Value) -> Array:
    """Whether a value is one of the choices, all constants of one kind."""
    if value is None:
        return NOWHERE
    if isinstance(choices[0], str):
        return _within_texts(text(value), cast("tuple[str, ...]", choices))
    numbers = np.array([number(choice)[()] for choice in choices])
    return np.asarray(np.isin(number(value), numbers))


def _within_texts(value: Text, choices: tuple[str, ...]) -> Array:
    if not isinstance(value, Strings):
        return np.asarray(value in choices)
    codes = [value.dictionary.code(choice) for choice in choices]
    known = np.array([code for code in codes if code >= 0], np.int32)
    return np.asarray(np.isin(value.codes, known))


def outside(value: Value, *choices: Value) -> Array:
    """Whether a value is present and none of the choices."""
    return ~within(value, *choices) & _present(value)


def present(value: Value) -> Array:
    """Whether a value is not missing."""
    return _present(value)
