"""Which keys a window operator knows: those it remembers, and those of rows that still wait."""

from __future__ import annotations

from edgestream.batch import Batch
from edgestream.window.kind import Mask
from edgestream.window.remembered import Remembered
from edgestream.window.waiting import Waiting


class Known:
    """Tells rows of new keys from others; the keys of rows that wait are learnt before."""

    def __init__(self, keys: Remembered, waiting: Waiting) -> None:
        """Look at these."""
        self._keys, self._waiting = keys, waiting
        self._came = self._forgets = 0

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._keys)

    def grows(self, batch: Batch) -> Mask | None:
        """Which rows are of keys that are not known; None: none."""
        waiting, keys = self._waiting, self._keys
        kept = keys.forgets == self._forgets
        for fresh in waiting.newest(waiting.came - self._came if kept else waiting.rows):
            keys.slots(fresh)
        self._came, self._forgets = waiting.came, keys.forgets
        unknown = keys.find(batch) < 0
        return unknown if unknown.any() else None
