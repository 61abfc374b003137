"""Texts that come as bytes again and again: their codes, without making a text of each."""

from __future__ import annotations

from collections.abc import Callable

from edgestream.batch import MISSING
from edgestream.codecs.columns import Texts

UNREADABLE = MISSING - 1
"""The code of bytes that are no text."""


class Known(dict[bytes, int]):
    """bytes → code, read as text when they come for the first time.

    It is good for one ``dictionary``: where a column has begun a new one, make another.
    """

    def __init__(self, texts: Texts, read: Callable[[bytes], str | None]) -> None:
        """``read`` makes a text, or None for missing, or raises UnicodeDecodeError."""
        super().__init__()
        self.dictionary = texts.dictionary
        self._texts = texts
        self._read = read

    def __missing__(self, raw: bytes) -> int:
        """Its code from now on."""
        try:
            (code,) = self._texts.encode([self._read(raw)]).tolist()
        except UnicodeDecodeError:
            code = UNREADABLE
        self[raw] = code
        return int(code)
