"""Early results: at which moments they leave, of which cells, and the rows up to each moment.

Moments are multiples of ``emit_every`` on the clock of event time. At each, the open windows leave
that changed since the last one, with exactly the rows before it, so that they do not depend on how
the stream was cut or when the watermark moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.batch import Batch
from edgestream.window.kind import FAR, Mask
from edgestream.window.lookup import Numbers


class Early:
    """When early results are due; ``every`` is 0 where there are none."""

    def __init__(self, every: int) -> None:
        """Nothing has changed yet."""
        self.every = every
        self.touched: Mask = np.zeros(0, np.bool_)
        self._any = False

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return int(self.touched.nbytes)

    def touch(self, cells: Numbers, size: int, slots: Numbers | None = None) -> None:
        """Rows of slots came into cells of a pool of ``size``."""
        if size > len(self.touched):
            more = np.zeros(size - len(self.touched), np.bool_)
            self.touched = np.concatenate([self.touched, more])
        if len(cells):
            self.touched[cells] = True
            self._any = True

    def save(self, cells: Numbers) -> dict[str, Any]:
        """Which of some cells changed since the last moment."""
        none = np.zeros(len(cells), np.bool_)
        return {"touched": self.touched[cells] if self._any else none}

    def load(self, arrays: Mapping[str, Any], cells: Numbers, size: int) -> None:
        """The same of other cells, of a pool of ``size``."""
        self.touch(cells[arrays["touched"]], size)

    def clear(self) -> None:
        """A moment has passed."""
        self.touched[:] = False
        self._any = False

    def following(self, watermark: int, low: int) -> int:
        """The next moment at which something leaves, if no row before ``low`` comes."""
        if not self._any and low == FAR:
            return FAR + 1
        after = watermark if self._any else max(watermark, low)
        return (after // self.every + 1) * self.every


class Queue:
    """Rows that are taken in the order of time, batch by batch."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        """Sort each batch; rows of one time keep their order."""
        orders = [np.argsort(batch.times, kind="stable") for batch in batches]
        pairs = zip(batches, orders, strict=True)
        self._batches = [batch.take(order) for batch, order in pairs]
        self._at = [0] * len(self._batches)
        self._find_low()

    def take(self, before: int) -> list[Batch]:
        """The rows before a moment that were not taken yet."""
        if before <= self.low:
            return []
        taken: list[Batch] = []
        for at, batch in enumerate(self._batches):
            begin = self._at[at]
            self._at[at] = end = int(np.searchsorted(batch.times, before))
            if end > begin:
                taken.append(batch.take(slice(begin, end)))
        self._find_low()
        return taken

    def _find_low(self) -> None:
        """The time of the first row left."""
        pairs = zip(self._batches, self._at, strict=True)
        self.low = min((int(b.times[at]) for b, at in pairs if at < len(b)), default=FAR)
