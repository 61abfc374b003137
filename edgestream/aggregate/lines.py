"""``slope``, ``intercept`` and ``correlation``: how two things go together.

Both are summed as distances from a shift, so that times of 1.7e18 ns and values around 1e9 keep
their digits; the order of rows does not matter.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.function import Measure
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.shifts import distances, shared
from edgestream.aggregate.values import Values, as_numbers
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind

_LATEST = np.iinfo(np.int64).max
_SECOND = 1e9


class Pairs(Part):
    """Sums, squares and products of the distances of two numbers, a and b, from their shifts."""

    def kind(self, kind: ColumnKind) -> ColumnKind:
        """Everything is computed in float64."""
        return "float"

    def initial(self, kind: ColumnKind) -> Fields:
        """No shift yet, and no sums."""
        return {"b_shift": np.array(np.nan)} | dict.fromkeys(
            ("a", "b", "aa", "ab", "bb"), np.array(0.0)
        )

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Add the distances."""
        a = self.other(state, cells, values, times)
        b = distances(state["b_shift"], cells, values.numbers())
        for name, more in (("a", a), ("b", b), ("aa", a * a), ("ab", a * b), ("bb", b * b)):
            np.add.at(state[name], cells, more)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """Add up the sums, moved to shifts in common."""
        merged, a_moved = self.other_shift(state, counts)
        merged["b_shift"], b_moved = shared(state["b_shift"], counts)
        a, b = state["a"], state["b"]
        moved = {
            "a": a + counts * a_moved,
            "b": b + counts * b_moved,
            "aa": state["aa"] + a_moved * (2 * a + counts * a_moved),
            "bb": state["bb"] + b_moved * (2 * b + counts * b_moved),
            "ab": state["ab"] + a_moved * b + b_moved * (a + counts * a_moved),
        }
        return merged | {name: np.add.reduce(array, axis=0) for name, array in moved.items()}

    @abstractmethod
    def other(
        self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The distances of a, before those of b are known."""

    @abstractmethod
    def other_shift(self, state: Fields, counts: Counts) -> tuple[dict[str, Array], Array]:
        """The fields of a's shift in common, and how far each layer's is from it."""


class InTime(Pairs):
    """A value (b) and its time in seconds (a)."""

    def initial(self, kind: ColumnKind) -> Fields:
        """No shift yet, and no sums."""
        times = {"a_shift": np.array(0, np.int64), "first_time": np.array(_LATEST, np.int64)}
        return times | dict(super().initial(kind))

    def other(
        self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Seconds from the time of the row that came first."""
        fresh = np.flatnonzero(np.isnan(state["b_shift"][cells]))[::-1]
        state["a_shift"][cells[fresh]] = times[fresh]
        np.minimum.at(state["first_time"], cells, times)
        return (times - state["a_shift"][cells]) / _SECOND

    def other_shift(self, state: Fields, counts: Counts) -> tuple[dict[str, Array], Array]:
        """The first time of all, less what keeps whole seconds whole."""
        held = np.where(counts > 0, state["a_shift"], _LATEST)
        common = np.minimum.reduce(held, axis=0)
        moved = np.where(counts > 0, state["a_shift"] - common, 0) / _SECOND
        first = np.minimum.reduce(state["first_time"], axis=0)
        return {"a_shift": common, "first_time": first}, moved


class Together(Pairs):
    """A value (b) and a second one (a)."""

    def initial(self, kind: ColumnKind) -> Fields:
        """No shifts yet, and no sums."""
        return {"a_shift": np.array(np.nan)} | dict(super().initial(kind))

    def other(
        self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """From the first one that came."""
        assert values.second is not None, "correlation has two expressions"
        return distances(state["a_shift"], cells, as_numbers(values.second))

    def other_shift(self, state: Fields, counts: Counts) -> tuple[dict[str, Array], Array]:
        """As for any number."""
        common, moved = shared(state["a_shift"], counts)
        return {"a_shift": common}, moved


def _spread(state: Fields, counts: Counts, one: str, other: str) -> Array:
    """The sum of products of distances from the means."""
    pair = one + other
    spread: Array = state[pair] - state[one] * (state[other] / counts)
    return spread


class Slope(Measure):
    """The slope of the line that fits best."""

    name = "slope"
    help = (
        "How much the values rise a second: the slope of the line that fits best (least squares). "
        "Missing where all have one time."
    )
    part = InTime()

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The spread of both over the spread of time."""
        over_time = _spread(state, counts, "a", "a")
        slope = _spread(state, counts, "a", "b") / over_time
        return np.where((over_time > 0) & np.isfinite(slope), slope, np.nan)


class Intercept(Slope):
    """The height of that line at its beginning."""

    name = "intercept"
    help = "The height of the line that fits best (see slope) at the time of the earliest value."

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """From the means back along the slope."""
        slope = np.asarray(super().finish(counts, state, kind))
        back = (state["first_time"] - state["a_shift"]) / _SECOND - state["a"] / counts
        return state["b_shift"] + (state["b"] / counts + slope * back)


class Correlation(Measure):
    """The correlation of two columns."""

    name = "correlation"
    help = (
        "How far two values rise and fall together, from −1 to 1 (Pearson). Missing where one of "
        "them is always the same."
    )
    part = Together()
    columns = ("x", "y")

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The spread of both over the root of the product of their own."""
        own = np.sqrt(_spread(state, counts, "a", "a")) * np.sqrt(_spread(state, counts, "b", "b"))
        both = _spread(state, counts, "a", "b") / own
        return np.where(own > 0, np.clip(both, -1.0, 1.0), np.nan)
