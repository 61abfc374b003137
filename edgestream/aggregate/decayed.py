"""``ewma``: a mean in which what is older counts less.

A weight is a power of two of the time over the half-life. Its whole part is kept apart, as an
exponent, so that scaling by it is exact: neither the order of rows nor how they were cut matters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.constants import Constant
from edgestream.aggregate.function import Measure
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.shifts import distances, shared
from edgestream.aggregate.values import Values
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind

_NEVER = np.iinfo(np.int64).min
_GONE = 1100
"""Two to the minus this is nothing."""


@dataclass(frozen=True, slots=True)
class Decayed(Part):
    """Sums of weights and of weighted distances from a shift, both in units of 2^exponent."""

    half_life: int

    def kind(self, kind: ColumnKind) -> ColumnKind:
        """Everything is computed in float64."""
        return "float"

    def initial(self, kind: ColumnKind) -> Fields:
        """No row yet."""
        zero = np.array(0.0)
        return {
            "shift": np.array(np.nan),
            "exponent": np.array(_NEVER, np.int64),
            "sum": zero,
            "weight": zero,
        }

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Scale what is there down to the latest row, and add."""
        distance = distances(state["shift"], cells, values.numbers())
        groups = values.groups(cells)
        touched = groups.cells[groups.heads]
        whole, rest = np.divmod(times, self.half_life)
        before = state["exponent"][touched]
        np.maximum.at(state["exponent"], cells, whole)
        faded = _power(before, state["exponent"][touched])
        for name in ("sum", "weight"):
            state[name][touched] *= faded
        weight = np.exp2(rest / self.half_life) * _power(whole, state["exponent"][cells])
        np.add.at(state["weight"], cells, weight)
        np.add.at(state["sum"], cells, weight * distance)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """All layers in the unit of the latest."""
        exponent = np.maximum.reduce(state["exponent"], axis=0)
        shift, moved = shared(state["shift"], counts)
        faded = _power(state["exponent"], exponent)
        total = (state["sum"] + state["weight"] * moved) * faded
        return {
            "shift": shift,
            "exponent": exponent,
            "sum": np.add.reduce(total, axis=0),
            "weight": np.add.reduce(state["weight"] * faded, axis=0),
        }


def _power(exponent: Array, unit: Array) -> Array:
    """2^(exponent − unit), which is at most 1."""
    power: Array = np.ldexp(1.0, np.maximum(exponent, unit - _GONE) - unit)
    return power


class Ewma(Measure):
    """The exponentially weighted mean."""

    name = "ewma"
    help = (
        "The mean with weights that halve with every half_life of age: how old a value is when the "
        "latest one comes. An infinity makes it missing."
    )
    constants = (Constant("half_life", "duration", 30_000_000_000, 1, float(10**18)),)

    def __init__(self, *given: float) -> None:
        """Take the half-life."""
        super().__init__(*given)
        self.part = Decayed(int(self.given[0]))

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The weighted mean of the distances, and the shift."""
        mean = state["shift"] + state["sum"] / state["weight"]
        return np.where(np.isfinite(mean), mean, math.nan)
