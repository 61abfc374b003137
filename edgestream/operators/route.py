"""``route``: send rows different ways by conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from edgestream.batch import Batch
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.config.fields import option
from edgestream.errors import ConfigError, Problem
from edgestream.expr import Expr, expression
from edgestream.operators.condition import check_condition
from edgestream.schema import ColumnKind, Schema

_PORT = re.compile(r"[a-z][a-z0-9_-]*")


@component(
    "route",
    shorthand="conditions",
    examples=(
        "route: {hot: temperature > 30, cold: temperature < 0}",
        """\
route:
  conditions:
    alarm: smoke > 0.5
    warm: temperature > 25
  first: false
""",
    ),
)
class Route(Operator):
    """Send each row by the port of the first condition that is true of it.

    A port is called like its condition; other streams and sinks take it with ``from: stream.hot``.
    Rows for which no condition is true go on to the next step. With ``first: false`` a row leaves
    by every port whose condition is true of it. A comparison with a missing value is false.

    Rows that leave by a port that nothing takes are gone on purpose.
    """

    conditions: Mapping[str, Expr | str] = option(
        help="Port → what must be true of a row.", example="{hot: temperature > 30}"
    )
    first: bool = option(
        default=True, help="Whether a row leaves only by the first port whose condition is true."
    )

    def check(self) -> None:
        """At least one port, and names that can stand in ``from:``."""
        hint = "write route: {hot: temperature > 30}"
        if not self.conditions:
            raise ConfigError(Problem("there is no condition", ("conditions",), hint))
        hint = "use a small letter, then small letters, digits, - and _"
        problems = [
            Problem(f"{name!r} is not a usable name", ("conditions", name), hint)
            for name in self.conditions
            if not _PORT.fullmatch(name)
        ]
        if problems:
            raise ConfigError(problems)
        self.ports = tuple(self.conditions)

    def infer(self, schema: Schema) -> Schema:
        """The same columns; `ConfigError` with every condition that is none."""
        problems: list[Problem] = []
        for name, condition in self.conditions.items():
            try:
                check_condition(condition, schema, "conditions", name)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The columns of the conditions."""
        used: dict[str, ColumnKind] = {}
        for condition in self.conditions.values():
            for column, kind in expression(condition).kinds().items():
                if used.get(column, "any") == "any":
                    used[column] = kind
        return used

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """The rows of each port, and the rest."""
        if not len(batch):
            return []
        outputs: list[tuple[str, Batch]] = []
        left = np.ones(len(batch), np.bool_)
        for port, condition in self.conditions.items():
            true = expression(condition).mask(batch)
            rows = np.flatnonzero(true & left if self.first else true)
            left &= ~true
            if len(rows):
                outputs.append((port, batch if len(rows) == len(batch) else batch.take(rows)))
        rest = np.flatnonzero(left)
        if len(rest):
            outputs.append((MAIN, batch if len(rest) == len(batch) else batch.take(rest)))
        return outputs
