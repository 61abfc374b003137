"""``any``, ``all`` and ``count_if`` of a condition, from one count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.function import Function
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind


class Truths(Part):
    """How often a condition was true."""

    def initial(self, kind: ColumnKind) -> Fields:
        """Never."""
        return {"true": np.array(0, np.int64)}

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Count the rows in which it is true."""
        np.add.at(state["true"], cells[values.numbers() != 0], 1)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """Add up."""
        return {"true": np.add.reduce(state["true"], axis=0)}


class CountIf(Function):
    """How many rows fulfil a condition."""

    name = "count_if"
    help = "The number of rows for which a condition holds."
    part = Truths()
    columns = ("condition",)
    takes = ("bool", "any")
    needs = "a condition"
    hint = "compare it with something, such as x > 0"
    wants = "bool"

    def result(self, kind: ColumnKind) -> ColumnKind:
        """Whole numbers."""
        return "int"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The count."""
        return state["true"]


class Any(CountIf):
    """Whether a condition holds for any row."""

    name = "any"
    help = "Whether a condition holds for at least one row."

    def result(self, kind: ColumnKind) -> ColumnKind:
        """True or false."""
        return "bool"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """True where it held once; missing where it was never known."""
        return _flags(state["true"] > 0, counts)


class All(Any):
    """Whether a condition holds for all rows."""

    name = "all"
    help = "Whether a condition holds for every row that is not missing."

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """True where it held each time; missing where it was never known."""
        return _flags(state["true"] == counts, counts)


def _flags(flags: NDArray[np.bool_], counts: Counts) -> Array:
    held = counts > 0
    return flags if held.all() else np.where(held, flags, np.nan)
