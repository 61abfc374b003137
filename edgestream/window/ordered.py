"""What kinds share that take the rows of a key in the order of time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgestream.window.current import Current, just_after
from edgestream.window.kind import FAR, UNKNOWN, Closed, Kind, Mask, Rows, Times
from edgestream.window.lookup import Numbers
from edgestream.window.order import by_slot


class Sorted:
    """The rows that came in time, by slot and time; those of one time as they came."""

    def __init__(self, rows: Rows, late: Mask | None) -> None:
        """Leave late rows out."""
        slots, times = rows.slots, rows.times
        if late is not None:
            slots, times = slots[~late], times[~late]
        self.order = by_slot(slots, times)
        self.slots, self.times = slots[self.order], times[self.order]
        self._ranks: Times | None = None
        self._packed = self.slots

    def back(self, values: Numbers) -> Numbers:
        """Values of sorted rows, in the order in which the rows came."""
        out = np.empty_like(values)
        out[self.order] = values
        return out

    def search(self, slots: Numbers, moments: Times) -> Numbers:
        """The first row of each slot that is not before a moment, or where the next slot begins."""
        if self._ranks is None:
            self._ranks, rank = np.unique(self.times, return_inverse=True)
            self._packed = self.slots * (len(self._ranks) + 1) + rank
        wanted = slots * (len(self._ranks) + 1) + np.searchsorted(self._ranks, moments)
        return np.searchsorted(self._packed, wanted)


def late(kind: Kind, rows: Rows) -> Mask | None:
    """Rows before the watermark, whose place in the order of time has passed; None: none."""
    if rows.accepted:
        return None
    out: Mask = rows.times < kind.mark(rows.slots)
    return out if out.any() else None


def expires(current: Current, most: int) -> int:
    """When the first window will have been open for ``most``; at once where one is over."""
    if current.ended:
        return UNKNOWN
    first = int(current.start.min()) if most else FAR
    return FAR if first == FAR else first + most


def still_open(current: Current, most: int) -> Times:
    """Where open windows end, as far as can be said: at their bound, or after their last row."""
    ends: Times = current.start + most if most else just_after(current.last)
    return ends


def leaving(kind: Kind, current: Current, most: int) -> Iterator[Closed]:
    """The windows that are over by now, and all that are open where the stream has ended."""
    slots = np.flatnonzero(current.cell)
    if most:
        current.expire(slots, most, kind.mark(slots))
        slots = np.flatnonzero(current.cell)
    ended = finished(kind, slots)
    if len(ended):
        current.end(ended, just_after(current.last[ended]))
    yield from current.leaving()
    kind.due = expires(current, most)


def finished(kind: Kind, slots: Numbers) -> Numbers:
    """Those of the slots whose stream has ended."""
    over: Numbers = slots[np.full(len(slots), FAR) == kind.mark(slots)]
    return over
