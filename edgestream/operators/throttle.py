"""``throttle``: no more than so many rows in so much time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch
from edgestream.component import MAIN, OVERFLOW, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema
from edgestream.operators.runs import Runs, split
from edgestream.schema import ColumnKind, Schema

DROPPED = "dropped"
_NEVER = np.iinfo(np.int64).min
_TEN_YEARS = 3650 * 86_400_000_000_000


@component(
    "throttle",
    examples=(
        "throttle: {rate: 5, per: 1s, by: device}",
        "throttle: {rate: 60, per: 1h, burst: 3, by: [site, alarm]}",
    ),
)
class Throttle(PerKey):
    """Let no more than ``rate`` rows of a key pass ``per`` time; the others leave by ``dropped``.

    A token bucket on event time: it holds ``burst`` tokens at most (by default as many as
    ``rate``, but at least one), a row that passes takes one, and one comes back every
    ``per / rate``. After a silence ``burst`` rows may pass at once. Kept as a single time for each
    key and in whole nanoseconds (the virtual scheduling form of the generic cell rate algorithm,
    ITU-T I.371), so nothing is lost to rounding however long it runs.

    Rows of a key count in the order in which they come; one with an earlier time than the rows
    before it finds the tokens of its own time, or fewer. A key whose last row lies ``forget``
    behind the watermark is forgotten.
    """

    ports = (DROPPED, OVERFLOW)

    rate: float = option(help="How many rows may pass.", example="5")
    per: Duration = option(
        default="1s", help="In how much time.", minimum=1, maximum=_TEN_YEARS, example="1m"
    )
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    burst: int | None = option(
        default=None, help="How many may pass at once after a silence.", minimum=1
    )
    forget: Duration = option(
        default="1d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()

    def check(self) -> None:
        """A rate that whole nanoseconds can keep."""
        check_by(self.by)
        if self.rate <= 0:
            raise ConfigError(Problem(f"must be more than 0, got {self.rate:g}", ("rate",)))
        gap, slack = self._times()
        if gap < 1:
            message = "more than one row a nanosecond is no limit"
            raise ConfigError(Problem(message, ("rate",), "choose a lower rate"))
        if gap + slack > _TEN_YEARS:
            message = f"an empty bucket takes more than {_TEN_YEARS // 86_400_000_000_000}d to fill"
            raise ConfigError(Problem(message, ("rate",), "choose a higher rate or less burst"))

    def infer(self, schema: Schema) -> Schema:
        """The same columns."""
        check_schema(schema, {"by": self.by})
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The key columns, of any kind."""
        return dict.fromkeys(self.by, "any")

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """The rows that pass, and by the port ``dropped`` the others."""
        if not len(batch):
            return ()
        table = self._state()
        runs = table.runs(batch)
        ready = table.columns["ready"]
        passed, ready[runs.slots] = self._choose(runs, batch.times[runs.order], ready[runs.slots])
        return split(batch, runs.back(passed), MAIN, DROPPED)

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; keys are forgotten."""
        self._state().advance(watermark)
        return ()

    def snapshot(self) -> State:
        """The keys with the times at which a token is there again."""
        return self._state().save(self._of())

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another throttle."""
        self._state().load(saved, self._of())

    def _choose(
        self, runs: Runs, times: NDArray[np.int64], ready: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Whether each sorted row passes, and when each run has its next token.

        A row at t passes if t ≥ ready; then ready = max(t − slack, ready) + gap. As long as all
        rows of a run pass, that is a running maximum, found for all keys at once. The rows of
        the other runs are looked at one by one, at 100 ns each.
        """
        gap, slack = self._times()
        passed = np.zeros(len(times), np.bool_)
        after = ready.copy()
        if int(runs.counts.max()) * gap < _TEN_YEARS:
            steps = runs.ranks * gap
            then = runs.maxima(times - slack - steps, ready) + steps + gap
            passed = times >= runs.previous(then, ready)
            after = then[runs.ends]
        short = np.flatnonzero(~np.logical_and.reduceat(passed, runs.starts))
        if len(short):
            after[short] = ready[short]
            rows = np.flatnonzero(np.isin(runs.of, short))
            nexts = after.tolist()
            given = (rows.tolist(), runs.of[rows].tolist(), times[rows].tolist())
            for row, run, time in zip(*given, strict=True):
                passed[row] = time >= nexts[run]
                if passed[row]:
                    nexts[run] = max(time - slack, nexts[run]) + gap
            after = np.array(nexts)
        return passed, after

    def _times(self) -> tuple[int, int]:
        """(gap, slack): the time a token takes to come back, and that of all others."""
        gap = round(nanos(self.per) / self.rate)
        burst = max(1, int(self.rate)) if self.burst is None else self.burst
        return gap, (burst - 1) * gap

    def _state(self) -> Table:
        if self._table is None:
            self._table = Table(self.by, nanos(self.forget), {"ready": np.array(_NEVER)})
        return self._table

    def _of(self) -> dict[str, object]:
        gap, slack = self._times()
        return {"by": list(self.by), "gap": gap, "slack": slack}
