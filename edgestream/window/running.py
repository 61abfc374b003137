"""A window operator while it runs: key index, cells and a kind of window, put together.

Rows wait a little to be taken together with others; nothing that leaves can tell. Where the order
of time matters they wait for the watermark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.aggregate.aggregate import Aggregate
from edgestream.aggregate.cells import Cells
from edgestream.aggregate.pool import Pool
from edgestream.batch import Array, Batch, concat
from edgestream.window.early import Early, Queue
from edgestream.window.grid import EARLIEST, LATEST
from edgestream.window.kind import FAR, UNKNOWN, Closed, Kind, Mask, Rows, Times
from edgestream.window.known import Known
from edgestream.window.lookup import Numbers
from edgestream.window.remembered import Remembered
from edgestream.window.stored import within
from edgestream.window.waiting import Waiting

START, END = "window_start", "window_end"
_ENOUGH = 4096
"""So many rows are taken together, unless a window is complete before."""
_FEW_CELLS, _SPARE = 1 << 14, 16
"""More cells than the first are given back to the system when one in so many is lent."""


class Running:
    """The state of one window operator."""

    def __init__(
        self,
        by: Sequence[str],
        aggregates: Mapping[str, Aggregate],
        kind: Callable[[Pool], Kind],
        reads: Iterable[str] = (),
        emit_every: int = 0,
    ) -> None:
        """Start without rows; ``reads`` are columns the kind looks at, 0 is no early results."""
        self._keys = Remembered(by)
        self._aggregates = aggregates
        self._pool = Pool(aggregates)
        self._make_kind = kind
        self._kind = kind(self._pool)
        self._early = Early(emit_every)
        self._in_time = any(aggregate.ordered for aggregate in aggregates.values())
        self._ordered = self._kind.ordered or self._in_time or bool(emit_every)
        self._enough = _ENOUGH
        self._asked, self._matters = 0, FAR
        self._waiting = Waiting(
            sorted({*by, *reads}.union(*(one.names for one in aggregates.values())))
        )
        self.known = Known(self._keys, self._waiting)

    @property
    def due(self) -> int | None:
        """The watermark at which windows will next close, as far as it is known."""
        due = self._kind.next_end()
        return None if due in (FAR, UNKNOWN) else due

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        waiting = self._waiting.nbytes + self._early.nbytes
        return self._keys.nbytes + self._pool.nbytes + self._kind.nbytes + waiting

    def add(self, batch: Batch) -> Mask | None:
        """Take rows; the mask says which came too late for every window, None: none did."""
        times = batch.times
        low, high = int(np.minimum.reduce(times)), int(np.maximum.reduce(times))
        if low < EARLIEST or high >= LATEST:
            inside = (times >= EARLIEST) & (times < LATEST)
            return self._add_some(batch, inside) | ~inside
        kind = self._kind
        if low >= (kind.watermark if self._ordered else kind.safe):
            self._wait(batch, low)
            return None
        self._take_waiting()
        if not self._ordered or high < kind.watermark:
            return self._place_late(batch)
        early = times >= kind.watermark
        self._wait(batch.take(early), kind.watermark)
        late = self._add_some(batch, ~early)
        return late if late.any() else None

    def advance(self, watermark: int) -> Iterator[Batch]:
        """The windows that are complete, or corrected since they left."""
        kind, waiting = self._kind, self._waiting
        if self._ordered:
            watermark = _whole(watermark)
        watermark = max(watermark, kind.watermark)
        if self._early.every:
            yield from self._emit_early(watermark)
        before, kind.watermark = kind.watermark, watermark
        if watermark < kind.due and watermark - kind.soonest < waiting.low:
            return
        if watermark - kind.soonest >= waiting.low or watermark >= self._needed():
            self._take_waiting()
        for closed in kind.close():
            yield leaving_batch(self._keys, in_time(closed, kind, before))
        self._forget()

    def save(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """JSON values and arrays that `load` understands; nothing in them changes later."""
        if self._kind.exact:
            self._take_waiting()
        arrays = self._kind.save()
        at = arrays.pop("cells")
        cells = self._pool.cells.take(at)
        keys, key_arrays = self._keys.save()
        state, state_arrays = cells.save()
        held, held_arrays = self._waiting.save()
        meta = {
            "watermark": self._kind.watermark,
            "keys": keys,
            "state": state,
            "held": held,
        }
        groups = {"kind": arrays, "key": key_arrays, "cell": state_arrays, "held": held_arrays}
        groups |= self._beside(at)
        return meta, {
            f"{prefix}.{name}": array
            for prefix, group in groups.items()
            for name, array in group.items()
        }

    def load(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Go on from what `save` gave."""
        self._keys.load(meta["keys"], part("key", arrays))
        state = Cells(self._aggregates)
        state.load(meta["state"], part("cell", arrays))
        self._kind.watermark = meta["watermark"]
        kind = part("kind", arrays)
        if "slots" in kind:
            within(kind["slots"], len(self._keys))
        cells = self._settle(state, kind)
        if "early.touched" in arrays:
            self._early.load(part("early", arrays), cells, len(self._pool))
        self._waiting.load(meta["held"], part("held", arrays))

    def _beside(self, cells: Numbers) -> dict[str, dict[str, Any]]:
        """More groups of arrays for `save`; ``cells`` are those that hold state."""
        return {"early": self._early.save(cells)} if self._early.every else {}

    def _forget(self) -> None:
        """Let go of keys and cells that are no longer needed, now and then."""
        if self._keys.closed():
            self._take_waiting()
            kept = self._keys.forget(self._used())
            if kept is not None:
                self._keep(kept)
        if len(self._pool) > _FEW_CELLS and len(self._pool) > _SPARE * (self._pool.lent + 1):
            self._shrink()

    def _used(self) -> Mask:
        """The slots that are still needed."""
        return self._kind.used(len(self._keys))

    def _keep(self, slots: Numbers) -> None:
        """All other slots are gone."""
        self._kind.keep(slots)

    def _wait(self, batch: Batch, low: int) -> None:
        """Let rows wait that are not late, and take them all once there are enough."""
        self._waiting.add(batch, low)
        if self._waiting.rows >= self._enough:
            self._take_waiting()

    def _look_again(self) -> None:
        """Rows that still wait are looked at again once there are so many more."""
        self._enough = self._waiting.rows + _ENOUGH

    def _needed(self) -> int:
        """A watermark below this closes nothing that the rows which wait would change."""
        kind, keys, waiting = self._kind, self._keys, self._waiting
        if not kind.asks:
            return UNKNOWN
        for rows in waiting.newest(waiting.came - self._asked):
            matters = kind.matters(keys.find(rows), len(keys), rows.times)
            self._matters = min(self._matters, matters)
        self._asked = waiting.came
        return self._matters

    def _take_waiting(self) -> None:
        """Place the rows that wait; where order matters, only those before the watermark."""
        waiting, kind = self._waiting, self._kind
        if not self._ordered:
            self._place(waiting.take(), accepted=True)
        elif waiting.low < kind.watermark:
            ready = waiting.take(kind.watermark)
            self._place([_in_time(ready)] if self._in_time else ready, accepted=True)
            self._look_again()
        self._asked, self._matters = waiting.came - waiting.rows, FAR

    def _place(self, batches: list[Batch], accepted: bool = False) -> Mask | None:
        """Put rows into their cells; all see each other, so how they were cut does not matter."""
        if not batches:
            return None
        slots = _joined([self._keys.slots(batch) for batch in batches])
        times = _joined([batch.times for batch in batches])
        low, high = int(np.minimum.reduce(times)), int(np.maximum.reduce(times))
        rows = Rows(slots, len(self._keys), times, low, high, accepted, batches)
        placed = self._kind.place(rows)
        out = placed.late
        if placed.outside is not None:
            out = placed.outside if out is None else out | placed.outside
        begin = done = 0
        for batch in batches:
            if out is not None:
                begin, kept = begin + len(batch), ~out[begin : begin + len(batch)]
                batch = batch if kept.all() else batch.take(kept)  # noqa: PLW2901 - what is left
            cells = placed.cells[done : done + len(batch)]
            done += len(batch)
            if len(batch):
                self._pool.cells.update(cells, batch)
        if self._early.every:
            self._early.touch(placed.cells, len(self._pool), slots if out is None else slots[~out])
        return placed.late

    def _place_late(self, batch: Batch) -> Mask | None:
        """Put rows behind the watermark into their cells; the mask says which came too late."""
        if not self._kind.alone or len(batch) == 1:
            return self._place([batch])
        late = np.zeros(len(batch), np.bool_)
        for rows in rounds(self._keys.slots(batch)):
            found = self._place([batch.take(rows)])
            if found is not None:
                late[rows] = found
        return late if late.any() else None

    def _emit_early(self, watermark: int) -> Iterator[Batch]:
        """Go from one early result to the next, up to the watermark; each sees the rows before."""
        kind, early = self._kind, self._early
        ready = self._waiting.take(watermark) if self._waiting.low < watermark else []
        queue = Queue([_in_time(ready)] if self._in_time and ready else ready)
        while (at := early.following(kind.watermark, queue.low)) <= watermark:
            kind.watermark = at
            self._place(queue.take(at), accepted=True)
            for closed in kind.close():
                yield leaving_batch(self._keys, closed)
            for closed in kind.so_far(early.touched):
                closed.times = np.full(len(closed.slots), at - 1)
                yield leaving_batch(self._keys, closed)
            early.clear()
        self._place(queue.take(watermark), accepted=True)

    def _add_some(self, batch: Batch, wanted: Mask) -> Mask:
        """Take some of the rows; the mask, over all rows, says which of these came too late."""
        out = np.zeros(len(batch), np.bool_)
        if wanted.any():
            late = self.add(batch.take(wanted))
            if late is not None:
                out[np.flatnonzero(wanted)[late]] = True
        return out

    def _shrink(self) -> None:
        """Move to a smaller pool, the way a snapshot would."""
        arrays = self._kind.save()
        early = self._early.save(arrays["cells"])
        state = self._pool.cells.take(arrays["cells"])
        self._pool = Pool(self._aggregates)
        cells = self._settle(state, arrays)
        self._early.clear()
        self._early.load(early, cells, len(self._pool))

    def _settle(self, state: Cells, arrays: Mapping[str, Any]) -> Array:
        """Give saved cells and windows to a new kind and an empty pool."""
        kind = self._make_kind(self._pool)
        kind.watermark, kind.marks = self._kind.watermark, self._kind.marks
        self._kind = kind
        cells = self._pool.lend(len(state))
        self._pool.cells.put(cells, state)
        self._kind.load(arrays, cells)
        return cells


def rounds(slots: Numbers) -> Iterator[Numbers]:
    """The first row of each slot, then the second of each, and so on."""
    order = np.argsort(slots, kind="stable")
    heads = np.flatnonzero(np.append(True, slots[order][1:] != slots[order][:-1]))
    counts = np.diff(np.append(heads, len(slots)))
    for at in range(int(counts.max())):
        yield np.sort(order[heads[counts > at] + at])


def _whole(watermark: int) -> int:
    """In microseconds, as windows are: rows of one are taken together."""
    return watermark if abs(watermark) >= LATEST else watermark // 1000 * 1000


def in_time(closed: Closed, kind: Kind, before: Times | int) -> Closed:
    """At the end of the stream, with times that no watermark had passed before.

    What is open then may have had its last row long ago; the next step would take it for late.
    """
    if kind.ordered and kind.watermark == FAR:
        times = closed.ends - 1 if closed.times is None else closed.times
        closed.times = np.maximum(times, before)
    return closed


def leaving_batch(keys: Remembered, closed: Closed) -> Batch:
    """The rows that leave: keys, the bounds of the window, and the aggregates."""
    columns = {
        **keys.take(closed.slots),
        START: _stamps(closed.starts),
        END: _stamps(closed.ends),
        **closed.cells.finish(),
    }
    times = closed.ends - 1 if closed.times is None else closed.times
    return Batch(columns, times, (*keys.names, START))


def _in_time(batches: list[Batch]) -> Batch:
    """The rows in the order of time, those of one time as they came."""
    batch = concat(batches)
    return batch.take(np.argsort(batch.times, kind="stable"))


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _stamps(nanos: Array) -> Array:
    """Nanoseconds as ``datetime64[us]``."""
    stamps: Array = (nanos // 1000).view("datetime64[us]")
    return stamps


def part(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of one group of those that were saved."""
    start = prefix + "."
    return {name[len(start) :]: arrays[name] for name in arrays if name.startswith(start)}
