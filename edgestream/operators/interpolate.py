"""``interpolate``: readings at uneven times onto an even grid of times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import NAT, Batch, Column
from edgestream.component import MAIN, OVERFLOW, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.operators.names import check_names
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema, numbers
from edgestream.operators.runs import Runs
from edgestream.schema import ColumnKind, Schema
from edgestream.window.lookup import Numbers

LATE, TIME = "late", "time"
_MICRO = 1000
_MOST_POINTS = 10_000
_TEN_YEARS = 3650 * 86_400_000_000_000


@component(
    "interpolate",
    examples=(
        "interpolate: {every: 1s, columns: [temperature], by: device}",
        "interpolate: {every: 1m, columns: [level, flow], by: [site, tank], max_gap: 10m}",
    ),
)
class Interpolate(PerKey):
    """Give the value of columns at even times, on straight lines between consecutive readings.

    One row leaves for each key and each multiple of ``every`` since the epoch: the key columns,
    ``time`` and the columns, which become floats. ``(keys, time)`` identifies it. It leaves as
    soon as the reading on its right side has come; where a reading stands on the grid itself, its
    own value leaves. Between readings more than ``max_gap`` apart nothing is known, and no row
    leaves for the times between. A window behind it closes later by ``max_gap``, since a reading
    may give rows for so long before it.

    A row without any of the values is no reading. Where one of several values is missing in a
    reading, it is missing on the lines to both sides; for columns that come in rows of their own
    use one step a column. A reading that is not later than the one of its key before it leaves
    unchanged by the port ``late``: put ``sort`` before it where rows come out of order.

    A key whose last row lies ``forget`` behind the watermark is forgotten.
    """

    ports = (LATE, OVERFLOW)

    every: Duration = option(
        help="How far the times are apart.", minimum=_MICRO, maximum=_TEN_YEARS, example="1s"
    )
    columns: Sequence[str] = option(help="The columns of numbers.", example="[temperature]")
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    max_gap: Duration = option(
        default="1m", help="Readings further apart have nothing between them.", maximum=_TEN_YEARS
    )
    forget: Duration = option(
        default="1d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()

    def check(self) -> None:
        """Names that do not clash, and not too many rows a reading."""
        check_names(self.columns)
        check_by(self.by)
        problems: list[Problem] = []
        every = nanos(self.every)
        if every % _MICRO:
            message = f"must be whole microseconds, got {self.every}"
            problems.append(Problem(message, ("every",)))
        elif nanos(self.max_gap) // every > _MOST_POINTS:
            message = f"a gap of {self.max_gap} holds more than {_MOST_POINTS:,} times"
            problems.append(Problem(message, ("max_gap",), "choose a larger every"))
        for field in ("columns", "by"):
            for index, name in enumerate(getattr(self, field)):
                if name == TIME:
                    message = f"{TIME} is the column of the new times"
                    problems.append(Problem(message, (field, index), "rename it before"))
                elif field == "columns" and name in self.by:
                    problems.append(Problem(f"{name!r} is a key column", (field, index)))
        if problems:
            raise ConfigError(problems)

    def infer(self, schema: Schema) -> Schema:
        """The key columns, the time and the columns as floats."""
        check_schema(schema, {"columns": self.columns, "by": self.by}, numbers=["columns"])
        kinds: dict[str, ColumnKind] = {name: schema.kind(name) for name in self.by}
        return Schema.of_kinds({**kinds, TIME: "time", **dict.fromkeys(self.columns, "float")})

    def uses(self) -> Mapping[str, ColumnKind]:
        """The columns as numbers, and the key columns."""
        return {**dict.fromkeys(self.by, "any"), **dict.fromkeys(self.columns, "float")}

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """No column passes; what leaves by the port ``late`` are the columns that enter."""
        return frozenset()

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The key columns and the time."""
        return (*self.by, TIME)

    def process(self, batch: Batch) -> Outputs:
        """The rows on the grid up to these readings; those out of order leave by ``late``."""
        if not len(batch):
            return ()
        table = self._state()
        values = np.stack([numbers(batch, name) for name in self.columns])
        rows, runs = table.some(batch, (values == values).any(axis=0))
        if runs is None:
            return ()
        before = table.columns["time"]
        times = batch.times[rows[runs.order]]
        latest = runs.maxima(times, before[runs.slots])
        late = times <= runs.previous(latest, before[runs.slots])
        outputs: list[tuple[str, Batch]] = []
        if late.any():
            outputs.append((LATE, batch.take(np.sort(rows[runs.order[late]]))))
            good = ~runs.back(late)
            slots = runs.back(runs.slots[runs.of])[good]
            rows = rows[good]
            if not len(rows):
                return outputs
            runs = Runs(slots, len(table))
        places = rows[runs.order]
        made = self._points(table, runs, places, batch.times[places], values[:, places])
        return [(MAIN, made), *outputs] if len(made) else outputs

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; keys are forgotten."""
        self._state().advance(watermark)
        return ()

    def behind(self) -> int:
        """The longest line: a reading gives rows as far back as the one before it may lie."""
        return int(nanos(self.max_gap))

    def snapshot(self) -> State:
        """The keys with their last readings."""
        return self._state().save(_of(self))

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of other columns or keys."""
        self._state().load(saved, _of(self))

    def _points(
        self,
        table: Table,
        runs: Runs,
        places: Numbers,
        times: NDArray[np.int64],
        values: NDArray[np.float64],
    ) -> Batch:
        """The rows on the grid left of each sorted reading, by arrival of the readings."""
        last, kept = table.columns["time"], table.columns["values"]
        since = runs.previous(times, last[runs.slots])
        olds = [
            runs.previous(row, before)
            for row, before in zip(values, kept[runs.slots].T, strict=True)
        ]
        last[runs.slots], kept[runs.slots] = times[runs.ends], values.T[runs.ends]
        grid = _grid(since, times, places, nanos(self.every), nanos(self.max_gap))
        columns: dict[str, Column] = table.index.take(runs.slots[runs.of[grid.of]])
        columns[TIME] = (grid.times // _MICRO).view("datetime64[us]")
        with np.errstate(all="ignore"):
            for name, old, new in zip(self.columns, olds, values, strict=True):
                left, right = old[grid.of], new[grid.of]
                line = left + (right - left) * grid.share
                columns[name] = np.where(grid.share == 1.0, right, line)
        return Batch(columns, grid.times, (*self.by, TIME))

    def _state(self) -> Table:
        if self._table is None:
            blank = {"time": np.array(NAT), "values": np.full(len(self.columns), np.nan)}
            self._table = Table(self.by, nanos(self.forget), blank)
        return self._table


def _of(step: Interpolate) -> dict[str, object]:
    """What a snapshot is of."""
    return {"by": list(step.by), "columns": list(step.columns)}


@dataclass(frozen=True, slots=True)
class _Grid:
    """Points: the sorted reading on the right of each, its time, and its share of the way there."""

    of: Numbers
    times: NDArray[np.int64]
    share: NDArray[np.float64]


def _grid(
    since: NDArray[np.int64],
    times: NDArray[np.int64],
    places: Numbers,
    every: int,
    max_gap: int,
) -> _Grid:
    """The multiples of ``every`` after the reading before (NAT: none) up to each reading."""
    final = times // every
    near = (since != NAT) & (since >= times - max_gap)
    first = np.where(near, since // every + 1, np.where(times % every == 0, final, final + 1))
    counts = np.maximum(final - first + 1, 0)
    order = np.argsort(places)
    counts = counts[order]
    of = np.repeat(order, counts)
    ramp = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    points = (first[of] + ramp) * every
    start = np.where(near, since, times - 1)[of]  # far away: only the reading itself
    return _Grid(of, points, (points - start) / (times[of] - start))
