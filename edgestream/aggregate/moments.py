"""``sum``, ``mean``, ``stddev``, ``variance`` and ``rms`` from one shared part.

Numbers are summed as their distance from a shift: whole numbers stay exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.function import Measure
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.shifts import distances, shared
from edgestream.aggregate.values import Values
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind


class Moments(Part):
    """Shift, sum of (x − shift), sum of (x − shift)²."""

    def kind(self, kind: ColumnKind) -> ColumnKind:
        """Everything is computed in float64."""
        return "float"

    def initial(self, kind: ColumnKind) -> Fields:
        """No shift yet."""
        return {"shift": np.array(np.nan), "sum": np.array(0.0), "squares": np.array(0.0)}

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Add the distances."""
        distance = distances(state["shift"], cells, values.numbers())
        np.add.at(state["sum"], cells, distance)
        np.add.at(state["squares"], cells, distance * distance)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """Chan's merge, written about a shift in common instead of the means.

        Means would cost whole numbers their exactness; the sums here stay whole.
        """
        shift, moved = shared(state["shift"], counts)
        # In place: arrays of a window's size, freed and made again, cost more than the arithmetic.
        carried = counts * moved
        squares = 2 * state["sum"]
        squares += carried
        squares *= moved
        squares += state["squares"]
        carried += state["sum"]
        return {
            "shift": shift,
            "sum": np.add.reduce(carried, axis=0),
            "squares": np.add.reduce(squares, axis=0),
        }


MOMENTS = Moments()


class Sum(Measure):
    """The sum; float also of integers, whose own sum could overflow unseen."""

    name = "sum"
    help = "The sum of the values, as float64."
    part = MOMENTS

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """Put the shift back, once a value."""
        total = state["sum"] + counts * state["shift"]
        return np.where(counts > 0, total, np.nan)


class Mean(Measure):
    """The arithmetic mean."""

    name = "mean"
    help = "The arithmetic mean of the values."
    part = MOMENTS

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """Put the shift back, so that equal values have that value as their mean.

        Of whole numbers the sum is exact, and the mean is its quotient, rounded once.
        """
        shift, total = state["shift"], state["sum"]
        whole = (shift == np.rint(shift)) & (total == np.rint(total))
        mean = np.where(whole, (total + counts * shift) / counts, shift + total / counts)
        return np.where(counts > 0, mean, np.nan)


class Variance(Measure):
    """The variance of a sample."""

    name = "variance"
    help = "The variance of the values as a sample (n − 1); missing for a single value."
    part = MOMENTS

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The sum of squared distances from the mean over n − 1."""
        spread_out = state["squares"] - state["sum"] * (state["sum"] / counts)
        return np.where(counts > 1, np.maximum(spread_out, 0.0) / (counts - 1), np.nan)


class Stddev(Variance):
    """The standard deviation of a sample."""

    name = "stddev"
    help = "The standard deviation of the values as a sample (n − 1); missing for a single value."

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The root of the variance."""
        root: Array = np.sqrt(np.asarray(super().finish(counts, state, kind)))
        return root


class Rms(Measure):
    """The root of the mean square."""

    name = "rms"
    help = "The root mean square: the square root of the mean of the squared values."
    part = MOMENTS

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The mean square about zero, from that about the shift; infinities have no squares."""
        mean = state["shift"] + state["sum"] / counts
        spread_out = state["squares"] - state["sum"] * (state["sum"] / counts)
        square = np.maximum(spread_out, 0.0) / counts + mean * mean
        rms = np.where(np.isfinite(state["squares"]), np.sqrt(square), np.inf)
        return np.where(counts > 0, rms, np.nan)
