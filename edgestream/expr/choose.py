"""``if`` and ``coalesce``: one of several values, row by row."""

from __future__ import annotations

from typing import cast

import numpy as np

from edgestream.batch import Array, Strings
from edgestream.expr.strings import shared
from edgestream.expr.values import NOT_A_TIME, Value, missing, number


def select(condition: Array, yes: Value, no: Value) -> Value:
    """``yes`` where the condition is true, else ``no``; both of one kind."""
    if isinstance(yes, Strings | str) or isinstance(no, Strings | str):
        texts = (cast("Strings | str | None", yes), cast("Strings | str | None", no))
        if condition.ndim == 0:
            return texts[0] if condition else texts[1]
        (left, right), dictionary = shared(texts)
        return Strings(np.where(condition, left, right), dictionary)
    return np.where(condition, _filled(yes, no), _filled(no, yes))


def _filled(value: Value, other: Value) -> Array:
    """An array; None becomes what is missing beside ``other``."""
    if isinstance(value, np.ndarray | np.generic):
        beside_none = other is None and value.dtype.kind == "b"
        return number(value) if beside_none else value
    times = isinstance(other, np.ndarray | np.generic) and other.dtype.kind == "M"
    return np.asarray(NOT_A_TIME if times else np.nan)


def coalesce(*values: Value) -> Value:
    """The first value that is not missing."""
    made = values[0]
    for value in values[1:]:
        made = select(missing(made), value, made)
    return made
