"""Arrays from a saved state, which is believed nothing: type and shape are what they must be.

Checksums see what rots; this sees what was never written. Without, a wrong array would be an error
somewhere in the middle of a day, and again at every start after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from edgestream.batch import Array, Column, Dictionary, Strings


def stored(array: Array, kind: DTypeLike, *shape: int | None) -> Array:
    """A copy of a saved array that may be written to; raises ValueError for one of another kind."""
    fits = array.ndim == len(shape) and array.dtype == np.dtype(kind)
    if not fits or any(
        want not in (None, have) for want, have in zip(shape, array.shape, strict=True)
    ):
        wanted = f"{np.dtype(kind)} of shape {shape}"
        raise ValueError(f"an array is {array.dtype} of shape {array.shape}, not {wanted}")
    return np.array(array)


def within(numbers: Array, end: int) -> Array:
    """The same numbers, if all are from 0 up to ``end``; raises ValueError."""
    if len(numbers) and not (int(numbers.min()) >= 0 and int(numbers.max()) < end):
        raise ValueError(
            f"numbers from {numbers.min()} to {numbers.max()}, not from 0 to {end - 1}"
        )
    return numbers


def stored_texts(codes: Array, texts: list[str], rows: int) -> Column:
    """A saved column of text; raises ValueError for a code without its text."""
    codes = stored(codes, np.int32, rows)
    within(codes + 1, len(texts) + 1)
    return Strings(codes, Dictionary(texts))
