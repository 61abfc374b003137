"""What an aggregate function is: the part it keeps for each cell and what it makes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from edgestream.aggregate.constants import Constant
from edgestream.aggregate.parts import Counts, Fields, Part
from edgestream.batch import Column
from edgestream.errors import ConfigError, Problem
from edgestream.schema import ColumnKind

ALL_KINDS: tuple[ColumnKind, ...] = ("float", "int", "bool", "string", "time", "any")


class Function(ABC):
    """An aggregate function with its constants; without constants one instance serves all uses."""

    name: ClassVar[str]
    help: ClassVar[str]
    error: ClassVar[str] = ""
    """How far off the result may be; nothing where it is as exact as floats are."""
    part: Part | None = None
    columns: ClassVar[tuple[str, ...]] = ("x",)
    """What its expressions are called; the second one, if any, is read as numbers."""
    constants: ClassVar[tuple[Constant, ...]] = ()
    takes: ClassVar[tuple[ColumnKind, ...]] = ("float", "int", "bool", "any")
    """The kinds of its first expression that make sense."""
    needs: ClassVar[str] = "numbers"
    hint: ClassVar[str] = (
        "text and times have count, first, last and mode; times have min and max as well"
    )
    reads_text: ClassVar[bool] = False
    """Whether text is a value; else it is read as a number, missing where it holds none."""
    needs_expression: ClassVar[bool] = True
    wants: ClassVar[ColumnKind] = "any"
    """The kind it asks of a column that is named alone as its first expression."""
    wants_other: ClassVar[ColumnKind] = "float"
    """The same of its second."""

    def __init__(self, *given: float) -> None:
        """Take the constants; examples stand for those left out."""
        self.given = (*given, *(c.example for c in self.constants[len(given) :]))

    def bind(self, given: tuple[float, ...]) -> Function:
        """The same function with these constants; raises `ConfigError` if they do not fit."""
        return type(self)(*given) if self.constants else self

    @property
    def usage(self) -> str:
        """How it is written."""
        names = self.columns if self.needs_expression else ()
        return f"{self.name}({', '.join((*names, *(c.name for c in self.constants)))})"

    @property
    def state_bytes(self) -> int:
        """The bytes it keeps for each key and window; texts, where it keeps any, come on top."""
        counts = 8  # of rows, or of values
        if self.part is None:
            return counts
        return counts + sum(one.nbytes for one in self.part.initial("float").values())

    def check(self, kind: ColumnKind, second: ColumnKind = "any") -> ColumnKind:
        """The kind of the result, given that of the expressions; `ConfigError` if one is wrong."""
        for given, takes in ((kind, self.takes), (second, Function.takes)):
            if given not in takes:
                what = {"string": "text", "bool": "true or false"}.get(given, f"a {given}")
                message = f"{self.name}() needs {self.needs}, and this is {what}"
                raise ConfigError(Problem(message, hint=self.hint))
        return self.result(kind)

    @abstractmethod
    def result(self, kind: ColumnKind) -> ColumnKind:
        """The kind of the result for a kind that it takes."""

    @abstractmethod
    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The results of cells: ``counts`` values each, of ``kind``; missing where there is none.

        ``kind`` is the one its part keeps; without an expression, ``counts`` are rows.
        """


class Measure(Function):
    """A function of numbers that gives a number."""

    wants = "float"

    def result(self, kind: ColumnKind) -> ColumnKind:
        """Always float."""
        return "float"
