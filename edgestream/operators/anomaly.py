"""``anomaly``: how far a number lies from what is usual for its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

SCORE, ANOMALY = "score", "anomaly"
_NORMAL = 1.4826
"""The standard deviation of a normal distribution in units of its median absolute deviation."""


@component(
    "anomaly",
    examples=(
        "anomaly: {column: temperature, by: device}",
        "anomaly: {column: flow, by: [site, pump], method: hampel, window: 30, floor: 0.1}",
        "anomaly: {column: power, by: meter, method: seasonal, season: 1d, buckets: 24}",
    ),
)
class Anomaly(PerKey):
    """Say of each row how unusual its value is for its key, from the values that came before it.

    Adds ``score``, the distance from what is usual in units of the usual spread, with its sign,
    and ``anomaly``, true where the score is beyond ``threshold`` in either direction. A key is
    judged once ``least`` values have come; before that, and where the value is missing, the score
    is missing and ``anomaly`` false. Then every value becomes part of what is usual, anomalies
    too. With x the value:

    - ``zscore``: (x − m) / s, with the mean m and the standard deviation s (n − 1) of the last
      ``window`` values, computed afresh in two passes. (Shewhart 1931.)
    - ``ewma``: (x − m) / √v, with an exponentially weighted mean and variance of weight
      a = 2 / (``window`` + 1): d = x − m, m ← m + a·d, v ← (1 − a)·(v + a·d²). For the k-th
      value a is 1/k as long as that is more, so the beginning is the plain mean and variance.
      (Finch 2009, "Incremental calculation of weighted mean and variance"; Welford 1962.)
    - ``hampel``: (x − median) / (1.4826 · MAD) over the last ``window`` values, where the MAD is
      the median of |value − median|: the values before may hold up to half outliers. (Hampel
      1974; Davies and Gather 1993.)
    - ``seasonal``: as ``ewma``, with a mean and variance for each of the ``buckets`` of equal
      length into which the ``season`` is cut (from the epoch, in UTC): Monday at three against
      other Mondays at three. Each bucket is judged once ``least`` values have come in it.

    Where the spread is 0 any other value scores infinite. ``floor`` is the least spread to reckon
    with: give the resolution of the sensor. An infinite value counts as missing. Rows of a key
    count in the order in which they come. A key whose last row lies ``forget`` behind the
    watermark is forgotten.
    """

    column: str = option(help="The column of numbers to judge.", example="temperature")
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    method: Literal["zscore", "ewma", "hampel", "seasonal"] = option(
        default="zscore", help="What is usual."
    )
    threshold: float = option(default=3.0, help="The score beyond which it is one.", minimum=0)
    window: int = option(
        default=60, help="How many values say what is usual.", minimum=2, maximum=10_000
    )
    least: int = option(default=10, help="How many values must have come before.", minimum=2)
    floor: float = option(default=0.0, help="The least spread to reckon with.", minimum=0)
    season: Duration = option(
        default="1d", help="After what time it all begins anew (seasonal).", minimum=1
    )
    buckets: int = option(
        default=24, help="Into how many parts a season is cut (seasonal).", minimum=1, maximum=1000
    )
    forget: Duration = option(
        default="30d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()

    def check(self) -> None:
        """As many values as are needed can be there."""
        check_by(self.by)
        clash = [name for name in self.by if name in (SCORE, ANOMALY)]
        if clash:
            raise ConfigError(Problem(f"{clash[0]} is a column that is added here", ("by",)))
        if self.method in ("zscore", "hampel") and self.least > self.window:
            message = f"{self.least} values never stand in a window of {self.window}"
            raise ConfigError(Problem(message, ("least",), "choose a larger window"))
        if self.method == "seasonal" and nanos(self.season) < self.buckets:
            raise ConfigError(Problem("is shorter than its buckets", ("season",)))

    def infer(self, schema: Schema) -> Schema:
        """The columns that enter, score and anomaly."""
        check_schema(schema, {"column": self.column, "by": self.by}, numbers=["column"])
        return schema.with_fields({SCORE: "float", ANOMALY: "bool"})

    def uses(self) -> Mapping[str, ColumnKind]:
        """The column as numbers, and the key columns."""
        return {**dict.fromkeys(self.by, "any"), self.column: "float"}

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it, without what is added here."""
        return None if wanted is None else wanted - {SCORE, ANOMALY}

    def process(self, batch: Batch) -> Outputs:
        """The rows with their scores."""
        if not len(batch):
            return ()
        table = self._state()
        values = numbers(batch, self.column)
        score = np.full(len(batch), np.nan)
        finite = np.isfinite(values)
        slots = table.slots(batch)
        rows = np.flatnonzero(finite)
        if len(rows):
            slots, limit = slots[rows], len(table)
            if self.method == "seasonal":
                width = -(-nanos(self.season) // self.buckets)
                phase = batch.times[rows] % nanos(self.season) // width
                slots, limit = slots * self.buckets + phase, limit * self.buckets
            runs = Runs(slots, limit)
            places = rows[runs.order]
            with np.errstate(all="ignore"):
                distance, spread = self._judge(table, runs, values[places])
                score[places] = distance / np.maximum(spread, self.floor)
            # 0 from what never varied is usual: 0, not missing as 0 / 0 would say.
            score[places[(distance == 0) & (spread == spread)]] = 0.0
        found = np.abs(score) > self.threshold
        return ((MAIN, batch.with_columns(**{SCORE: score, ANOMALY: found})),)

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; keys are forgotten."""
        self._state().advance(watermark)
        return ()

    def snapshot(self) -> State:
        """The keys with what is usual for them."""
        return self._state().save(self._of())

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another method."""
        self._state().load(saved, self._of())

    def _judge(self, table: Table, runs: Runs, values: NDArray[np.float64]) -> _Judged:
        """Distance and spread of each sorted row; a spread that is missing is not known yet."""
        columns = table.columns
        if self.method in ("zscore", "hampel"):
            judge = _zscore if self.method == "zscore" else _hampel
            kept = columns["recent"]
            recent = Recent(runs, values, np.ones(len(values), np.bool_), kept[runs.slots])
            kept[runs.slots] = recent.kept()
            out = np.empty((2, len(values)))
            for rows, block in recent.windows(np.arange(len(values)), own=False):
                out[:, rows] = judge(values[rows], block, self.least)
            return out[0], out[1]
        flat = {name: column.reshape(-1) for name, column in columns.items()}
        return _ewma(flat, runs, values, 2 / (self.window + 1), self.least)

    def _state(self) -> Table:
        if self._table is None:
            if self.method in ("zscore", "hampel"):
                blank = {"recent": np.full(self.window, np.nan)}
            else:
                width = self.buckets if self.method == "seasonal" else 1
                blank = {name: np.zeros(width) for name in ("mean", "variance")}
                blank["count"] = np.zeros(width, np.int64)
            self._table = Table(self.by, nanos(self.forget), blank)
        return self._table

    def _of(self) -> dict[str, object]:
        of: dict[str, object] = {"by": list(self.by), "column": self.column}
        of["method"] = self.method
        if self.method in ("zscore", "hampel"):
            return {**of, "window": self.window}
        if self.method == "seasonal":
            return {**of, "season": str(self.season), "buckets": self.buckets}
        return of


_Judged = tuple[NDArray[np.float64], NDArray[np.float64]]


def _zscore(values: NDArray[np.float64], block: NDArray[np.float64], least: int) -> _Judged:
    total = block.sum(axis=1)
    count = np.full(len(values), block.shape[1])
    if np.isnan(total).any():
        held = block == block
        count = np.count_nonzero(held, axis=1)
        total = block.sum(axis=1, where=held)
    mean = total / count
    rest = block - mean[:, None]
    rest[rest != rest] = 0.0
    spread = np.sqrt(np.einsum("ij,ij->i", rest, rest) / (count - 1))
    return values - mean, np.where(count >= least, spread, np.nan)


def _hampel(values: NDArray[np.float64], block: NDArray[np.float64], least: int) -> _Judged:
    count = np.count_nonzero(block == block, axis=1)
    middle = medians(block)
    spread = _NORMAL * medians(np.abs(block - middle[:, None]))
    return values - middle, np.where(count >= least, spread, np.nan)


def _ewma(
    columns: Mapping[str, NDArray[np.float64]],
    runs: Runs,
    values: NDArray[np.float64],
    alpha: float,
    least: int,
) -> _Judged:
    mean, variance, count = columns["mean"], columns["variance"], columns["count"]
    old = mean[runs.slots], variance[runs.slots]
    number = count[runs.slots][runs.of] + runs.ranks
    weight = np.maximum(alpha, 1 / (number + 1))
    means = runs.recurrence(1 - weight, weight * values, old[0])
    distance = values - runs.previous(means, old[0])
    distance[number == 0] = 0.0
    fresh = (1 - weight) * weight * np.square(distance)
    variances = runs.recurrence(1 - weight, fresh, old[1])
    spread = np.sqrt(runs.previous(variances, old[1]))
    mean[runs.slots], variance[runs.slots] = means[runs.ends], variances[runs.ends]
    count[runs.slots] += runs.counts
    return distance, np.where(number >= least, spread, np.nan)
