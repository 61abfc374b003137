"""Which keys there are, by fingerprint: a table with open addressing, many look-ups at a time.

Keys have numbers, and stand by them; the table holds the number of the key whose place it is. Most
places are free, so one look finds a key, or that it is new.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.operators.fingerprint import Words

Numbers: TypeAlias = NDArray[np.intp]

_SPARE = 8
"""Places for each key there is room for."""
_FEW = 16
"""So many keys go on one by one: another round of numpy costs more."""
_FREE = -1


class Places:
    """Fingerprint → number."""

    __slots__ = ("_places", "_shift", "one", "two")

    def __init__(self, size: int) -> None:
        """Room for at least ``size`` keys, and none there."""
        bits = (_SPARE * size - 1).bit_length()
        self.one = np.empty((1 << bits) // _SPARE, np.uint64)
        self.two = np.empty_like(self.one)
        self._places = np.full(1 << bits, _FREE, np.int32)
        self._shift = np.array(64 - bits, np.uint64)

    def __len__(self) -> int:
        """How many keys there is room for."""
        return len(self.one)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self.one.nbytes + self.two.nbytes + self._places.nbytes

    def fill(self, one: Words, two: Words) -> None:
        """Hold these keys and no others, which are all different, from number 0 on."""
        self._places.fill(_FREE)
        self.one[: len(one)], self.two[: len(two)] = one, two
        mask = len(self._places) - 1
        left = np.arange(len(one), dtype=np.int32)
        places = self._begin(one)
        step = 0
        while len(left):
            free = (self._places[places] < 0).nonzero()[0]
            self._places[places[free]] = left[free]
            step += 1
            without = (self._places[places] != left).nonzero()[0]
            left, places = left[without], (places[without] + step) & mask

    def find(self, one: Words, two: Words, begin: int) -> tuple[Numbers, Numbers]:
        """The number of each key, and the rows of those that were there, also by a row above.

        Each row has a number, from ``begin`` on: a new key gets that of its row, the numbers of
        other rows are nobody's.
        """
        end = begin + len(one)
        self.one[begin:end] = one
        self.two[begin:end] = two
        numbers = np.arange(begin, end)
        places = self._begin(one)
        at = self._look(numbers, places)
        left = self._differ(at, one, two).nonzero()[0]
        mask, step = len(self._places) - 1, 0
        while len(left) > _FEW:
            step += 1
            places[left] = further = (places[left] + step) & mask
            at[left] = found = self._look(numbers[left], further)
            left = left[self._differ(found, one[left], two[left])]
        for row in left.tolist():
            at[row] = self._seat(begin + row, places.item(row), step)
        return at, (at != numbers).nonzero()[0]

    def has(self, one: Words, two: Words) -> NDArray[np.bool_]:
        """Which keys have a position; none gets one."""
        mask = len(self._places) - 1
        places = self._begin(one)
        found = np.zeros(len(one), np.bool_)
        left = np.arange(len(one))
        step = 0
        while len(left):
            at = self._places[places].astype(np.intp)
            left, places, at = (array[at >= 0] for array in (left, places, at))
            other = self._differ(at, one[left], two[left])
            found[left[~other]] = True
            step += 1
            left, places = left[other], (places[other] + step) & mask
        return found

    def _begin(self, one: Words) -> Numbers:
        # By the highest bits, so that keys taken out of a table are in order for any other one.
        return (one >> self._shift).view(np.intp)

    def _look(self, numbers: Numbers, places: Numbers) -> Numbers:
        """Whose ``places`` are; those that are free are taken."""
        at = self._places[places]
        # From the last to the first: of rows that want the same place the first shall get it.
        free = (at < 0).nonzero()[0][::-1].copy()
        if len(free):
            wanted = places[free]
            self._places[wanted] = numbers.astype(np.int32)[free]
            at[free] = self._places[wanted]
        return at.astype(np.intp)  # numpy takes twice as long for positions of 32 bits

    def _differ(self, at: Numbers, one: Words, two: Words) -> NDArray[np.bool_]:
        differ: NDArray[np.bool_] = (self.one[at] != one) | (self.two[at] != two)
        return differ

    def _seat(self, number: int, place: int, step: int) -> int:
        """The position of one key, on from a place that is another's."""
        mask = len(self._places) - 1
        one, two = self.one.item(number), self.two.item(number)
        while True:
            step += 1
            place = (place + step) & mask
            at = self._places.item(place)
            if at == _FREE:
                self._places[place] = number
                return number
            if self.one.item(at) == one and self.two.item(at) == two:
                return at
