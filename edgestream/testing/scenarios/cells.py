"""One cell of a row: whether what arrived is what was expected, and both as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edgestream.config.values import Nanos
from edgestream.scenario import iso, offset
from edgestream.testing.scenarios.give import SCALES

TOLERANCE = 1e-9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cells:
    """Compares cells of one test; ``units`` gives the nanoseconds of columns that count time."""

    began: int
    units: Mapping[str, int]

    def same(self, column: str, expected: Any, got: Any) -> bool:
        """Whether a cell holds what was expected: numbers nearly, times by their moment."""
        if expected is None or got is None:
            return expected is got
        if isinstance(expected, int | float) and isinstance(got, int | float):
            return math.isclose(expected, got, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        if isinstance(got, str) and expected == got:
            return True
        if not isinstance(expected, str):
            return False
        distance = offset(expected)
        moment = iso(expected) if distance is None else self.began + distance
        if isinstance(got, str):
            return distance is not None and moment == iso(got)
        return moment is not None and moment == self._moment(column, got)

    def text(self, column: str, value: Any, like: Any = None) -> str:
        """A cell for a table; a time is written as ``like`` is, what was expected there."""
        moment = self._moment(column, value) if offset(like) is not None else None
        if moment is not None:
            distance = moment - self.began
            return f"{'-' if distance < 0 else '+'}{Nanos(abs(distance))}"
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float):
            return f"{value:.10g}"
        if isinstance(value, datetime):
            return value.isoformat().replace("+00:00", "Z")
        return str(value)

    def _moment(self, column: str, value: Any) -> int | None:
        """The nanoseconds since the epoch of what arrived, if it is a time."""
        if isinstance(value, datetime):
            since = value - _EPOCH
            return (since.days * 86_400 + since.seconds) * SCALES["s"] + since.microseconds * 1000
        if column in self.units and isinstance(value, int | float):
            whole = int(value)
            return whole * self.units[column] + round((value - whole) * self.units[column])
        return None
