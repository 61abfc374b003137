"""``histogram``: how many values fall between each two of some evenly spaced edges."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.constants import Constant
from edgestream.aggregate.function import Function
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values
from edgestream.batch import Array, Column, Strings
from edgestream.errors import ConfigError
from edgestream.schema import ColumnKind


@dataclass(frozen=True, slots=True)
class Bins(Part):
    """A count a bin, one of what is below before them, one of what is above after them."""

    low: float
    high: float
    bins: int

    def initial(self, kind: ColumnKind) -> Fields:
        """No value yet."""
        return {"counts": np.zeros(self.bins + 2, np.int64)}

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Count each value in its bin."""
        numbers = values.numbers()
        share = (numbers - self.low) / (self.high - self.low)
        inside = np.clip(np.floor(share * self.bins), 0, self.bins - 1)
        at = np.where(numbers < self.low, -1, np.where(numbers < self.high, inside, self.bins))
        places = cells * (self.bins + 2) + at.astype(np.intp) + 1
        np.add.at(state["counts"].reshape(-1), places, 1)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """Add up."""
        return {"counts": np.add.reduce(state["counts"], axis=0)}


class Histogram(Function):
    """The counts of evenly spaced bins."""

    name = "histogram"
    help = (
        'How the values are spread, as JSON text: `{"below": 0, "counts": [3, 5], "above": 1}`. '
        "Bins of equal width from lo to hi are closed at their start and open at their end."
    )
    constants = (
        Constant("lo", "number", 0),
        Constant("hi", "number", 100),
        Constant("bins", "whole", 20, 1, 1000),
    )
    wants = "float"

    def __init__(self, *given: float) -> None:
        """Take the edges; raises `ConfigError` where they are the wrong way round."""
        super().__init__(*given)
        low, high, bins = self.given
        if low >= high:
            raise ConfigError(f"lo must be less than hi, got {low} and {high}")
        self.part = Bins(low, high, int(bins))

    def result(self, kind: ColumnKind) -> ColumnKind:
        """JSON text."""
        return "string"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """One text a cell, missing where no value came."""
        listed = zip(state["counts"].tolist(), counts.tolist(), strict=True)
        return Strings.of([_written(bins) if count else None for bins, count in listed])


def _written(bins: list[int]) -> str:
    return json.dumps({"below": bins[0], "counts": bins[1:-1], "above": bins[-1]})
