"""``sum``, ``mean`` and ``stddev`` from one shared part.

Numbers are summed as their distance from a *shift*, the first finite value that came into the
cell: a stream around 1e9 keeps its digits, whole numbers stay exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.function import Function
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
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
        numbers = values.numbers()
        shift = state["shift"]
        distance = numbers - shift[cells]
        total = np.add.reduce(distance)
        if total != total:  # a cell without a shift, or infinities
            _set_shift(shift, cells, numbers)
            distance = numbers - shift[cells]
        np.add.at(state["sum"], cells, distance)
        np.add.at(state["squares"], cells, distance * distance)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """Chan's merge, written about a shift in common instead of the means.

        Means would cost whole numbers their exactness; the sums here stay whole.
        """
        shift = np.fmin.reduce(state["shift"], axis=0)
        moved = state["shift"] - shift
        moved[counts == 0] = 0.0
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


def _set_shift(shift: Array, cells: Cells, numbers: NDArray[np.float64]) -> None:
    fresh = np.flatnonzero(np.isnan(shift[cells]))[::-1]  # backwards: the first row wins
    first = numbers[fresh]
    shift[cells[fresh]] = np.where(np.isfinite(first), first, 0.0)


MOMENTS = Moments()


class Sum(Function):
    """The sum."""

    name = "sum"
    help = "The sum of the values, as float64."
    part = MOMENTS
    wants = "float"

    def result(self, kind: ColumnKind) -> ColumnKind:
        """Always float: an integer sum could overflow unseen."""
        return "float"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """Put the shift back, once a value."""
        total = state["sum"] + counts * state["shift"]
        return np.where(counts > 0, total, np.nan)


class Mean(Function):
    """The arithmetic mean."""

    name = "mean"
    help = "The arithmetic mean of the values."
    part = MOMENTS
    wants = "float"

    def result(self, kind: ColumnKind) -> ColumnKind:
        """Always float."""
        return "float"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """Put the shift back, so that equal values have that value as their mean.

        Of whole numbers the sum is exact, and the mean is its quotient, rounded once.
        """
        shift, total = state["shift"], state["sum"]
        whole = (shift == np.rint(shift)) & (total == np.rint(total))
        mean = np.where(whole, (total + counts * shift) / counts, shift + total / counts)
        return np.where(counts > 0, mean, np.nan)


class Stddev(Function):
    """The standard deviation of a sample."""

    name = "stddev"
    help = "The standard deviation of the values as a sample (n − 1); missing for a single value."
    part = MOMENTS
    wants = "float"

    def result(self, kind: ColumnKind) -> ColumnKind:
        """Always float."""
        return "float"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The root of the sum of squared distances from the mean over n − 1."""
        spread_out = state["squares"] - state["sum"] * (state["sum"] / counts)
        variance = np.maximum(spread_out, 0.0) / (counts - 1)
        return np.where(counts > 1, np.sqrt(variance), np.nan)
