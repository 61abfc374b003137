"""What a scalar of a pipeline file stands for: the YAML 1.2 core schema, made stricter.

`NO`, `on`, `1_000` and `12:30` are text. What would be read in two ways is refused: numbers that
do not fit in 64 bits, leading zeros, infinities.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

from edgestream.config.values import Template

Scalar: TypeAlias = str | int | float | bool | None

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_LONGEST = 24
"""More characters than this are never a whole number of 64 bits."""


def text(value: str) -> str:
    """Text as it stands, or a `Template` where it holds ``${``."""
    return Template(value) if "${" in value else value


def plain(value: str) -> Scalar:
    """What an unquoted scalar stands for; raises ValueError where it is refused."""
    if value in _WORDS:
        return _WORDS[value]
    if "${" in value:
        return Template(value)
    if _INT.fullmatch(value):
        return _whole(value)
    if _FLOAT.fullmatch(value):
        number = float(value)
        if math.isinf(number):
            raise ValueError(f"the number {_short(value)} is too large")
        return number
    if _NOT_FINITE.fullmatch(value):
        raise ValueError(f"{value} is not a number that can be used here")
    return value


def _whole(value: str) -> int:
    base = {"0o": 8, "0x": 16}.get(value[:2], 10)
    digits = value.lstrip("+-")
    if base == 10 and len(digits) > 1 and digits[0] == "0":
        raise ValueError(
            f"{_short(value)} has leading zeros; write it in quotes for text, without them for a "
            "number"
        )
    number = int(value, base) if len(value) <= _LONGEST else 2**64
    if not -(2**63) <= number < 2**63:
        raise ValueError(
            f"the whole number {_short(value)} does not fit in 64 bits; write it in quotes for text"
        )
    return number


def _short(value: str) -> str:
    return value if len(value) <= 30 else f"{value[:20]}… ({len(value)} characters)"
