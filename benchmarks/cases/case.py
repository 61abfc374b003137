"""What a case is, and what a call of the suite asks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.runs import Run


@dataclass(frozen=True, slots=True)
class Asked:
    """``quick``: about a tenth of the data, once, and without what must be built by Go."""

    peers: Sequence[str] | None = None
    quick: bool = False
    repetitions: int = 3

    def choose(self, able: Sequence[str], slow: Sequence[str] = ()) -> list[str]:
        """Of the peers that can do a case those that are asked for."""
        if self.peers is not None:
            return [name for name in able if name in self.peers]
        return [name for name in able if not (self.quick and name in slow)]

    def scaled(self, count: int) -> int:
        """How much data."""
        return count // 10 if self.quick else count


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison; ``metric`` is what ratios are of, ``shown`` what stands beside it."""

    name: str
    title: str
    metric: str
    shown: Sequence[str]
    able: Sequence[str]
    run: Callable[[Asked], Iterator[Run]]
