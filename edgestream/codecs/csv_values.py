"""The fields of lines of separated values as the values of a column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgestream.batch import Array
from edgestream.codecs.columns import Learnt, piece
from edgestream.codecs.literals import FLAGS, floats, ints, number, read


def value_of(column: Learnt, text: str) -> Any:
    """What a field stands for in its column."""
    if column.kind == "string":
        return text or None
    if column.kind in ("int", "float") or column.numeric:
        found = number(text)
        if found is not None:
            return found
    return read(text)


def array(column: Learnt, texts: Sequence[str]) -> Array | None:
    """The fields of a column at once, or None if any needs a look of its own."""
    if column.kind == "string":
        return piece(column, [text or None for text in texts])
    if column.kind == "float":
        return floats(texts)
    if column.kind == "int":
        return _ints(column, texts)
    if column.kind == "bool" and all(text in FLAGS for text in texts):
        return piece(column, [FLAGS[text] for text in texts])
    return None


def _ints(column: Learnt, texts: Sequence[str]) -> Array | None:
    if not column.nullable:
        return ints(texts)
    present = np.array([bool(text) for text in texts])
    found = ints([text for text in texts if text])
    if found is None:
        return None
    made = np.full(len(texts), math.nan)
    made[present] = found
    return made
