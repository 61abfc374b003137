"""An expression as components hold it: text, its tree, and the program made of it once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, Column
from edgestream.errors import ConfigError
from edgestream.expr.kinds import Kinds, check, demands
from edgestream.expr.parser import parse
from edgestream.expr.program import Program, compiled
from edgestream.expr.syntax import Node, names
from edgestream.expr.values import Value, text, to_column, truth
from edgestream.schema import ColumnKind, Schema


@dataclass(frozen=True)
class Expr:
    """An expression over the columns of a batch; two are equal when they mean the same text.

    Making one parses it and raises `ConfigError` whose problems carry the column in the text.
    """

    text: str = field(compare=False)
    tree: Node = field(init=False, repr=False)
    _demands: Mapping[str, ColumnKind] = field(init=False, repr=False, compare=False)
    _program: Program = field(init=False, repr=False, compare=False)
    _gives: ColumnKind = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Parse, check what needs no schema, and compile."""
        tree = parse(self.text)
        object.__setattr__(self, "tree", tree)
        object.__setattr__(self, "_demands", demands(tree))
        object.__setattr__(self, "_program", compiled(tree))
        object.__setattr__(self, "_gives", Kinds(lambda name: "any").of(tree))

    @classmethod
    def from_config(cls, value: object) -> Expr:
        """An expression from its text, or from a constant number, true or false."""
        if isinstance(value, Expr):
            return value
        if isinstance(value, bool):
            return cls("true" if value else "false")
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, int | float):
            if value != value or abs(value) == float("inf"):
                raise ConfigError("expected a finite number")
            return cls(repr(value))
        raise ConfigError(f"expected an expression, got {_shown(value)}")

    @property
    def names(self) -> frozenset[str]:
        """The columns it reads."""
        return names(self.tree)

    def kinds(self) -> Mapping[str, ColumnKind]:
        """What each column is needed as: ``float``, ``string``, ``bool``, or ``any``."""
        return dict(self._demands)

    def check(self, schema: Schema) -> ColumnKind:
        """The kind it gives on rows of a schema.

        Raises `ConfigError` with every column that is not there and every kind that does not fit.
        """
        return check(self.tree, schema)

    def evaluate(self, batch: Batch) -> Column:
        """One value a row; a column that the batch lacks is missing in every row."""
        return to_column(self._value(batch), len(batch), self._gives == "string")

    def mask(self, batch: Batch) -> NDArray[np.bool_]:
        """Where it is true; missing is false."""
        with np.errstate(all="ignore"):
            made = truth(self._computed(batch))
        return cast("NDArray[np.bool_]", made if made.ndim else np.full(len(batch), bool(made)))

    def _value(self, batch: Batch) -> Value:
        with np.errstate(all="ignore"):
            return self._computed(batch)

    def _computed(self, batch: Batch) -> Value:
        value = self._program(batch.columns)
        return text(value) if self._gives == "string" else value

    def __deepcopy__(self, memo: object) -> Expr:
        """Itself: it never changes."""
        return self


def expression(value: Expr | str) -> Expr:
    """The expression a field of type ``Expr | str`` holds."""
    return value if isinstance(value, Expr) else Expr(value)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else repr(value)[:60]
