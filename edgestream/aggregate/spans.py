"""``delta``: the difference of the ends, whatever lies between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.ends import First, Last
from edgestream.aggregate.function import Function
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values, to_column
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind

_ENDS: tuple[tuple[str, Part], ...] = (("first", First()), ("last", Last()))


class Span(Part):
    """The first and the last value by time: whole numbers as they are, all else as floats."""

    def kind(self, kind: ColumnKind) -> ColumnKind:
        """Float while the kind of the expression is unknown."""
        return "int" if kind in ("int", "bool") else "float"

    def initial(self, kind: ColumnKind) -> Fields:
        """No row yet."""
        ends = {end: part.initial(self.kind(kind)) for end, part in _ENDS}
        return {f"{end}_{n}": one for end, fields in ends.items() for n, one in fields.items()}

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Keep the rows at the ends."""
        whole = state["last_value"].dtype == np.int64
        numbers = Values(values.kept("int") if whole else values.numbers())
        for end, part in _ENDS:
            part.update(_of(end, state), cells, numbers, times)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """The ends of all layers."""
        merged = {end: part.merge(_of(end, state), counts) for end, part in _ENDS}
        return {
            f"{end}_{n}": array for end, fields in merged.items() for n, array in fields.items()
        }

    def widen(
        self, state: Fields, counts: Counts, old: ColumnKind, new: ColumnKind
    ) -> dict[str, Array]:
        """The same ends as values of a wider kind."""
        before, after = self.kind(old), self.kind(new)
        wide = {end: part.widen(_of(end, state), counts, before, after) for end, part in _ENDS}
        return {f"{end}_{n}": array for end, fields in wide.items() for n, array in fields.items()}


def _of(end: str, state: Fields) -> Fields:
    return {"time": state[f"{end}_time"], "value": state[f"{end}_value"]}


class Delta(Function):
    """The last value minus the first."""

    name = "delta"
    help = (
        "The last value by event time minus the first; 0 for a single value. Of whole numbers a "
        "whole number; a float beyond 64 bits."
    )
    part = Span()

    def result(self, kind: ColumnKind) -> ColumnKind:
        """Whole numbers stay whole."""
        return "int" if kind == "bool" else kind

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The difference, where anything came."""
        first, last = state["first_value"], state["last_value"]
        made = last - first
        if made.dtype == np.int64 and (((last ^ first) & (last ^ made)) < 0).any():
            made = last.astype(np.float64) - first
        return to_column(made, kind, counts > 0)
