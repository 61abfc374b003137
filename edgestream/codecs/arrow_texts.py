"""Arrow arrays of text as rows of words, of which those known before become no Python strings."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgestream.textcodes import MOST_BYTES, WORD, Words, words_at

_FEWEST, _MOST = 256, 65_536
"""Fewer texts are sooner read one by one; of more, each as long as the longest takes memory."""


def words_of(types: Any, array: Any) -> Words | None:
    """Texts as rows of words; None for few, very many, or if one is missing, long or has a NUL."""
    large = types.is_large_string(array.type)
    plain = large or types.is_string(array.type)
    if not plain or array.null_count or not _FEWEST <= len(array) <= _MOST:
        return None
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64 if large else np.int32)
    bounds = bounds[array.offset : array.offset + len(array) + 1].astype(np.intp)
    sizes = np.diff(bounds)
    longest = int(np.maximum.reduce(sizes))
    begin, end = bounds.item(0), bounds.item(-1)
    text = b"" if data is None else memoryview(data)[begin:end]
    raw = b"".join((text, bytes(MOST_BYTES + 1)))
    if longest > MOST_BYTES or raw.find(0, 0, end - begin) >= 0:
        return None
    return words_at(raw, bounds[:-1] - begin, sizes, max(1, -(-longest // WORD)))
