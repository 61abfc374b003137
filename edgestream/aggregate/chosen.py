"""``argmin`` and ``argmax``: the value of one column in the row where another is least or most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.ends import FirstValue
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values, blank
from edgestream.batch import Array
from edgestream.schema import ColumnKind

_LATEST = np.iinfo(np.int64).max


class Chosen(Part):
    """One row: where ``sign`` times the second expression is least, of equal ones the earliest."""

    def __init__(self, sign: float) -> None:
        """1 looks for the least, −1 for the most."""
        self._sign = sign

    def initial(self, kind: ColumnKind) -> Fields:
        """No row yet: any row is earlier than this one."""
        return {
            "by": np.array(np.inf),
            "time": np.array(_LATEST, np.int64),
            "value": blank(kind),
        }

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Keep the better row."""
        assert values.second is not None, "argmin and argmax have two expressions"
        by = values.second * self._sign
        known, since = state["by"][cells], state["time"][cells]
        better = np.flatnonzero((by < known) | ((by == known) & (times < since)))
        if not len(better):
            return
        # Sorted so that the best row of a cell is written last; of equal rows the first to come.
        rows = better[::-1]
        order = rows[np.lexsort((-times[rows], -by[rows]))]
        at, kept = cells[order], state["value"]
        state["by"][at], state["time"][at] = by[order], times[order]
        kept[at] = Values(values.column[order]).kept_like(kept)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """The best row of all layers."""
        by, times = state["by"], state["time"]
        best = by == np.minimum.reduce(by, axis=0)
        layer = np.where(best, times, _LATEST).argmin(axis=0), np.arange(by.shape[1])
        return {name: array[layer] for name, array in state.items()}


class ArgMin(FirstValue):
    """The value where another is least."""

    name = "argmin"
    help = "The value of x in the row where by is least; of equal rows, in the earliest."
    part = Chosen(1.0)
    columns = ("x", "by")


class ArgMax(ArgMin):
    """The value where another is most."""

    name = "argmax"
    help = "The value of x in the row where by is greatest; of equal rows, in the earliest."
    part = Chosen(-1.0)
