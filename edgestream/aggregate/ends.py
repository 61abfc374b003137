"""``first`` and ``last`` by event time, of any kind; rows of equal time go by arrival."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.function import ALL_KINDS, Function
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values, blank, to_column
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind

_TIMES = np.iinfo(np.int64)


class End(Part):
    """The time and the value of one row."""

    never: int
    """A time that any row replaces."""
    choose: np.ufunc

    def initial(self, kind: ColumnKind) -> Fields:
        """No row yet."""
        return {"time": np.array(self.never, np.int64), "value": blank(kind)}

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Keep the row that comes nearer to the end."""
        known, kept = state["time"], state["value"]
        better = self.better(times, known[cells])
        if not better.any():
            return
        self.choose.at(known, cells, times)
        winners = self.order(np.flatnonzero(better & (times == known[cells])))
        came = Values(values.column[winners])
        kept[cells[winners]] = came.kept_like(kept)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """The row nearest to the end of all layers."""
        times = state["time"]
        chosen = self.choose.reduce(times, axis=0)
        layer = self.pick(times == chosen)
        return {"time": chosen, "value": state["value"][layer, np.arange(len(chosen))]}

    @abstractmethod
    def better(self, times: Array, known: Array) -> NDArray[np.bool_]:
        """Whether a row replaces what was known before its batch."""

    @abstractmethod
    def order(self, rows: Cells) -> Cells:
        """Rows of one time in the order of writing: the last one written stays."""

    @abstractmethod
    def pick(self, matches: NDArray[np.bool_]) -> Cells:
        """Which of the matching layers stands for all."""


class First(End):
    """The earliest row, of equal ones the one that came first."""

    never = _TIMES.max
    choose = np.minimum

    def better(self, times: Array, known: Array) -> NDArray[np.bool_]:
        """Earlier than what is known."""
        return times < known

    def order(self, rows: Cells) -> Cells:
        """Backwards."""
        return rows[::-1]

    def pick(self, matches: NDArray[np.bool_]) -> Cells:
        """The first."""
        layers: Cells = matches.argmax(axis=0)
        return layers


class Last(End):
    """The latest row, of equal ones the one that came last."""

    never = _TIMES.min
    choose = np.maximum

    def better(self, times: Array, known: Array) -> NDArray[np.bool_]:
        """Not earlier than what is known."""
        return times >= known

    def order(self, rows: Cells) -> Cells:
        """As they came."""
        return rows

    def pick(self, matches: NDArray[np.bool_]) -> Cells:
        """The last."""
        layers: Cells = len(matches) - 1 - matches[::-1].argmax(axis=0)
        return layers


class FirstValue(Function):
    """The value of the earliest row."""

    name = "first"
    help = "The value of the earliest row that has one."
    part: Part | None = First()
    takes = ALL_KINDS
    reads_text = True

    def result(self, kind: ColumnKind) -> ColumnKind:
        """The same kind."""
        return kind

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """What is kept, where anything came."""
        return to_column(state["value"], kind, counts > 0)


class LastValue(FirstValue):
    """The value of the latest row."""

    name = "last"
    help = "The value of the latest row that has one."
    part = Last()
