"""Shifts: what numbers are summed as their distance from, so that a stream around 1e9 keeps digits.

The shift of a cell is the first value that came into it; 0 where that one was infinite.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.parts import Cells, Counts
from edgestream.batch import Array


def distances(shift: Array, cells: Cells, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each number is from the shift of its cell, which it sets where there is none."""
    distance = numbers - shift[cells]
    total = np.add.reduce(distance)
    if total != total:  # a cell without a shift, or infinities
        fresh = np.flatnonzero(distance != distance)
        places, first = cells[fresh], numbers[fresh]
        # Backwards: the first row of a cell wins.
        shift[places[::-1]] = np.where(np.isfinite(first), first, 0.0)[::-1]
        distance[fresh] = first - shift[places]
    return distance


def shared(shift: Array, counts: Counts) -> tuple[Array, Array]:
    """A shift for all layers of a cell, and how far that of each layer is from it."""
    common = np.fmin.reduce(shift, axis=0)
    moved = shift - common
    moved[counts == 0] = 0.0
    return common, moved
