"""A window operator while it runs: key index, cells and a kind of window, put together.

Only keys that hold state are remembered, give or take: when there are twice as many as the last
time anyone looked, those without state are forgotten. That happens at a watermark, so that it does
not depend on how the stream was cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.aggregate.aggregate import Aggregate
from edgestream.aggregate.cells import Cells
from edgestream.aggregate.pool import Pool
from edgestream.batch import Array, Batch
from edgestream.window.index import KeyIndex
from edgestream.window.kind import Closed, Kind, Mask, Rows
from edgestream.window.reorder import Reorder

START, END = "window_start", "window_end"
_EARLIEST = -6_857_222_400_000_000_000  # 1752-09-14
_LATEST = 7_258_118_400_000_000_000  # 2200-01-01
"""Times outside have no room for a window in 64 bits of nanoseconds."""
_FEW_KEYS = 1024
"""So many keys are never worth forgetting."""


class Running:
    """The state of one window operator."""

    def __init__(
        self,
        by: Sequence[str],
        aggregates: Mapping[str, Aggregate],
        kind: Callable[[Pool], Kind],
    ) -> None:
        """Start without rows."""
        self._index = KeyIndex(by)
        self._aggregates = aggregates
        self._pool = Pool(aggregates)
        self._kind = kind(self._pool)
        self._look_at = _FEW_KEYS
        self._reorder = Reorder(_names(by, aggregates)) if self._kind.ordered else None

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        held = 0 if self._reorder is None else self._reorder.nbytes
        return self._index.nbytes + self._pool.nbytes + self._kind.nbytes + held

    def add(self, batch: Batch) -> Mask | None:
        """Take rows; the mask says which came too late for every window, None: none did."""
        times = batch.times
        low, high = int(times.min()), int(times.max())
        if low < _EARLIEST or high >= _LATEST:
            inside = (times >= _EARLIEST) & (times < _LATEST)
            return self._add_some(batch, inside) | ~inside
        if self._reorder is None:
            return self._place(batch, low, high)
        if low >= self._kind.watermark:
            self._reorder.add(batch)
            return None
        early = times >= self._kind.watermark
        if not early.any():
            return self._place(batch, low, high)
        self._reorder.add(batch.take(early))
        late = self._add_some(batch, ~early)
        return late if late.any() else None

    def advance(self, watermark: int) -> Iterator[Batch]:
        """The windows that are complete, or corrected since they left."""
        if self._reorder is not None and watermark > self._kind.watermark:
            ready = self._reorder.take(watermark)
            if ready is not None:
                self._place(ready, int(ready.times[0]), int(ready.times[-1]))
        for closed in self._kind.close(watermark):
            yield self._batch(closed)
        if len(self._index) >= self._look_at:
            self._forget()

    def save(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """JSON values and arrays that `load` understands; nothing in them changes later."""
        arrays = self._kind.save()
        cells = self._pool.cells.take(arrays.pop("cells"))
        keys, key_arrays = self._index.save()
        state, state_arrays = cells.save()
        held, held_arrays = ({}, {}) if self._reorder is None else self._reorder.save()
        meta = {
            "watermark": self._kind.watermark,
            "look_at": self._look_at,
            "keys": keys,
            "state": state,
            "held": held,
        }
        groups = {"kind": arrays, "key": key_arrays, "cell": state_arrays, "held": held_arrays}
        return meta, {
            f"{prefix}.{name}": array
            for prefix, group in groups.items()
            for name, array in group.items()
        }

    def load(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Go on from what `save` gave."""
        self._look_at = meta["look_at"]
        self._index.load(meta["keys"], _part("key", arrays))
        state = Cells(self._aggregates)
        state.load(meta["state"], _part("cell", arrays))
        cells = self._pool.lend(len(state))
        self._pool.cells.put(cells, state)
        self._kind.watermark = meta["watermark"]
        self._kind.load(_part("kind", arrays), cells)
        if self._reorder is not None:
            self._reorder.load(meta["held"], _part("held", arrays))

    def _place(self, batch: Batch, low: int, high: int) -> Mask | None:
        placed = self._kind.place(Rows(self._index.slots(batch), batch.times, low, high))
        if placed.late is not None:
            batch = batch.take(~placed.late)
        if len(batch):
            self._pool.cells.update(placed.cells, batch)
        return placed.late

    def _add_some(self, batch: Batch, wanted: Mask) -> Mask:
        """Take some of the rows; the mask, over all rows, says which of these came too late."""
        out = np.zeros(len(batch), np.bool_)
        if wanted.any():
            late = self.add(batch.take(wanted))
            if late is not None:
                out[np.flatnonzero(wanted)[late]] = True
        return out

    def _batch(self, closed: Closed) -> Batch:
        columns = {
            **self._index.take(closed.slots),
            START: _stamps(closed.starts),
            END: _stamps(closed.ends),
            **closed.cells.finish(),
        }
        return Batch(columns, closed.ends - 1, (*self._index.names, START))

    def _forget(self) -> None:
        used = self._kind.used(len(self._index))
        kept = np.flatnonzero(used)
        if self._index.names and 2 * len(kept) <= len(used):
            self._index.keep(kept)
            self._kind.keep(kept)
        self._look_at = max(_FEW_KEYS, 2 * len(kept))


def _names(by: Sequence[str], aggregates: Mapping[str, Aggregate]) -> list[str]:
    """The columns that are read."""
    used = (a.expression.names for a in aggregates.values() if a.expression is not None)
    return sorted(set(by).union(*used))


def _stamps(nanos: Array) -> Array:
    """Nanoseconds as ``datetime64[us]``."""
    stamps: Array = (nanos // 1000).view("datetime64[us]")
    return stamps


def _part(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    start = prefix + "."
    return {name[len(start) :]: arrays[name] for name in arrays if name.startswith(start)}
