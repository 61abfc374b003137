"""``min`` and ``max``, of the kind of what they are given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.function import Function
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values, to_column
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind

_WHOLE = np.iinfo(np.int64)


class Extreme(Part):
    """The lowest or the highest value."""

    def __init__(self, choose: np.ufunc, whole: int, real: float) -> None:
        """Take the ufunc that chooses one of two, and what it never chooses."""
        self._choose = choose
        self._never = {"float": np.array(real), "int": np.array(whole, np.int64)}

    def kind(self, kind: ColumnKind) -> ColumnKind:
        """The kind of the expression, float while it is unknown."""
        return "float" if kind == "any" else kind

    def initial(self, kind: ColumnKind) -> Fields:
        """What any value replaces."""
        return {"value": self._never["float" if kind == "float" else "int"]}

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Choose between what is kept and what came."""
        kept = state["value"]
        came = values.numbers() if kept.dtype == np.float64 else values.kept("int")
        self._choose.at(kept, cells, came)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """Choose among the layers."""
        return {"value": self._choose.reduce(state["value"], axis=0)}


LOWEST = Extreme(np.minimum, _WHOLE.max, np.inf)
HIGHEST = Extreme(np.maximum, _WHOLE.min, -np.inf)


class Min(Function):
    """The lowest value."""

    name = "min"
    help = "The lowest value; of times, the earliest."
    part = LOWEST
    takes = ("float", "int", "bool", "time", "any")

    def result(self, kind: ColumnKind) -> ColumnKind:
        """The same kind."""
        return kind

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """What is kept, where anything came."""
        return to_column(state["value"], kind, counts > 0)


class Max(Min):
    """The highest value."""

    name = "max"
    help = "The highest value; of times, the latest."
    part = HIGHEST
