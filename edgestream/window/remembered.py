"""The keys a window operator remembers, and when it forgets them.

A key that holds no state is not forgotten at once: most come again, and to learn a key costs more
than to keep it. Whenever there are twice as many keys as were kept the last time, or windows have
been closed often enough, those go that hold no state and did not come since then. That happens at
a watermark, so that it does not depend on how the stream was cut into batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.batch import Batch, Column
from edgestream.window.index import KeyIndex
from edgestream.window.kind import Mask
from edgestream.window.lookup import Numbers

_FEW = 1024
"""So many keys are never worth forgetting."""
_OFTEN = 64
"""After so many closings keys that did not come are looked for."""


class Remembered:
    """A key index that can forget."""

    def __init__(self, names: Sequence[str]) -> None:
        """Take the names of the key columns."""
        self._index = KeyIndex(names)
        self.names = self._index.names
        self._came = np.zeros(_FEW, np.bool_)
        self._look_at = _FEW
        self._closings = 0
        self.forgets = 0
        """How often keys were forgotten."""

    def __len__(self) -> int:
        """How many slots there are."""
        return len(self._index)

    def closed(self) -> bool:
        """Note that windows were closed; whether it is time to `forget`."""
        self._closings += 1
        count = len(self._index)
        return count >= self._look_at or (count > _FEW and self._closings >= _OFTEN)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._index.nbytes + self._came.nbytes

    def slots(self, batch: Batch) -> Numbers:
        """The slot of each row, adding keys that are new."""
        slots = self._index.slots(batch)
        count = len(self._index)
        if count > len(self._came):
            more = np.zeros(2 * count - len(self._came), np.bool_)
            self._came = np.concatenate([self._came, more])
        self._came[slots] = True
        return slots

    def find(self, batch: Batch) -> Numbers:
        """The slot of each row, −1 where its key is not known."""
        return self._index.find(batch)

    def take(self, slots: Numbers) -> dict[str, Column]:
        """The key columns of slots."""
        return self._index.take(slots)

    def forget(self, used: Mask) -> Numbers | None:
        """The slots that are kept, ascending, which become 0, 1, 2, …; None: all stay."""
        count = len(used)
        kept = np.flatnonzero(used | self._came[:count])
        few = bool(self.names) and 2 * len(kept) <= count
        if few:
            self._index.keep(kept)
            self.forgets += 1
            count = len(kept)
        self._came = np.zeros(max(_FEW, 2 * count), np.bool_)
        self._look_at = max(_FEW, 2 * count)
        self._closings = 0
        return kept if few else None

    def save(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON values and arrays that `load` understands."""
        columns, arrays = self._index.save()
        arrays["came"] = self._came[: len(self)].copy()
        about = {"columns": columns, "look_at": self._look_at, "closings": self._closings}
        return about, arrays

    def load(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Become the keys that gave these to `save`."""
        self._index.load(meta["columns"], arrays)
        self._came = np.array(arrays["came"])
        self._look_at, self._closings = meta["look_at"], meta["closings"]
