"""The watermark of each slot of a window whose keys have watermarks of their own.

A slot goes by the least of the sources that feed the window: by its key where the source has keys
and knows it, by the whole source where it has none. A key that no source knows goes by the least
watermark for all, as far as closing windows goes, and no row of it is too early.

A slot whose watermark went on with the clock is *woken* by a row before it: its watermark goes
back to the firm one, but never before what has left, so that nothing leaves a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from edgestream.batch import Batch
from edgestream.window.fronts import Reached
from edgestream.window.grid import LATEST
from edgestream.window.kind import FAR, UNKNOWN, Mask, Times
from edgestream.window.lookup import Numbers
from edgestream.window.remembered import Remembered

Names: TypeAlias = Mapping[str, tuple[tuple[str, str], ...] | None]
"""By source the pairs (column here, column of its keys); None: it goes by the whole source."""
_EMPTY = np.zeros(0, np.int64)


class Marks:
    """The watermarks, one position a slot, in whole multiples of ``unit`` ns."""

    def __init__(self, names: Names, unit: int) -> None:
        """Start without slots."""
        self._unit = unit
        self._names = {source: pairs for source, pairs in names.items() if pairs is not None}
        self._whole = [source for source, pairs in names.items() if pairs is None]
        self._reached: Mapping[str, Reached] = {}
        self._numbers = {source: np.zeros(0, np.intp) for source in self._names}
        self._looked: dict[str, int] = {}
        self._firm = self.floor = self.of = _EMPTY

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return 8 * len(self.of) * (3 + len(self._numbers))

    @property
    def highest(self) -> int:
        """The greatest watermark."""
        return int(self.of.max()) if len(self.of) else UNKNOWN

    def fit(self, keys: Remembered) -> bool:
        """Make room for new slots; of a key that is not known yet nothing has closed."""
        known, count = len(self.of), len(keys)
        if count > known:
            slots = np.arange(known, count)
            for source in self._names:
                found = self._find(source, keys, slots)
                self._numbers[source] = np.append(self._numbers[source], found)
            firm = self._least("firm", known, UNKNOWN)
            self._firm = np.append(self._firm, firm)
            self.of = np.append(self.of, firm)
            self.floor = np.append(self.floor, np.full(count - known, UNKNOWN))
        return count > known

    def wake(self, slots: Numbers, times: Times) -> None:
        """Rows came: slots that have slept go back as far as a row before their watermark needs."""
        early = times < self.of[slots]
        if early.any():
            some = slots[early]
            back = np.maximum(self._firm[some], self.floor[some])
            self.of[some] = np.minimum(self.of[some], back)

    def note(self, reached: Mapping[str, Reached]) -> None:
        """The sources have got so far; nothing goes on by it yet."""
        for source in self._names:
            index = reached[source].index
            if source in self._reached and index is not self._reached[source].index:
                self._numbers[source][:] = -1
                self._looked.pop(source, None)
        self._reached = reached

    def following(self, keys: Remembered, low: int) -> Times:
        """The watermarks to go on to; ``low`` is the one for all."""
        self.fit(keys)
        for source in self._names:
            index = self._reached[source].index
            assert index is not None
            unknown = np.flatnonzero(self._numbers[source] < 0)
            if len(unknown) and len(index) != self._looked.get(source):
                self._numbers[source][unknown] = self._find(source, keys, unknown)
            self._looked[source] = len(index)
        self._firm = self._least("firm", 0, UNKNOWN)
        return np.maximum(self.of, self._least("marks", 0, low))

    def leave(self, slots: Numbers, moments: Times) -> None:
        """What was said of slots up to a moment has left: they never go back before it."""
        np.maximum.at(self.floor, slots, moments)

    def asleep(self) -> Mask:
        """The slots that may still go back: what has left of them must not be forgotten."""
        known = np.zeros(len(self.of), np.bool_)
        for numbers in self._numbers.values():
            known |= numbers >= 0
        return known & (self.of > self._firm)

    def firm(self, slots: Numbers) -> Times:
        """The watermarks that slots can go back to; where nothing is known, those they have."""
        back = np.maximum(self._firm[slots], self.floor[slots])
        return np.where(self._firm[slots] == UNKNOWN, self.of[slots], back)

    def keep(self, slots: Numbers) -> None:
        """All other slots are gone; those kept, ascending, become 0, 1, 2, …"""
        self.of, self._firm, self.floor = self.of[slots], self._firm[slots], self.floor[slots]
        self._numbers = {source: mine[slots] for source, mine in self._numbers.items()}

    def save(self) -> dict[str, Any]:
        """Arrays that `load` understands."""
        return {"of": self.of.copy(), "floor": self.floor.copy()}

    def load(self, arrays: Mapping[str, Any], slots: int, watermark: int) -> None:
        """Become what gave these; without any, all slots have got to one watermark."""
        self.of = np.array(arrays.get("of", np.full(slots, watermark)))
        self.floor = np.array(arrays.get("floor", np.full(slots, watermark)))
        self._firm = np.full(slots, UNKNOWN)
        self._numbers = {source: np.full(slots, -1) for source in self._names}

    def _find(self, source: str, keys: Remembered, slots: Numbers) -> Numbers:
        index = self._reached[source].index if source in self._reached else None
        if index is None:
            return np.full(len(slots), -1)
        columns = keys.take(slots)
        named = {theirs: columns[mine] for mine, theirs in self._names[source]}
        return index.find(Batch(named, np.zeros(len(slots), np.int64)))

    def _least(self, which: str, begin: int, otherwise: int) -> Times:
        """The least over the sources, for slots from ``begin`` on."""
        lows = [self._reached[source].low for source in self._whole if source in self._reached]
        count = max([len(mine) for mine in self._numbers.values()]) - begin
        least = np.full(count, min(lows, default=FAR))
        any_ = np.full(count, bool(lows))
        for source, numbers in self._numbers.items():
            values = getattr(self._reached[source], which) if source in self._reached else _EMPTY
            mine = numbers[begin:]
            known = (mine >= 0) & (mine < len(values))
            if len(values):
                theirs = values[np.where(known, mine, 0)]
                least = np.where(known, np.minimum(least, theirs), least)
                any_ |= known
        found = np.where(any_, least, otherwise)
        inside = (found > -LATEST) & (found < LATEST)
        return np.where(inside, found // self._unit * self._unit, found)
