"""What is remembered by fingerprint, looked up and filled a batch at a time.

Keys and what belongs to them stand one after the other as they came; `Places` holds where a key
stands. Its position stays until `Seen.fit` or `Seen.clear_out` make room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.operators.fingerprint import Words
from edgestream.operators.places import Places

Positions: TypeAlias = NDArray[np.intp]
Values: TypeAlias = NDArray[np.int64]
Kept: TypeAlias = Callable[[list[Values]], NDArray[np.bool_]]

_FEWEST = 512
_ROOM = 2
"""A new table has room for at least so many times the keys it must take."""
_KEPT = 1.5, 4
"""One with room for so many times as many goes on: new memory costs as much as filling it."""


class Seen:
    """Fingerprint → position, with ``width`` int64 values a key; no key has the value ``blank``."""

    __slots__ = ("_blank", "_end", "_gaps", "_mark", "_places", "values")

    def __init__(self, width: int, blank: int) -> None:
        """Start with no keys."""
        self._blank = blank
        self.values: list[Values]
        self._allot(_FEWEST, width)

    @property
    def count(self) -> int:
        """How many keys there are."""
        return self._end - self._gaps

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        values = sum(array.nbytes for array in self.values)
        return self._places.nbytes + self._mark.nbytes + values

    def fit(self, more: int, kept: Kept) -> None:
        """Make room for ``more`` keys; where that takes a new table, only ``kept`` go into it."""
        if self._end + more > len(self._places):
            self.clear_out(kept, more)

    def clear_out(self, kept: Kept, more: int = 0) -> None:
        """Begin a table with those that are ``kept``, and room for ``more``."""
        one, two, values = self.content(kept)
        need, (least, most) = len(one) + more, _KEPT
        if not least * need <= len(self._places) <= max(most * need, _FEWEST):
            self._allot(max(_ROOM * need, _FEWEST), len(values))
        self._places.fill(one, two)
        self._end, self._gaps = len(one), 0
        for mine, given in zip(self.values, values, strict=True):
            mine[: len(one)] = given

    def content(self, kept: Kept) -> tuple[Words, Words, list[Values]]:
        """The keys that are ``kept``, judged by their values, with these."""
        values = [array[: self._end] for array in self.values]
        alive = kept(values)
        if self._gaps:
            alive = alive & (values[0] != self._blank)
        rows = alive.nonzero()[0]
        keys = self._places
        return keys.one[rows], keys.two[rows], [array[rows] for array in values]

    def put(self, one: Words, two: Words, values: Sequence[Values]) -> None:
        """Set the values of keys, for which there is room."""
        at, _ = self.positions(one, two, values)
        for mine, given in zip(self.values, values, strict=True):
            mine[at] = given

    def positions(
        self, one: Words, two: Words, values: Sequence[Values | int]
    ) -> tuple[Positions, Positions]:
        """The position of each key, and the rows of keys that were there before or in a row above.

        The others are new and get these values. Call `fit` before.
        """
        begin, end = self._end, self._end + len(one)
        at, known = self._places.find(one, two, begin)
        if len(known) < len(one):
            self._end, self._gaps = end, self._gaps + len(known)
            for mine, given in zip(self.values, values, strict=True):
                mine[begin:end] = given
                mine[begin + known] = self._blank
        return at, known

    def first(self, positions: Positions) -> NDArray[np.bool_]:
        """Whether a row is the first of those given with its key."""
        rows = np.arange(len(positions), dtype=np.int32)
        self._mark[positions[::-1]] = rows[::-1]  # the last write stays: the first row
        found: NDArray[np.bool_] = self._mark[positions] == rows
        return found

    def among(self, positions: Positions, some: Positions) -> NDArray[np.bool_]:
        """Whether a row has one of ``some`` positions."""
        self._mark[positions] = 0
        self._mark[some] = 1
        found: NDArray[np.bool_] = self._mark[positions] > 0
        return found

    def has(self, one: Words, two: Words) -> NDArray[np.bool_]:
        """Which keys have a position; none gets one."""
        return self._places.has(one, two)

    def _allot(self, size: int, width: int) -> None:
        """Begin with room for ``size`` keys."""
        self._places = Places(size)
        size = len(self._places)
        self._end = self._gaps = 0
        # Arrays of their own: numpy takes six times as long for positions in one of two dimensions.
        self.values = [np.empty(size, np.int64) for _ in range(width)]
        self._mark = np.empty(size, np.int32)
