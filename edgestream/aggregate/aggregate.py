"""An aggregate: a function over the values of an expression, as written in a pipeline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgestream.aggregate.function import Function
from edgestream.aggregate.functions import FUNCTIONS
from edgestream.errors import ConfigError, Problem, did_you_mean
from edgestream.expr import Expr, Name
from edgestream.schema import ColumnKind, Schema

_CALL = re.compile(r"(\s*)([A-Za-z_]\w*)(\s*\()")


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``mean(temperature)``: the name of a function and the expression it is applied to."""

    name: str
    expression: Expr | None = None
    _offset: int = field(default=0, repr=False, compare=False)
    """Where the expression begins in the text it was read from, for the places of problems."""

    def __post_init__(self) -> None:
        """Check the name, and that there is an expression where one is needed."""
        if self.name not in FUNCTIONS:
            hint = did_you_mean(self.name, FUNCTIONS)
            raise ConfigError(Problem(f"there is no aggregate {self.name!r}", hint=hint))
        if self.expression is None and self.function.needs_expression:
            hint = f"write {self.name}(column)"
            raise ConfigError(Problem(f"{self.name}() needs an expression", hint=hint))

    @classmethod
    def from_config(cls, value: object) -> Aggregate:
        """Read ``mean(temperature)`` or ``count()``; raises `ConfigError` with the column."""
        if not isinstance(value, str):
            raise ConfigError(Problem("expected an aggregate such as mean(temperature)"))
        call = _CALL.match(value)
        if call is None or not value.rstrip().endswith(")"):
            raise _not_a_call(value, call is not None)
        name, column = call[2], call.start(2) + 1
        inner = value.rstrip()[call.end() : -1]
        try:
            expression = Expr.from_config(inner) if inner.strip() else None
        except ConfigError as error:
            raise ConfigError(_shifted(problem, call.end()) for problem in error.problems) from None
        try:
            return cls(name, expression, call.end())
        except ConfigError as error:
            raise ConfigError(replace(p, column=column) for p in error.problems) from None

    @property
    def function(self) -> Function:
        """What computes it."""
        return FUNCTIONS[self.name]

    def check(self, schema: Schema) -> ColumnKind:
        """The kind of the result; raises `ConfigError` for unknown names and wrong kinds."""
        if self.expression is None:
            return self.function.check("any")
        try:
            kind = self.expression.check(schema)
        except ConfigError as error:
            shifted = [_shifted(problem, self._offset) for problem in error.problems]
            raise ConfigError(shifted) from None
        return self.function.check(kind)

    def kinds(self) -> Mapping[str, ColumnKind]:
        """The columns it reads, with the kind it needs of each."""
        if self.expression is None:
            return {}
        kinds = dict(self.expression.kinds())
        for name, kind in kinds.items():
            if kind == "any" and isinstance(self.expression.tree, Name):
                kinds[name] = self.function.wants
        return kinds

    def __str__(self) -> str:
        """As written in a pipeline."""
        return f"{self.name}({'' if self.expression is None else self.expression.text.strip()})"


def _not_a_call(value: str, opened: bool) -> ConfigError:
    if opened:
        hint = "in a YAML mapping in braces a comma ends the value: put it in quotes"
        return ConfigError(Problem(f"{value!r} has no closing )", hint=hint, column=len(value) + 1))
    word = value.strip()
    if word in FUNCTIONS:
        return ConfigError(Problem(f"{word} is a function", hint=f"write {word}(column)", column=1))
    hint = "write it as function(expression), such as mean(temperature)"
    return ConfigError(Problem(f"{value!r} is not an aggregate", hint=hint, column=1))


def _shifted(problem: Problem, offset: int) -> Problem:
    return replace(problem, column=problem.column + offset) if problem.column else problem
