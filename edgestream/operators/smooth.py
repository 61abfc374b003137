"""``smooth``: a number without its noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch
from edgestream.component import MAIN, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema, numbers
from edgestream.operators.runs import Recent, Runs, medians
from edgestream.schema import ColumnKind, Schema

_NEVER = np.iinfo(np.int64).min
_MOST_GAINS = 1 << 16
_BELONGS = {
    "ewma": ("alpha", "half_life"),
    "median": ("window",),
    "kalman": ("drift", "noise"),
}


@component(
    "smooth",
    examples=(
        "smooth: {column: temperature, by: device, alpha: 0.2}",
        "smooth: {column: power, by: meter, half_life: 30s, as: power_smooth}",
        "smooth: {column: distance, by: device, method: median, window: 5}",
        "smooth: {column: level, by: tank, method: kalman, drift: 0.01, noise: 4}",
    ),
)
class Smooth(PerKey):
    """Put a smoothed number beside each row, in the column ``smoothed``, for each key on its own.

    ``ewma``: the exponentially weighted moving average s ← s + a·(x − s), from the first value on.
    With ``alpha`` the weight a is the same for every row. With ``half_life`` it follows event
    time, a = 1 − 2^(−Δt / half_life), so that uneven readings weigh what they should; a row that
    is not later than those before it then has no weight. (Roberts 1959; for uneven times Eckner,
    "Algorithms for unevenly spaced time series".)

    ``median``: the median of the last ``window`` values, the row's own among them: single spikes
    vanish and steps stay steps. (Tukey 1977.)

    ``kalman``: the Kalman filter of a level that wanders. From row to row it drifts with the
    variance ``drift``, and each value is measured with noise of the variance ``noise``:
    P ← P + drift, K = P / (P + noise), s ← s + K·(x − s), P ← (1 − K)·P, from the first value on
    with P = noise. (Kalman 1960; the local level model of Durbin and Koopman 2012.) The gain K
    stops changing after 65,536 values at the latest.

    A row without a value gets none, and neither it nor an infinite value changes anything. Rows
    of a key count in the order in which they come. A key whose last row lies ``forget`` behind
    the watermark is forgotten.
    """

    column: str = option(help="The column of numbers to smooth.", example="temperature")
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    method: Literal["ewma", "median", "kalman"] = option(default="ewma", help="How to smooth.")
    alpha: float | None = option(
        default=None, help="The weight of a new value (ewma).", minimum=0, maximum=1, example="0.2"
    )
    half_life: Duration | None = option(
        default=None, help="After so long a value has half its weight (ewma).", minimum=1
    )
    window: int | None = option(
        default=None, help="Over how many values (median).", minimum=1, maximum=1000, example="5"
    )
    drift: float | None = option(
        default=None, help="How far the level moves in a row, as a variance (kalman).", minimum=0
    )
    noise: float | None = option(
        default=None, help="How far a value lies off, as a variance (kalman).", minimum=0
    )
    as_: str = option(default="smoothed", help="The name of the column for the result.")
    forget: Duration = option(
        default="1d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()
    _gains: NDArray[np.float64] | None = state()

    def check(self) -> None:
        """A method with what belongs to it, and nothing else."""
        check_by(self.by)
        problems = list(_problems(self))
        if problems:
            raise ConfigError(problems)

    def infer(self, schema: Schema) -> Schema:
        """The columns that enter and the smoothed one."""
        check_schema(schema, {"column": self.column, "by": self.by}, numbers=["column"])
        return schema.with_fields({self.as_: "float"})

    def uses(self) -> Mapping[str, ColumnKind]:
        """The column as numbers, and the key columns."""
        return {**dict.fromkeys(self.by, "any"), self.column: "float"}

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it, without what is added here."""
        return None if wanted is None else wanted - {self.as_}

    def process(self, batch: Batch) -> Outputs:
        """The rows with the smoothed number."""
        if not len(batch):
            return ()
        table = self._state()
        values = numbers(batch, self.column)
        smoothed = np.full(len(batch), np.nan)
        rows, runs = table.some(batch, np.isfinite(values))
        if runs is not None:
            places = rows[runs.order]
            if self.method == "median":
                smoothed[places] = _median(table, runs, values[places])
            else:
                gains = self._weights(table, runs, batch.times[places])
                smoothed[places] = _follow(table, runs, values[places], gains)
        return ((MAIN, batch.with_columns(**{self.as_: smoothed})),)

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; keys are forgotten."""
        self._state().advance(watermark)
        return ()

    def snapshot(self) -> State:
        """The keys with their levels or last values."""
        return self._state().save(self._of())

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another smoothing."""
        self._state().load(saved, self._of())

    def _weights(self, table: Table, runs: Runs, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """The weight of each sorted row."""
        if self.alpha is not None:
            return np.full(len(times), self.alpha)
        if self.half_life is not None:
            stamps = table.columns["time"]
            before = stamps[runs.slots]
            latest = runs.maxima(times, before)
            earlier = runs.previous(latest, before)
            passed = np.where(earlier == _NEVER, 0, latest - earlier)
            stamps[runs.slots] = latest[runs.ends]
            return -np.expm1(passed * (-math.log(2) / nanos(self.half_life)))
        if self._gains is None:
            self._gains = _gains(self.drift or 0.0, self.noise or 0.0)
        counts = table.columns["count"]
        number = counts[runs.slots][runs.of] + runs.ranks
        counts[runs.slots] += runs.counts
        gains: NDArray[np.float64] = self._gains[np.minimum(number, len(self._gains) - 1)]
        return gains

    def _state(self) -> Table:
        if self._table is None:
            blank = {"level": np.array(np.nan)}
            if self.method == "median":
                blank = {"recent": np.full(self.window or 1, np.nan)}
            elif self.half_life is not None:
                blank["time"] = np.array(_NEVER)
            elif self.method == "kalman":
                blank["count"] = np.array(0, np.int64)
            self._table = Table(self.by, nanos(self.forget), blank)
        return self._table

    def _of(self) -> dict[str, object]:
        of = {"by": list(self.by), "column": self.column, "method": self.method}
        return {**of, "window": self.window, "timed": self.half_life is not None}


def _problems(smooth: Smooth) -> Iterator[Problem]:
    if not smooth.as_ or smooth.as_ in smooth.by:
        yield Problem("needs a name of its own", ("as",))
    for method, names in _BELONGS.items():
        given = [name for name in names if getattr(smooth, name) is not None]
        if method != smooth.method:
            yield from (Problem(f"belongs to method: {method}", (name,)) for name in given)
        elif method == "ewma" and len(given) != 1:
            hint = "write alpha: 0.2, or half_life: 30s"
            yield Problem("ewma needs either alpha or half_life", ("method",), hint)
        elif method != "ewma" and len(given) < len(names):
            missing = " and ".join(name for name in names if name not in given)
            yield Problem(f"{method} needs {missing}", ("method",))
    if smooth.alpha == 0:
        yield Problem("must be more than 0", ("alpha",))
    if smooth.noise == 0:
        yield Problem("must be more than 0", ("noise",))


def _median(table: Table, runs: Runs, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of the last values of each row."""
    kept = table.columns["recent"]
    recent = Recent(runs, values, np.ones(len(values), np.bool_), kept[runs.slots])
    kept[runs.slots] = recent.kept()
    out = np.empty(len(values))
    for rows, block in recent.windows(np.arange(len(values)), own=True):
        out[rows] = medians(block)
    return out


def _follow(
    table: Table, runs: Runs, values: NDArray[np.float64], gains: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The level s ← s + gain · (x − s) after each row; a key begins with its first value."""
    level = table.columns["level"]
    before = level[runs.slots]
    new = runs.starts[before != before]
    gains[new] = 1.0
    levels = runs.recurrence(1.0 - gains, gains * values, before)
    level[runs.slots] = levels[runs.ends]
    return levels


def _gains(drift: float, noise: float) -> NDArray[np.float64]:
    """The gain of the 1st, 2nd, … value, until it no longer changes."""
    gains = [1.0]
    while len(gains) < _MOST_GAINS:  # once for all keys, at 0.2 µs a value
        predicted = gains[-1] * noise + drift
        gains.append(predicted / (predicted + noise))
        if math.isclose(gains[-1], gains[-2], rel_tol=1e-15):
            break
    return np.array(gains)
