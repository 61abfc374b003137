"""The key index: the key columns of a batch to dense slots, and slots back to keys.

Slots are 0, 1, 2, … in the order in which keys first came. Several columns are combined pair by
pair. Keys that no state is held for any more are dropped by `KeyIndex.keep`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.batch import Batch, Column
from edgestream.window.keys import KeyColumn
from edgestream.window.lookup import Lookup, Numbers
from edgestream.window.stored import stored, within

_HALF = 32
_LOW = (1 << _HALF) - 1


class KeyIndex:
    """Key columns ↔ slots; without key columns everything is slot 0."""

    def __init__(self, names: Sequence[str]) -> None:
        """Take the names of the key columns."""
        self.names = tuple(names)
        self._columns = [KeyColumn() for _ in self.names]
        self._pairs = [Lookup() for _ in self.names[1:]]

    def __len__(self) -> int:
        """How many slots there are."""
        if not self.names:
            return 1
        return len(self._pairs[-1]) if self._pairs else len(self._columns[0])

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        pairs = sum(pair.nbytes for pair in self._pairs)
        return sum(column.nbytes for column in self._columns) + pairs

    def slots(self, batch: Batch) -> Numbers:
        """The slot of each row, adding keys that are new."""
        rows = len(batch)
        if not self.names:
            return np.zeros(rows, np.intp)
        slots = self._columns[0].numbers(batch.columns.get(self.names[0]), rows)
        rest = zip(self.names[1:], self._columns[1:], self._pairs, strict=True)
        for name, column, pair in rest:
            numbers = column.numbers(batch.columns.get(name), rows)
            slots = pair.numbers((slots << _HALF) | numbers)
        return slots

    def find(self, batch: Batch) -> Numbers:
        """The slot of each row, −1 where its key never came; adds none."""
        rows = len(batch)
        if not self.names:
            return np.zeros(rows, np.intp)
        slots = self._columns[0].find(batch.columns.get(self.names[0]), rows)
        rest = zip(self.names[1:], self._columns[1:], self._pairs, strict=True)
        for name, column, pair in rest:
            numbers = column.find(batch.columns.get(name), rows)
            found = pair.find((slots << _HALF) | (numbers & _LOW))
            slots = np.where((slots < 0) | (numbers < 0), -1, found)
        return slots

    def take(self, slots: Numbers) -> dict[str, Column]:
        """The key columns of slots."""
        found: dict[str, Column] = {}
        for at in range(len(self.names) - 1, 0, -1):
            packed = self._pairs[at - 1].values[slots]
            found[self.names[at]] = self._columns[at].take(packed & _LOW)
            slots = packed >> _HALF
        if self.names:
            found[self.names[0]] = self._columns[0].take(slots)
        return {name: found[name] for name in self.names}

    def keep(self, slots: Numbers) -> None:
        """Forget all other slots; those kept, ascending, become 0, 1, 2, …"""
        for at in range(len(self.names) - 1, 0, -1):
            packed = self._pairs[at - 1].values[slots]
            right, low = np.unique(packed & _LOW, return_inverse=True)
            slots, high = np.unique(packed >> _HALF, return_inverse=True)
            self._columns[at].keep(right)
            self._pairs[at - 1] = Lookup((high << _HALF) | low)
        if self.names:
            self._columns[0].keep(slots)

    def save(self) -> tuple[list[Any], dict[str, Any]]:
        """JSON values and arrays that `load` understands."""
        meta: list[Any] = []
        arrays: dict[str, Any] = {}
        for at, column in enumerate(self._columns):
            described, arrays[f"key.{at}"] = column.save()
            meta.append(described)
        for at, pair in enumerate(self._pairs):
            arrays[f"pair.{at}"] = pair.values.copy()
        return meta, arrays

    def load(self, meta: Sequence[Any], arrays: Mapping[str, Any]) -> None:
        """Become the index that gave these to `save`."""
        for at, column in enumerate(self._columns):
            column.load(meta[at], arrays[f"key.{at}"])
        before = len(self._columns[0]) if self._columns else 0
        for at, column in enumerate(self._columns[1:]):
            values = stored(arrays[f"pair.{at}"], np.int64, None)
            within(values >> _HALF, before)
            within(values & _LOW, len(column))
            self._pairs[at], before = Lookup(values), len(values)
