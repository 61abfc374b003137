"""What operators that decide by a condition have in common."""

from __future__ import annotations

from edgestream.errors import ConfigError, Problem
from edgestream.expr import Expr, expression
from edgestream.schema import Schema


def check_condition(condition: Expr | str, schema: Schema, *path: str) -> None:
    """Raise `ConfigError` where a condition does not fit the columns, or is none."""
    try:
        kind = expression(condition).check(schema)
    except ConfigError as error:
        raise ConfigError(problem.under(*path) for problem in error.problems) from error
    if kind not in ("bool", "any"):
        what = "text" if kind == "string" else "a time" if kind == "time" else "a number"
        hint = "compare it with something, such as x > 0 or x == 'on'"
        message = f"the condition gives {what}, not true or false"
        raise ConfigError(Problem(message, path, hint, column=1))
