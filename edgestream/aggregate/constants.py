"""The constants of an aggregate: ``0.95`` in ``quantile(x, 0.95)``, ``30s`` in ``ewma(x, 30s)``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edgestream.config.values import Nanos, nanos
from edgestream.errors import ConfigError

Given: TypeAlias = float | str
"""How a constant may be given: a number, or text as in a pipeline."""


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant argument; bounds are inclusive, a duration is held in nanoseconds."""

    name: str
    kind: Literal["number", "whole", "duration"]
    example: float
    low: float = -math.inf
    high: float = math.inf
    optional: bool = False
    """Whether it may be left out; ``example`` then stands for it."""

    def read(self, given: Given) -> float:
        """The number that is meant; raises `ConfigError` with what is expected."""
        try:
            value = self._number(given)
        except ValueError:
            raise ConfigError(f"{self.name} is {self._wanted()}, got {given!r}") from None
        if not self.low <= value <= self.high:
            raise ConfigError(f"{self.name} is {self._wanted()}, got {self.show(value)}")
        return value

    def show(self, value: float) -> str:
        """A value as written in a pipeline."""
        if self.kind == "duration":
            return str(Nanos(value))
        return str(int(value)) if float(value).is_integer() else repr(float(value))

    def _number(self, given: Given) -> float:
        if self.kind == "duration":
            return nanos(given if isinstance(given, str) else Nanos(given))
        value = float(given)
        if self.kind == "whole":
            if not value.is_integer():
                raise ValueError(given)
            return int(value)
        if not math.isfinite(value):
            raise ValueError(given)
        return value

    def _wanted(self) -> str:
        words = {"number": "a number", "whole": "a whole number", "duration": "a duration like 30s"}
        wanted = words[self.kind]
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f"{wanted} from {self.show(self.low)} to {self.show(self.high)}"
        return wanted
