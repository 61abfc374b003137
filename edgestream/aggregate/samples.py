"""The values themselves with their times, up to a bound: ``collect`` and what needs a whole signal.

Rows come in the order of time, so those that are kept are the earliest. A row that is late all the
same is kept if there is room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.constants import Constant
from edgestream.aggregate.function import ALL_KINDS, Function, Measure
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values, blank
from edgestream.aggregate.written import plain, text
from edgestream.batch import Array, Column, Strings
from edgestream.schema import ColumnKind

_LATEST = np.iinfo(np.int64).max
_SECOND = 1e9
_FEWEST = 4
"""Of fewer samples there is no spectrum."""


@dataclass(frozen=True, slots=True)
class Samples(Part):
    """The first ``most`` values and their times."""

    ordered: ClassVar[bool] = True
    most: int

    def initial(self, kind: ColumnKind) -> Fields:
        """None yet."""
        return {
            "held": np.array(0, np.int64),
            "times": np.full(self.most, _LATEST, np.int64),
            "value": np.full(self.most, blank(kind)),
        }

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Take values as long as there is room."""
        groups = values.groups(cells)
        place = state["held"][groups.cells] + groups.ranks
        room = place < self.most
        state["held"][groups.cells[groups.tails]] = np.minimum(place[groups.tails] + 1, self.most)
        if not room.any():
            return
        rows, at = groups.order[room], groups.cells[room] * self.most + place[room]
        kept = state["value"]
        state["times"].reshape(-1)[at] = times[rows]
        kept.reshape(-1)[at] = Values(values.column[rows]).kept_like(kept)

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """The earliest of all layers."""
        widest = max(1, int(state["held"].max(initial=0)))
        times = np.concatenate(list(state["times"][:, :, :widest]), axis=1)
        kept = np.concatenate(list(state["value"][:, :, :widest]), axis=1)
        order = np.argsort(times, axis=1, kind="stable")[:, : self.most]
        return {
            "held": np.minimum(np.add.reduce(state["held"], axis=0), self.most),
            "times": _padded(np.take_along_axis(times, order, 1), self.most, _LATEST),
            "value": _padded(np.take_along_axis(kept, order, 1), self.most, None),
        }

    def filled(self, state: Fields, counts: Counts) -> NDArray[np.bool_]:
        """The places below the count of what is held."""
        filled: NDArray[np.bool_] = np.arange(self.most) < state["held"][:, None]
        return filled


def _padded(array: Array, width: int, fill: int | None) -> Array:
    """Rows of ``width`` places; what fills up values is never read."""
    if array.shape[1] == width:
        return array
    nothing = 0 if fill is None and array.dtype != object else fill
    padded = np.full((len(array), width), nothing, array.dtype)
    padded[:, : array.shape[1]] = array
    return padded


class Collect(Function):
    """The values themselves."""

    name = "collect"
    help = "The first values in the order of time, as a JSON list; not more than max of them."
    constants = (Constant("max", "whole", 100, 1, 1000, optional=True),)
    takes = ALL_KINDS
    reads_text = True

    def __init__(self, *given: float) -> None:
        """Take the bound."""
        super().__init__(*given)
        self.part = Samples(int(self.given[0]))

    def result(self, kind: ColumnKind) -> ColumnKind:
        """JSON text."""
        return "string"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """One list a cell, missing where there is nothing."""
        order = np.argsort(state["times"], axis=1, kind="stable")
        kept = np.take_along_axis(state["value"], order, 1)
        held = state["held"].tolist()
        rows = zip(kept, held, strict=True)
        return Strings.of([text(plain(row[:n], kind)) if n else None for row, n in rows])


class FftPeak(Measure):
    """The strongest frequency of a signal."""

    name = "fft_peak"
    help = (
        "The frequency in Hz that is strongest in the values. The first max of them, with a line "
        "between each two, are read at even steps and weighted by a Hann window; missing below 4."
    )
    error = "half a step of 1/T, of signals that last T seconds"
    constants = (Constant("max", "whole", 256, 8, 4096, optional=True),)

    def __init__(self, *given: float) -> None:
        """Take the bound."""
        super().__init__(*given)
        self.part = Samples(int(self.given[0]))

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The frequency of the highest peak."""
        return _peaks(state)[0]


class FftAmplitude(FftPeak):
    """How strong that frequency is."""

    name = "fft_amplitude"
    help = "The amplitude of the strongest frequency (see fft_peak), in the unit of the values."
    error = "up to 15 % too low where a frequency lies between two steps"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The height of the highest peak."""
        return _peaks(state)[1]


def _peaks(state: Fields) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequency and amplitude of the highest peak of each cell, some 50 µs each."""
    found = np.full((2, len(state["held"])), np.nan)
    for cell in np.flatnonzero(state["held"] >= _FEWEST).tolist():
        held = state["held"][cell]
        times, values = state["times"][cell, :held], state["value"][cell, :held]
        order = np.argsort(times, kind="stable")
        seconds = (times[order] - times[order[0]]) / _SECOND
        heights = values[order].astype(np.float64) - values[order[0]]
        if seconds[-1] > 0 and np.isfinite(heights).all():
            found[:, cell] = _peak(seconds, heights)
    return found[0], found[1]


def _peak(seconds: NDArray[np.float64], heights: NDArray[np.float64]) -> tuple[float, float]:
    count = len(seconds)
    even = np.interp(np.linspace(0.0, seconds[-1], count), seconds, heights)
    weights = np.hanning(count + 2)[1:-1]
    strength = np.abs(np.fft.rfft((even - even.mean()) * weights))[1:] * 2.0
    if count % 2 == 0:
        strength[-1] /= 2.0
    at = int(strength.argmax())
    amplitude = float(strength[at] / weights.sum())
    frequency = (at + 1) * (count - 1) / (count * float(seconds[-1]))
    return (frequency if amplitude > 0 else np.nan), amplitude
