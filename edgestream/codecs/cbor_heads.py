"""The heads of CBOR values: what the first byte of each says, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

TEXT, MAP = 3, 5
FALSE, TRUE = 0xF4, 0xF5
HALF, SINGLE, DOUBLE = 0xF9, 0xFA, 0xFB

ARGUMENT: Mapping[int, int] = {24: 1, 25: 2, 26: 4, 27: 8}
"""The low five bits of a head → the bytes of the number behind it; below 24 they are the number."""


def _heads(*majors: int, longest: int = 27) -> list[int]:
    """The first bytes of values of some major types."""
    return [major << 5 | low for major in majors for low in range(longest + 1)]


def _table(heads: Iterable[int]) -> NDArray[np.bool_]:
    made = np.zeros(256, np.bool_)
    made[list(heads)] = True
    return made


_WHOLE = _heads(0, 1)
_TEXTS = _heads(TEXT)
_BYTES = _heads(2)
NOTHING = [0xF6, 0xF7]
_FLOATS = [HALF, SINGLE, DOUBLE]

FITTING: Mapping[str | None, NDArray[np.bool_]] = {
    "int": _table(_WHOLE),
    "float": _table([*_WHOLE, *_FLOATS, *NOTHING]),
    "bool": _table([FALSE, TRUE]),
    "string": _table(_TEXTS),
    None: _table([*_WHOLE, *_TEXTS, *_BYTES, *_FLOATS, *NOTHING, FALSE, TRUE]),
}
"""The heads of values that fit a column of a kind as they are; None: the value is not read."""

LONG = _table([*_TEXTS, *_BYTES])
"""The heads of values whose number says how many bytes follow it."""

SIZE: NDArray[np.int64] = np.array([ARGUMENT.get(head & 31, 0) for head in range(256)])
"""The bytes of the number behind a head."""

SHIFT: NDArray[np.uint64] = np.array(
    [64 - 8 * ARGUMENT.get(head & 31, 8) for head in range(256)], np.uint64
)
"""By how many bits the eight bytes behind a head are shifted, so that the number is left."""
