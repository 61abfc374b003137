"""A track: all that is kept of one expression, or of two together, for any number of cells.

The count of values stands beside the parts and serves them all: it says which cells hold a value.
As long as no value was missing it is the count of rows, and not kept twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.aggregate.beside import Beside, taken
from edgestream.aggregate.function import Function
from edgestream.aggregate.hashes import TextHashes
from edgestream.aggregate.parts import Cells, Counts, Part
from edgestream.aggregate.values import Values, as_numbers, join, plain, present
from edgestream.batch import Array, Batch, Column, Strings
from edgestream.expr import Expr, Name
from edgestream.schema import ColumnKind


class Track:
    """The counts and the parts of one expression, one position a cell."""

    __slots__ = (
        "_name", "_texts", "count", "expression", "kind", "parts", "reads_text", "second", "states"
    )  # fmt: skip

    def __init__(
        self, expressions: Sequence[Expr], reads_text: bool, parts: Sequence[Part], size: int = 0
    ) -> None:
        """Make ``size`` cells without values; of two expressions the second gives numbers."""
        self.expression = expression = expressions[0]
        self.second = expressions[1] if len(expressions) > 1 else None
        self._texts = TextHashes()
        self.reads_text = reads_text
        self.parts = parts
        self._name = expression.tree.name if isinstance(expression.tree, Name) else ""
        self.kind: ColumnKind = "any"
        self.count: Counts | None = None
        self.states = [part.blank(size, "any") for part in parts]

    def update(self, batch: Batch, cells: Cells, rows: Counts) -> None:
        """Take the values of rows, each into its cell; ``rows`` were counted before this batch."""
        column = batch.columns.get(self._name)
        if column is None:
            column = self.expression.evaluate(batch)
        if not self.reads_text and isinstance(column, Strings):
            column = as_numbers(column)
        there, times, second = present(column), batch.times, None
        if self.second is not None:
            second = plain(self.second.evaluate(batch))
            there = _both(there, present(second))
        if there is not None:
            column, cells, times = column[there], cells[there], times[there]
            second = None if second is None else second[there]
            self._count_apart(rows)
        if not len(cells):
            return
        values = Values(column, second, self._texts)
        if values.kind != self.kind:
            self._widen(join(self.kind, values.kind), rows)
        if self.count is not None:
            np.add.at(self.count, cells, 1)
        for part, state in zip(self.parts, self.states, strict=True):
            part.update(state, cells, values, times)

    def take(self, cells: Cells) -> Track:
        """Only these cells, as copies."""
        return self._with(
            None if self.count is None else taken(self.count, cells),
            [{name: taken(array, cells) for name, array in state.items()} for state in self.states],
        )

    def merge(self, rows: Counts) -> Track:
        """All layers in one, of a track that was taken by positions of shape (layers, cells)."""
        pairs = zip(self.parts, self.states, strict=True)
        count = rows if self.count is None else self.count
        merged = [(state, part.merge(state, count)) for part, state in pairs]
        states = [{name: made[name] for name in state} for state, made in merged]
        return self._with(None if self.count is None else np.add.reduce(count, axis=0), states)

    def put(self, cells: Cells, other: Track, rows: Counts) -> None:
        """Overwrite cells by those of ``other``, which has the same parts."""
        self._widen(other.kind, rows)
        if other.count is not None:
            self._count_apart(rows)
        for mine, theirs in zip(self.arrays(), other.arrays(), strict=True):
            mine[cells] = theirs

    def clear(self, cells: Cells) -> None:
        """Make cells as if no value had ever come."""
        if self.count is not None:
            self.count[cells] = 0
        for part, state in zip(self.parts, self.states, strict=True):
            for name, one in part.initial(part.kind(self.kind)).items():
                state[name][cells] = one

    def grow(self, larger: Beside) -> None:
        """Add cells without values."""
        if self.count is not None:
            self.count = larger.of(self.count, 0)
        for part, state in zip(self.parts, self.states, strict=True):
            for name, one in part.initial(part.kind(self.kind)).items():
                state[name] = larger.of(state[name], one)

    def finish(self, function: Function, rows: Counts) -> Column:
        """The results of one function, a row a cell."""
        count = rows if self.count is None else self.count
        if function.part is None:
            return function.finish(count, {}, self.kind)
        at = self.parts.index(function.part)
        return function.finish(count, self.states[at], function.part.kind(self.kind))

    def arrays(self) -> Iterator[Array]:
        """Every array, in an order that the aggregates alone decide."""
        if self.count is not None:
            yield self.count
        for state in self.states:
            yield from state.values()

    def load(self, kind: ColumnKind, counted: bool, arrays: Sequence[Any]) -> None:
        """Become the track that gave these; ``counted``: the first array is the count."""
        wanted = counted + sum(len(part.initial("any")) for part in self.parts)
        if len(arrays) != wanted:
            message = f"{self.expression.text} has {len(arrays)} arrays, not {wanted}"
            raise ValueError(f"{message}: an earlier version of edgestream wrote it")
        rest = iter(arrays)
        self.kind = kind
        self.count = np.array(next(rest)) if counted else None
        self.states = [
            {
                name: np.array(next(rest)).reshape(-1, *one.shape)
                for name, one in part.initial(part.kind(kind)).items()
            }
            for part in self.parts
        ]

    def _widen(self, kind: ColumnKind, rows: Counts) -> None:
        if kind != self.kind:
            count = rows if self.count is None else self.count
            pairs = zip(self.parts, self.states, strict=True)
            self.states = [p.widen(state, count, self.kind, kind) for p, state in pairs]
            self.kind = kind

    def _count_apart(self, rows: Counts) -> None:
        if self.count is None:
            self.count = rows.copy()

    def _with(self, count: Counts | None, states: Sequence[Mapping[str, Array]]) -> Track:
        made = object.__new__(Track)
        made._name, made.expression, made.second = self._name, self.expression, self.second
        made._texts = self._texts
        made.reads_text, made.parts = self.reads_text, self.parts
        made.kind, made.count, made.states = self.kind, count, [dict(state) for state in states]
        return made


def _both(one: Cells | None, other: Cells | None) -> Cells | None:
    """The rows that are among both; None stands for all."""
    if one is None or other is None:
        return other if one is None else one
    return np.intersect1d(one, other, assume_unique=True)
