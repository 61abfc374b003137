"""What is still to be run and about how long that takes, told as each run starts.

A run takes what the same one took before; else what those of its case have taken so far; else what
the case itself says.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.results import Measured
from benchmarks.runs import Run


@dataclass(frozen=True, slots=True)
class Step:
    """One engine once, and how many seconds its case says that takes."""

    case: str
    variant: str
    engine: str
    seconds: float


class Progress:
    """The steps of a call of the suite, from the first to the last."""

    def __init__(
        self,
        steps: Sequence[Step],
        before: Mapping[str, Measured],
        tell: Callable[[str], None],
    ) -> None:
        """``before`` are earlier results, whose runs say how long they took."""
        self._steps = list(steps)
        self._number, self._total = 0, len(self._steps)
        self._tell = tell
        self._seen: dict[tuple[str, str, str], float] = {}
        self._cases: dict[str, list[float]] = {}
        for name, measured in before.items():
            self._known(name, measured.runs)

    def left(self) -> float:
        """The seconds that the steps which have not started will take."""
        return sum(map(self._expected, self._steps))

    def start(self, case: str, variant: str, engine: str) -> None:
        """Tell what begins; steps before it that were left out are dropped."""
        while self._steps:
            step = self._steps.pop(0)
            self._number += 1
            if (step.case, step.variant, step.engine) == (case, variant, engine):
                break
        what = " ".join(part for part in (case, variant, engine) if part)
        seconds, left = self._expected(step), self.left()
        self._tell(
            f"[{self._number}/{self._total}] {what}: about {seconds:.0f} s, "
            f"then {left / 60:.0f} min to go"
        )

    def done(self, case: str, run: Run) -> None:
        """Learn from a run how long it takes."""
        self._known(case, [run])
        if not run.failed:
            self._cases.setdefault(case, []).append(run.seconds)

    def _known(self, case: str, runs: Iterable[Run]) -> None:
        for run in runs:
            self._seen[case, run.variant, run.engine] = run.seconds

    def _expected(self, step: Step) -> float:
        seen = self._seen.get((step.case, step.variant, step.engine))
        if seen is not None:
            return seen
        taken = self._cases.get(step.case)
        return statistics.mean(taken) if taken else step.seconds
