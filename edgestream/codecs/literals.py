"""Numbers, true and false written as text, as CSV and bare payloads hold them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Literal: TypeAlias = int | float | bool | str | None

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_NUMERIC = re.compile(r"[^0-9+\-.eE \t]")
_LONGEST = 400
FLAGS: dict[str, bool | None] = {
    "": None,
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
"""What stands for true and false, and for missing."""


def read(text: str) -> Literal:
    """What a field stands for: empty and NaN are missing, `007` is text."""
    bare = text.strip()
    if not bare or bare in ("nan", "NaN", "NAN"):
        return None
    if _INT.fullmatch(bare) and len(bare) <= _LONGEST:
        return int(bare)
    if bare in FLAGS:
        return FLAGS[bare]
    leading_zero = bare.lstrip("+-")[:2].isdigit() and bare.lstrip("+-")[0] == "0"
    if _FLOAT.fullmatch(bare) and not leading_zero:
        return float(bare)
    return text


def number(text: str) -> int | float | None:
    """A number however it is written, or None; infinite where it is too large for a float."""
    bare = text.strip()
    if not _FLOAT.fullmatch(bare):
        return None
    digits = bare.lstrip("+-")
    return int(bare) if digits.isdigit() and len(digits) <= _LONGEST else float(bare)


def floats(texts: Sequence[str]) -> NDArray[np.float64] | None:
    """Numbers as an array, NaN for empty texts; None if any text needs a closer look."""
    if _NOT_NUMERIC.search("".join(texts)):
        return None
    try:
        made = np.fromiter([float(text) if text else math.nan for text in texts], np.float64)
    except ValueError:
        return None
    infinite = bool(np.isinf(made).any())
    return None if infinite else made


def ints(texts: Sequence[str]) -> NDArray[np.int64] | None:
    """Whole numbers as an array; None if any text needs a closer look."""
    if _NOT_NUMERIC.search("".join(texts)):
        return None
    try:
        return np.fromiter(map(int, texts), np.int64, len(texts))
    except (ValueError, OverflowError):
        return None
