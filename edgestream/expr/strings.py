"""Work on text columns by their distinct strings: a function never runs once per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import MISSING, Array, Dictionary, Strings

Text: TypeAlias = Strings | str | None
"""A column of text, one text for all rows, or missing in all rows."""

LONGEST_RESULT = 65_536
"""A text computed longer than this is missing: a pipeline cannot blow up by joining texts."""


def distinct(strings: Strings) -> tuple[list[str | None], NDArray[np.intp]]:
    """The strings in use (None for missing) and each row's position among them."""
    values = strings.dictionary.values
    codes = strings.codes
    size = len(values) + 1
    if size > 4 * len(codes) + 64:
        found, rows = np.unique(codes, return_inverse=True)
        used = found.astype(np.intp)
    else:
        # Code −1 marks the last slot; without a sort this is four times faster than np.unique.
        seen = np.zeros(size, np.bool_)
        seen[codes] = True
        used = np.flatnonzero(seen)
        positions = np.empty(size, np.intp)
        positions[used] = np.arange(len(used))
        rows = positions[codes]
        used[used == size - 1] = MISSING
    return [None if code < 0 else values[code] for code in used.tolist()], rows


def spread(strings: Strings, function: Callable[[str], Any], missing: Any, dtype: Any) -> Array:
    """One value a row, computed once per distinct string."""
    texts, rows = distinct(strings)
    table = np.empty(len(texts), dtype)
    table[:] = [missing if text is None else function(text) for text in texts]
    return table[rows]


def change(text: Text, function: Callable[[str], str]) -> Text:
    """Each text replaced by what a function makes of it."""
    if text is None:
        return None
    if isinstance(text, str):
        return bounded(function(text))
    texts, rows = distinct(text)
    return gather([None if t is None else bounded(function(t)) for t in texts], rows)


def gather(texts: Sequence[str | None], rows: Array) -> Strings:
    """A column from a list of strings and each row's position in it."""
    dictionary = Dictionary()
    return Strings(dictionary.encode(texts)[rows], dictionary)


def bounded(text: str) -> str | None:
    """The text, or missing where it is too long."""
    return text if len(text) <= LONGEST_RESULT else None


def pairs(left: Text, right: Text, function: Callable[[str, str], Any], missing: Any) -> Any:
    """A list of results, one per pair of strings in use, and each row's position in it.

    Where neither side is a column the positions have no dimension.
    """
    lefts, left_rows = _listed(left)
    rights, right_rows = _listed(right)
    both = left_rows * len(rights) + right_rows
    used, rows = np.unique(both, return_inverse=True)
    results = []
    for pair in used.tolist():
        a, b = lefts[pair // len(rights)], rights[pair % len(rights)]
        results.append(missing if a is None or b is None else function(a, b))
    return results, rows.reshape(both.shape)


def _listed(text: Text) -> tuple[Sequence[str | None], Array]:
    if isinstance(text, Strings):
        return distinct(text)
    return [text], np.zeros((), np.intp)


def aligned(left: Strings, right: Strings) -> tuple[Array, Array]:
    """Numbers that order and equal as the strings do; missing is −1."""
    lefts, left_rows = distinct(left)
    rights, right_rows = distinct(right)
    present = sorted({text for text in (*lefts, *rights) if text is not None})
    ranks: dict[str | None, int] = {text: rank for rank, text in enumerate(present)}
    ranks[None] = MISSING
    return (
        np.array([ranks[text] for text in lefts], np.int64)[left_rows],
        np.array([ranks[text] for text in rights], np.int64)[right_rows],
    )


def shared(columns: Sequence[Text]) -> tuple[list[Array], Dictionary]:
    """The codes of several texts in one dictionary; those of the first column where it serves."""
    first = next((text.dictionary for text in columns if isinstance(text, Strings)), None)
    if first is not None and all(_within(text, first) for text in columns):
        return [_codes_in(text, first) for text in columns], first
    dictionary = Dictionary()
    codes: list[Array] = []
    for text in columns:
        texts, rows = _listed(text)
        codes.append(dictionary.encode(texts)[rows])
    return codes, dictionary


def _within(text: Text, dictionary: Dictionary) -> bool:
    if isinstance(text, Strings):
        return text.dictionary is dictionary
    return text is None or dictionary.code(text) != MISSING


def _codes_in(text: Text, dictionary: Dictionary) -> Array:
    if isinstance(text, Strings):
        return text.codes
    return np.asarray(MISSING if text is None else dictionary.code(text), np.int32)
