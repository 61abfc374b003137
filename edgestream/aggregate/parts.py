"""Parts: the state that aggregates of one expression share, as columns with one position a cell.

A part itself holds nothing: its arrays are given to it. `Part.update` scatters rows into cells in
the order in which they came, so how a stream was cut into batches leaves no trace. `Part.merge`
merges layers of cells, for windows made of panes and for sessions that turn out to be one.
The field called ``value`` keeps values of the expression's own kind; all others are numbers.
A field may have a row of places for each cell: its initial value then has the shape of that row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.values import Values, keep, to_column
from edgestream.batch import Array
from edgestream.schema import ColumnKind

Cells: TypeAlias = NDArray[np.intp]
Counts: TypeAlias = NDArray[np.int64]
Fields: TypeAlias = Mapping[str, Array]
"""The arrays of a part by the name of the field, all of one length."""


class Part(ABC):
    """State that is updated by rows and merged across cells."""

    ordered: ClassVar[bool] = False
    """Whether rows must come in the order of time; none but late rows then come out of it."""

    def kind(self, kind: ColumnKind) -> ColumnKind:
        """The kind it keeps values of, given that of the expression."""
        return kind

    @abstractmethod
    def initial(self, kind: ColumnKind) -> Fields:
        """What each field of a cell holds before any value, as arrays without dimensions."""

    @abstractmethod
    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Take the values of rows, each into its cell, in order."""

    @abstractmethod
    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """All layers in one: arrays of shape (layers, cells) become (cells,).

        Layers stand in the order of time, or of arrival where their times overlap.
        """

    def filled(self, state: Fields, counts: Counts) -> NDArray[np.bool_]:
        """Which places of the field ``value`` hold one."""
        return counts > 0

    def blank(self, size: int, kind: ColumnKind) -> dict[str, Array]:
        """The fields of ``size`` cells without values."""
        initial = self.initial(self.kind(kind))
        return {n: np.full((size, *one.shape), one, one.dtype) for n, one in initial.items()}

    def widen(
        self, state: Fields, counts: Counts, old: ColumnKind, new: ColumnKind
    ) -> dict[str, Array]:
        """The same state where the expression now gives values of a wider kind."""
        before, after = self.kind(old), self.kind(new)
        if before == after or "value" not in state:
            return dict(state)
        wide = self.blank(len(counts), new)["value"]
        held = self.filled(state, counts)
        there = np.ones(int(np.count_nonzero(held)), np.bool_)
        wide[held] = keep(to_column(state["value"][held], before, there), after)
        return {**state, "value": wide}
