"""``delta``: the difference of the ends, whatever lies between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.ends import First, Last
from edgestream.aggregate.function import Measure
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind

_ENDS: tuple[tuple[str, Part], ...] = (("first", First()), ("last", Last()))


class Span(Part):
    """The first and the last value by time, as numbers."""

    def kind(self, kind: ColumnKind) -> ColumnKind:
        """Everything is computed in float64."""
        return "float"

    def initial(self, kind: ColumnKind) -> Fields:
        """No row yet."""
        ends = {end: part.initial("float") for end, part in _ENDS}
        return {f"{end}_{n}": one for end, fields in ends.items() for n, one in fields.items()}

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Keep the rows at the ends."""
        numbers = Values(values.numbers())
        for end, part in _ENDS:
            part.update(_of(end, state), cells, numbers, times)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """The ends of all layers."""
        merged = {end: part.merge(_of(end, state), counts) for end, part in _ENDS}
        return {
            f"{end}_{n}": array for end, fields in merged.items() for n, array in fields.items()
        }


def _of(end: str, state: Fields) -> Fields:
    return {"time": state[f"{end}_time"], "value": state[f"{end}_value"]}


class Delta(Measure):
    """The last value minus the first."""

    name = "delta"
    help = "The last value by event time minus the first; 0 for a single value."
    part = Span()

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The difference; blank ends are missing."""
        return state["last_value"] - state["first_value"]
