"""What lies between rows that follow each other: ``integral``, ``rate`` and their kin.

Rows come in the order of time: the window lets them wait until nothing earlier is awaited. A row
that is late all the same, and older than the last one of its cell, takes no part: the path is
already drawn. An infinity makes the result missing, for there is no line to it.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.function import Function, Measure
from edgestream.aggregate.groups import Groups, grouped
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values, to_column
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind

_TIMES = np.iinfo(np.int64)
_SECOND = 1e9


class Path(Part):
    """The first and the last row, and a total over the steps from each row to the next."""

    ordered = True

    def kind(self, kind: ColumnKind) -> ColumnKind:
        """Everything is computed in float64."""
        return "float"

    def initial(self, kind: ColumnKind) -> Fields:
        """No row yet."""
        return {
            "first_time": np.array(_TIMES.max, np.int64),
            "first": np.array(np.nan),
            "last_time": np.array(_TIMES.min, np.int64),
            "last": np.array(np.nan),
            "total": np.array(0.0),
        }

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Go on from the last row of each cell."""
        numbers, groups = values.numbers(), values.groups(cells)
        on_path = self.counts(numbers)
        if on_path is None:
            self._go(state, groups, numbers, times)
        elif on_path.any():
            self._go(state, grouped(cells[on_path]), numbers[on_path], times[on_path])

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """The paths of all layers one after the other, with the steps between them."""
        order = np.argsort(state["first_time"], axis=0, kind="stable")
        layers = {name: np.take_along_axis(array, order, 0) for name, array in state.items()}
        path = {name: array[0] for name, array in layers.items()}
        for at in range(1, len(order)):
            path = self._joined(path, {name: array[at] for name, array in layers.items()})
        return path

    def counts(self, numbers: NDArray[np.float64]) -> NDArray[np.bool_] | None:
        """Which values are on the path; None: all."""
        return None

    @abstractmethod
    def step(self, before: Array, after: Array, seconds: Array, origin: Array) -> Array:
        """What a step adds; ``origin`` is the first value of the path."""

    def moved(self, total: Array, shift: Array, seconds: Array) -> Array:
        """A total reckoned from a path's own first value, from one that is ``shift`` less."""
        return total

    def _go(self, state: Fields, groups: Groups, numbers: Array, times: NDArray[np.int64]) -> None:
        cells = groups.cells
        numbers, times = numbers[groups.order], times[groups.order]
        heads = groups.heads
        since = np.concatenate([times[:1], times[:-1]])
        since[heads] = state["last_time"][cells[heads]]
        if (times < since).any():
            kept = _forward(groups, times, state["last_time"])
            if len(kept):
                self._go(state, grouped(cells[kept]), numbers[kept], times[kept])
            return
        fresh = heads[since[heads] == _TIMES.min]
        state["first"][cells[fresh]] = numbers[fresh]
        state["first_time"][cells[fresh]] = times[fresh]
        before = np.concatenate([numbers[:1], numbers[:-1]])
        before[heads] = state["last"][cells[heads]]
        before[fresh], since[fresh] = numbers[fresh], times[fresh]
        seconds = (times - since) / _SECOND
        steps = self.step(before, numbers, seconds, state["first"][cells])
        steps[fresh] = 0.0
        np.add.at(state["total"], cells, steps)
        state["last"][cells[groups.tails]] = numbers[groups.tails]
        state["last_time"][cells[groups.tails]] = times[groups.tails]

    def _joined(self, path: Fields, then: Fields) -> dict[str, Array]:
        """A path and the one that begins after it; where that is empty, the path as it is."""
        more = then["first_time"] != _TIMES.max
        gap = np.maximum(np.where(more, then["first_time"] - path["last_time"], 0), 0)
        length = np.where(more, then["last_time"] - then["first_time"], 0)
        origin = path["first"]
        step = self.step(path["last"], then["first"], gap / _SECOND, origin)
        carried = self.moved(then["total"], then["first"] - origin, length / _SECOND)
        later = more & (then["last_time"] >= path["last_time"])
        return {
            "first_time": path["first_time"],
            "first": origin,
            "last_time": np.maximum(path["last_time"], then["last_time"]),
            "last": np.where(later, then["last"], path["last"]),
            "total": path["total"] + np.where(more, step + carried, 0.0),
        }


def _forward(groups: Groups, times: NDArray[np.int64], last: Array) -> Cells:
    """The rows that are not older than any before them in their cell; all are sorted by cell."""
    ranked = np.unique(np.concatenate([times, last[groups.cells[groups.heads]]]))
    before = np.searchsorted(ranked, times)
    numbers = np.repeat(np.arange(len(groups.heads)), groups.tails - groups.heads + 1)
    known = np.searchsorted(ranked, last[groups.cells[groups.heads]])
    base = numbers * len(ranked)
    latest = np.maximum.accumulate(base + np.maximum(before, known[numbers]))
    return np.flatnonzero(base + before == latest)


class Area(Path):
    """Trapezoids between the values and the first of them: what is left is added at the end."""

    def step(self, before: Array, after: Array, seconds: Array, origin: Array) -> Array:
        """The mean height above the first value, times the seconds."""
        area: Array = ((before - origin) + (after - origin)) * (0.5 * seconds)
        return area

    def moved(self, total: Array, shift: Array, seconds: Array) -> Array:
        """A rectangle more."""
        more: Array = total + shift * seconds
        return more


class Resets(Path):
    """What a counter had reached each time it fell back."""

    def step(self, before: Array, after: Array, seconds: Array, origin: Array) -> Array:
        """The value before a fall; an infinity is never a count."""
        lost = np.where(after < before, before, 0.0)
        return np.where(np.isfinite(after), lost, np.nan)


class Crossings(Path):
    """Changes of sign."""

    def counts(self, numbers: NDArray[np.float64]) -> NDArray[np.bool_] | None:
        """Zero has no sign."""
        signed = numbers != 0
        return None if signed.all() else signed

    def step(self, before: Array, after: Array, seconds: Array, origin: Array) -> Array:
        """1 where the signs differ."""
        crossed: Array = ((before < 0) != (after < 0)).astype(np.float64)
        return crossed


AREA = Area()


def _seconds(state: Fields) -> Array:
    """From the first row to the last; 0 where there is none."""
    some = state["first_time"] != _TIMES.max
    seconds: Array = np.where(some, state["last_time"] - state["first_time"], 0) / _SECOND
    return seconds


def _finite(numbers: Array) -> Array:
    return np.where(np.isfinite(numbers), numbers, np.nan)


class Integral(Measure):
    """The integral over time."""

    name = "integral"
    help = (
        "The area under the values over time in seconds, by trapezoids from the first to the last "
        "value: of watts it is joules. 0 for a single value."
    )
    part = AREA

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The area above the first value, and the rectangle below it."""
        return _finite(state["total"] + state["first"] * _seconds(state))


class TimeWeightedMean(Measure):
    """The mean over time."""

    name = "time_weighted_mean"
    help = (
        "The integral over the time from the first to the last value: a value counts for as long "
        "as it lasts. The last value where no time passes."
    )
    part = AREA

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The mean height above the first value, and the first value."""
        seconds = _seconds(state)
        mean = state["first"] + state["total"] / seconds
        # A step to an infinity has no area, even where it takes no time.
        return _finite(np.where(seconds > 0, mean, state["last"] + state["total"]))


class Rate(Measure):
    """The increase of a counter a second."""

    name = "rate"
    help = (
        "How much a counter grows a second, from the first to the last value. Where a value is "
        "less than the one before, the counter has begun again at 0. Missing where no time passes."
    )
    part = Resets()

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The difference of the ends, and what was lost by beginning again."""
        seconds = _seconds(state)
        grown = (state["last"] - state["first"]) + state["total"]
        return _finite(np.where(seconds > 0, grown / seconds, np.nan))


class ZeroCrossings(Function):
    """How often the sign changes."""

    name = "zero_crossings"
    help = "How often the sign of the values changes; zeros between do not count."
    part = Crossings()
    wants = "float"

    def result(self, kind: ColumnKind) -> ColumnKind:
        """Whole numbers."""
        return "int"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The count."""
        return to_column(state["total"].astype(np.int64), "int", counts > 0)
