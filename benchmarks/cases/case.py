"""What a case is, and what a call of the suite asks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks.runs import Run, order


@dataclass(frozen=True, slots=True)
class Asked:
    """``quick``: about a tenth of the data, once, and without peers that take long to begin."""

    peers: Sequence[str] | None = None
    quick: bool = False
    repetitions: int = 2

    @property
    def half(self) -> int:
        """How often what takes long is run, at least once."""
        return (self.repetitions + 1) // 2

    def choose(self, able: Sequence[str], slow: Sequence[str] = ()) -> list[str]:
        """Of the peers that can do a case those that are asked for."""
        if self.peers is not None:
            return [name for name in able if name in self.peers]
        return [name for name in able if not (self.quick and name in slow)]

    def scaled(self, count: int) -> int:
        """How much data."""
        return count // 10 if self.quick else count


@dataclass(frozen=True, slots=True)
class Part:
    """The runs of one variant; what ``opened`` gives runs one engine over what it has set up.

    ``seldom`` names peers that are so slow that they run in half of the repetitions.
    """

    variant: str
    peers: Sequence[str]
    repetitions: int
    opened: Callable[[], AbstractContextManager[Callable[[str], Run]]]
    seldom: Sequence[str] = ()

    def order(self) -> list[str]:
        """The engines as they run."""
        return order(self.peers, self.repetitions, self.seldom)


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison; ``metric`` is what ratios are of, ``shown`` what stands beside it.

    ``seconds`` is about what a run takes, for as long as none has been seen.
    """

    name: str
    title: str
    metric: str
    shown: Sequence[str]
    able: Sequence[str]
    parts: Callable[[Asked], Iterable[Part]]
    seconds: float = 10.0
