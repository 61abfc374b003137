"""A table of fingerprints with open addressing, looked up and filled a batch at a time.

A position in the table stays that of its key until `Seen.fit` rebuilds the table; what belongs
to a key is held in `Seen.values`, by position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.operators.fingerprint import Words

Positions = NDArray[np.int64]
_FEWEST = 1024
_FEW = 24
"""So many keys go on one by one: another round of numpy costs more."""
_ONE = np.uint64(1)


class Seen:
    """Fingerprint → position, with ``width`` int64 values a key, each ``blank`` at first."""

    __slots__ = ("_blank", "_first", "_one", "_two", "count", "values")

    def __init__(self, width: int, blank: int) -> None:
        """Start with no keys."""
        # Arrays of their own: numpy takes six times as long for positions in one of two dimensions.
        self.values = [np.full(_FEWEST, blank, np.int64) for _ in range(width)]
        self._blank = blank
        self._one = np.zeros(_FEWEST, np.uint64)
        self._two = np.zeros(_FEWEST, np.uint64)
        self._first = np.zeros(_FEWEST, np.int32)
        self.count = 0

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        values = sum(array.nbytes for array in self.values)
        return values + self._one.nbytes + self._two.nbytes + self._first.nbytes

    def fit(self, more: int, kept: Callable[[list[Positions]], NDArray[np.bool_]]) -> None:
        """Make room for ``more`` keys; where that takes a new table, only ``kept`` go into it.

        At most half of the places are taken: a search then looks at two places or so.
        """
        if 2 * (self.count + more) > len(self._one):
            self.clear_out(kept, more)

    def clear_out(
        self, kept: Callable[[list[Positions]], NDArray[np.bool_]], more: int = 0
    ) -> None:
        """Begin a table with those that are ``kept``, and room for ``more``."""
        one, two, values = self.content(kept)
        size = _FEWEST
        while size < 4 * (len(one) + more):
            size *= 2
        if size == len(self._one):  # new memory would cost as much as putting the keys into it
            for array in self.values:
                array.fill(self._blank)
            self._one.fill(0)
        else:
            self.values = [np.full(size, self._blank, np.int64) for _ in values]
            self._one, self._two = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
            self._first = np.zeros(size, np.int32)
        self.count = 0
        self.put(one, two, values)

    def content(
        self, kept: Callable[[list[Positions]], NDArray[np.bool_]]
    ) -> tuple[Words, Words, list[Positions]]:
        """The keys that are ``kept``, judged by their values, with these."""
        taken = np.flatnonzero(self._one)
        alive = np.flatnonzero(kept([array[taken] for array in self.values]))
        taken = taken[alive]
        return self._one[taken], self._two[taken], [array[taken] for array in self.values]

    def put(self, one: Words, two: Words, values: Sequence[Positions]) -> None:
        """Set the values of keys, for which there is room."""
        at = self.positions(one, two)
        for mine, given in zip(self.values, values, strict=True):
            mine[at] = given

    def positions(self, one: Words, two: Words) -> Positions:
        """The position of each key; those that are new get one. Call `fit` before."""
        mask = len(self._one) - 1
        one = np.where(one == 0, _ONE, one)  # 0 marks a free place
        # By the highest bits, so that keys taken out of a table are in order for any other one.
        found = (one >> np.uint64(64 - mask.bit_length())).astype(np.int64)
        left = self._settle(one, two, found, None)
        step = 0
        while len(left) > _FEW:
            step += 1
            found[left] = (found[left] + step) & mask
            left = self._settle(one, two, found, left)
        for row in left.tolist():
            found[row] = self._seat(one.item(row), two.item(row), found.item(row), step)
        return found

    def has(self, one: Words, two: Words) -> NDArray[np.bool_]:
        """Which keys have a position; none gets one."""
        mask = len(self._one) - 1
        one = np.where(one == 0, _ONE, one)
        at = (one >> np.uint64(64 - mask.bit_length())).astype(np.int64)
        found = np.zeros(len(one), np.bool_)
        left = np.arange(len(one))
        step = 0
        while len(left):
            step += 1
            here = self._one[at[left]]
            same = (here == one[left]) & (self._two[at[left]] == two[left])
            found[left[same]] = True
            left = left[(here != 0) & ~same]
            at[left] = (at[left] + step) & mask
        return found

    def _settle(self, one: Words, two: Words, at: Positions, rows: Positions | None) -> Positions:
        """Take free places; the rows whose place is another key's."""
        if rows is not None:
            one, two, at = one[rows], two[rows], at[rows]
        here = self._one[at]
        free = (here == 0).nonzero()[0]
        if len(free):
            places = at[free]
            # Of keys that want the same place the last one gets it, in both arrays.
            self._one[places] = one[free]
            self._two[places] = two[free]
            self._first[places] = free
            self.count += int(np.count_nonzero(self._first[places] == free))
            here = self._one[at]
        other: Positions = ((here != one) | (self._two[at] != two)).nonzero()[0]
        return other if rows is None else rows[other]

    def _seat(self, one: int, two: int, at: int, step: int) -> int:
        """The position of one key, on from one that is another's."""
        mask = len(self._one) - 1
        while True:
            step += 1
            at = (at + step) & mask
            here = self._one.item(at)
            if here == one and self._two.item(at) == two:
                return at
            if not here:
                self._one[at], self._two[at] = one, two
                self.count += 1
                return at

    def first(self, positions: Positions) -> NDArray[np.bool_]:
        """Whether a row is the first of the batch with its key."""
        rows = np.arange(len(positions), dtype=np.int32)
        self._first[positions[::-1]] = rows[::-1]  # the last write stays: the first row
        found: NDArray[np.bool_] = self._first[positions] == rows
        return found
