"""What an aggregate function is: the part it keeps for each cell and what it makes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from edgestream.aggregate.parts import Counts, Fields, Part
from edgestream.batch import Column
from edgestream.errors import ConfigError, Problem
from edgestream.schema import ColumnKind


class Function(ABC):
    """An aggregate function; one instance serves all its uses."""

    name: ClassVar[str]
    help: ClassVar[str]
    part: ClassVar[Part | None] = None
    takes: ClassVar[tuple[ColumnKind, ...]] = ("float", "int", "bool", "any")
    """The kinds of expression that make sense."""
    reads_text: ClassVar[bool] = False
    """Whether text is a value; else it is read as a number, missing where it holds none."""
    needs_expression: ClassVar[bool] = True
    wants: ClassVar[ColumnKind] = "any"
    """The kind it asks of a column that is named alone."""

    def check(self, kind: ColumnKind) -> ColumnKind:
        """The kind of the result, given that of the expression; `ConfigError` if it is wrong."""
        if kind not in self.takes:
            what = "text" if kind == "string" else f"a {kind}"
            message = f"{self.name}() needs numbers, and this is {what}"
            hint = "text and times have count, first and last; times have min and max as well"
            raise ConfigError(Problem(message, hint=hint))
        return self.result(kind)

    @abstractmethod
    def result(self, kind: ColumnKind) -> ColumnKind:
        """The kind of the result for a kind that it takes."""

    @abstractmethod
    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The results of cells: ``counts`` values each, of ``kind``; missing where there is none.

        ``kind`` is the one its part keeps; without an expression, ``counts`` are rows.
        """
