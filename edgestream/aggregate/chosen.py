"""``argmin`` and ``argmax``: the value of one column in the row where another is least or most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.ends import FirstValue
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values, blank, halves
from edgestream.batch import Array
from edgestream.schema import ColumnKind

_LATEST = np.iinfo(np.int64).max


class Chosen(Part):
    """One row: where ``sign`` times the second expression is least, of equal ones the earliest.

    ``rest`` is what is lost of a whole number where ``by`` is rounded: together they are exact.
    """

    def __init__(self, sign: float) -> None:
        """1 looks for the least, −1 for the most."""
        self._sign = sign

    def initial(self, kind: ColumnKind) -> Fields:
        """No row yet: any row is earlier than this one."""
        return {
            "by": np.array(np.inf),
            "rest": np.array(0.0),
            "time": np.array(_LATEST, np.int64),
            "value": blank(kind),
        }

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Keep the better row."""
        assert values.second is not None, "argmin and argmax have two expressions"
        floats, rounded = halves(values.second)
        by = floats * self._sign
        rest = np.zeros(len(by)) if rounded is None else rounded * self._sign
        known = state["by"][cells]
        better = by < known
        same = np.flatnonzero(by == known)
        if len(same):
            at = cells[same]
            mine, theirs, since = rest[same], state["rest"][at], state["time"][at]
            better[same] = (mine < theirs) | ((mine == theirs) & (times[same] < since))
        rows = np.flatnonzero(better)[::-1]
        if not len(rows):
            return
        # Sorted so that the best row of a cell is written last; of equal rows the first to come.
        order = rows[np.lexsort((-times[rows], -rest[rows], -by[rows]))]
        at, kept = cells[order], state["value"]
        state["by"][at], state["rest"][at], state["time"][at] = by[order], rest[order], times[order]
        kept[at] = Values(values.column[order]).kept_like(kept)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """The best row of all layers."""
        by, rest, times = state["by"], state["rest"], state["time"]
        best = by == np.minimum.reduce(by, axis=0)
        best &= rest == np.minimum.reduce(np.where(best, rest, np.inf), axis=0)
        layer = np.where(best, times, _LATEST).argmin(axis=0), np.arange(by.shape[1])
        return {name: array[layer] for name, array in state.items()}


class ArgMin(FirstValue):
    """The value where another is least."""

    name = "argmin"
    help = "The value of x in the row where by is least; of equal rows, in the earliest."
    part = Chosen(1.0)
    columns = ("x", "by")
    wants_other = "any"


class ArgMax(ArgMin):
    """The value where another is most."""

    name = "argmax"
    help = "The value of x in the row where by is greatest; of equal rows, in the earliest."
    part = Chosen(-1.0)
