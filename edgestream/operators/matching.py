"""Which rows of one side belong to which of the other: by key and a span of time, without a loop.

Rows are numbered by their position; −1 stands for no row, and as a key for a key that is missing,
which equals none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Times = NDArray[np.int64]


class Sorted:
    """The rows of one side by key and time; rows of one key and time as they came."""

    def __init__(self, slots: Rows, times: Times) -> None:
        """Sort rows by the number of their key and their time."""
        self.order = np.lexsort((times, slots))
        distinct = np.sort(times)  # np.unique would hash, which costs several times as much
        fresh = np.ones(len(distinct), np.bool_)
        fresh[1:] = distinct[1:] != distinct[:-1]
        self._times = distinct[fresh]
        # Key and time as one number that sorts the same: times by their rank.
        self._width = len(self._times) + 1
        ranks = np.searchsorted(self._times, times[self.order])
        self._packed = slots[self.order] * self._width + ranks

    def spans(self, slots: Rows, first: Times, last: Times) -> tuple[Rows, Rows]:
        """For each key the rows with times from ``first`` to ``last``: begin and end in `order`."""
        base = slots * self._width
        begin = np.searchsorted(self._packed, base + np.searchsorted(self._times, first, "left"))
        end = np.searchsorted(self._packed, base + np.searchsorted(self._times, last, "right"))
        none = slots < 0
        return np.where(none, 0, begin), np.where(none, 0, end)

    def pairs(self, slots: Rows, first: Times, last: Times) -> tuple[Rows, Rows]:
        """All pairs of a row asked for and a row here."""
        begin, end = self.spans(slots, first, last)
        counts = end - begin
        asked = np.repeat(np.arange(len(slots)), counts)
        # Within its span each pair is one further than the one before.
        offsets = np.arange(len(asked)) - np.repeat(np.cumsum(counts) - counts, counts)
        return asked, self.order[np.repeat(begin, counts) + offsets]

    def newest(self, slots: Rows, first: Times, last: Times) -> Rows:
        """For each row asked for the last row here, or −1."""
        begin, end = self.spans(slots, first, last)
        found = np.full(len(slots), -1)
        some = end > begin
        found[some] = self.order[end[some] - 1]
        return found
