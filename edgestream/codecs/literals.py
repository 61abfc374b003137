"""Numbers, true and false written as text, as CSV and bare payloads hold them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Literal: TypeAlias = int | float | bool | str | None

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NUMERIC = b"0123456789+-.eE \t"
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


def _only_numeric(texts: Sequence[str]) -> bool:
    """Whether float and int read these texts as `number` does: no `1_000`, no `inf`."""
    text = "".join(texts)
    return text.isascii() and not text.encode().translate(None, _NUMERIC)


def floats(texts: Sequence[str]) -> NDArray[np.float64] | None:
    """Numbers as an array, NaN for empty texts; None if any text needs a closer look."""
    if not _only_numeric(texts):
        return None
    try:
        values = _decoded(list[float | None], texts)
        if values is None:
            values = [float(text) if text else None for text in texts]
    except ValueError:
        return None
    made = np.fromiter(values, np.float64, len(values))
    return None if np.isinf(made).any() else made


def ints(texts: Sequence[str]) -> NDArray[np.int64] | None:
    """Whole numbers as an array; None if any text needs a closer look."""
    if not _only_numeric(texts) or not all(texts):
        return None
    try:
        values = _decoded(list[int], texts) or list(map(int, texts))
        return np.fromiter(values, np.int64, len(texts))
    except (ValueError, OverflowError):
        return None


def _decoded(wanted: type[list[T]], texts: Sequence[str]) -> list[T] | None:
    """Numeric texts read as a JSON list: five times faster than ``float`` reads them.

    None where one is written as JSON does not write numbers.
    """
    parts = texts if all(texts) else [text or "null" for text in texts]
    try:
        values = msgspec.json.decode(f"[{','.join(parts)}]", type=wanted)
    except msgspec.DecodeError:
        return None
    return values if len(values) == len(texts) else None  # one blank makes an empty list
