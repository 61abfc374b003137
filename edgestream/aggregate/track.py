"""A track: all that is kept of one expression, for any number of cells.

The count of values stands beside the parts and serves them all: it says which cells hold a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.function import Function
from edgestream.aggregate.parts import Cells, Part
from edgestream.aggregate.values import Values, as_numbers, join, present
from edgestream.batch import Array, Column, Strings
from edgestream.expr import Expr
from edgestream.schema import ColumnKind


class Track:
    """The counts and the parts of one expression, one position a cell."""

    __slots__ = ("count", "expression", "kind", "parts", "reads_text", "states")

    def __init__(
        self, expression: Expr, reads_text: bool, parts: Sequence[Part], size: int = 0
    ) -> None:
        """Make ``size`` cells without values."""
        self.expression = expression
        self.reads_text = reads_text
        self.parts = parts
        self.kind: ColumnKind = "any"
        self.count = np.zeros(size, np.int64)
        self.states = [part.blank(size, "any") for part in parts]

    def update(self, column: Column, cells: Cells, times: NDArray[np.int64]) -> None:
        """Take the values of rows, each into its cell."""
        if not self.reads_text and isinstance(column, Strings):
            column = as_numbers(column)
        rows = present(column)
        if rows is not None:
            column, cells, times = column[rows], cells[rows], times[rows]
            if not len(rows):
                return
        values = Values(column)
        if values.kind != self.kind:
            self._widen(join(self.kind, values.kind))
        np.add.at(self.count, cells, 1)
        for part, state in zip(self.parts, self.states, strict=True):
            part.update(state, cells, values, times)

    def take(self, cells: Cells) -> Track:
        """Only these cells, as copies."""
        return self._with(
            self.count[cells],
            [{name: array[cells] for name, array in state.items()} for state in self.states],
        )

    def reduce(self, starts: Cells) -> Track:
        """One cell for each run of cells that begins at one of ``starts``."""
        pairs = zip(self.parts, self.states, strict=True)
        states = [part.reduce(state, self.count, starts) for part, state in pairs]
        return self._with(np.add.reduceat(self.count, starts), states)

    def put(self, cells: Cells, other: Track) -> None:
        """Overwrite cells by those of ``other``, which has the same parts."""
        self._widen(other.kind)
        for mine, theirs in zip(self.arrays(), other.arrays(), strict=True):
            mine[cells] = theirs

    def clear(self, cells: Cells) -> None:
        """Make cells as if no value had ever come."""
        self.count[cells] = 0
        for part, state in zip(self.parts, self.states, strict=True):
            for name, one in part.initial(part.kind(self.kind)).items():
                state[name][cells] = one

    def grow(self, size: int) -> None:
        """Add cells without values, up to ``size``."""
        more = size - len(self.count)
        self.count = np.concatenate([self.count, np.zeros(more, np.int64)])
        for part, state in zip(self.parts, self.states, strict=True):
            for name, blank in part.blank(more, self.kind).items():
                state[name] = np.concatenate([state[name], blank])

    def finish(self, function: Function) -> Column:
        """The results of one function, a row a cell."""
        if function.part is None:
            return function.finish(self.count, {}, self.kind)
        at = self.parts.index(function.part)
        return function.finish(self.count, self.states[at], function.part.kind(self.kind))

    def arrays(self) -> Iterator[Array]:
        """Every array, in an order that the aggregates alone decide."""
        yield self.count
        for state in self.states:
            yield from state.values()

    def load(self, kind: ColumnKind, arrays: Sequence[Any]) -> None:
        """Become the track that gave ``kind`` and ``arrays``."""
        rest = iter(arrays)
        self.kind = kind
        self.count = np.array(next(rest))
        self.states = [
            {name: np.array(next(rest)) for name in part.initial(part.kind(kind))}
            for part in self.parts
        ]

    def _widen(self, kind: ColumnKind) -> None:
        if kind != self.kind:
            pairs = zip(self.parts, self.states, strict=True)
            self.states = [p.widen(state, self.count, self.kind, kind) for p, state in pairs]
            self.kind = kind

    def _with(self, count: NDArray[np.int64], states: Sequence[Mapping[str, Array]]) -> Track:
        made = object.__new__(Track)
        made.expression, made.reads_text, made.parts = self.expression, self.reads_text, self.parts
        made.kind, made.count, made.states = self.kind, count, [dict(state) for state in states]
        return made
