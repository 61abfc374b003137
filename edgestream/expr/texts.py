"""Functions of text, each run once per distinct string."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgestream.batch import Array, Strings
from edgestream.expr.strings import Text, bounded, change, distinct, gather, pairs
from edgestream.expr.values import whole


def lower(text: Text) -> Text:
    """In small letters."""
    return change(text, str.lower)


def upper(text: Text) -> Text:
    """In capitals."""
    return change(text, str.upper)


def length(text: Text) -> Array:
    """How many characters."""
    if not isinstance(text, Strings):
        return np.asarray(np.nan if text is None else len(text))
    texts, rows = distinct(text)
    lengths = np.array([0 if t is None else len(t) for t in texts], np.int64)
    return whole(lengths[rows], text.codes < 0)


def tested(function: Callable[[str, str], bool]) -> Callable[[Text, Text], Array]:
    """A test of two texts; false where one is missing."""

    def run(left: Text, right: Text) -> Array:
        results, rows = pairs(left, right, function, False)
        return np.asarray(np.array(results, np.bool_)[rows])

    return run


def concat(*texts: Text) -> Text:
    """Texts joined; missing where one is."""
    made = texts[0]
    for text in texts[1:]:
        results, rows = pairs(made, text, lambda a, b: bounded(a + b), None)
        made = gather(results, rows) if rows.ndim else results[0]
    return made
