"""The fields of cells in memory: those of one cell beside each other.

An event touches one position of every array. Where there are many cells no cache holds them, and
the positions of a cell that lie in one line of it are fetched together. Where windows are made of
many panes the arrays stay apart: what they are merged from is gathered field by field.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgestream.aggregate.parts import Cells
from edgestream.batch import Array

_BYTES = 8


class Beside:
    """Larger arrays for the same number of cells, cut from one block as far as they are alike."""

    __slots__ = ("_at", "_block", "_size")

    def __init__(self, size: int, fields: int) -> None:
        """Make room for so many fields of ``size`` cells; all others are arrays of their own."""
        self._size = size
        self._block = np.empty((size, fields), np.int64)
        self._at = 0

    @staticmethod
    def takes(array: Array) -> bool:
        """Whether an array is one of those: a number of eight bytes a cell."""
        return array.ndim == 1 and array.itemsize == _BYTES and array.dtype != object

    def of(self, array: Array, blank: Any) -> Array:
        """A larger array that begins like this one, and goes on with ``blank``."""
        if self._at < self._block.shape[1] and self.takes(array):
            larger = self._block[:, self._at].view(array.dtype)
            self._at += 1
        else:
            larger = np.empty((self._size, *array.shape[1:]), array.dtype)
        larger[: len(array)] = array
        larger[len(array) :] = blank
        return larger


def taken(array: Array, cells: Cells) -> Array:
    """The positions of these cells, as a copy; numpy is faster by `take`, but not with gaps."""
    return array.take(cells, axis=0) if array.flags.c_contiguous else array[cells]
