"""A window operator whose keys have watermarks of their own, from the sources that feed it.

As `Running`, but for the question how far things have got: it is asked for each slot. A row is
late by the watermark of its own key, a window closes by it, and early results leave at its moments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.aggregate.aggregate import Aggregate
from edgestream.aggregate.pool import Pool
from edgestream.batch import Batch, concat
from edgestream.window.current import MICRO, just_after
from edgestream.window.early import Early
from edgestream.window.fronts import Reached
from edgestream.window.grid import EARLIEST, LATEST
from edgestream.window.kind import FAR, UNKNOWN, Kind, Mask, Times
from edgestream.window.lookup import Numbers
from edgestream.window.marks import Marks, Names
from edgestream.window.running import Running, in_time, leaving_batch, part


class Keyed(Running):
    """The state of one window operator with a watermark a key."""

    def __init__(
        self,
        by: Sequence[str],
        aggregates: Mapping[str, Aggregate],
        kind: Callable[[Pool], Kind],
        reads: Iterable[str],
        emit_every: int,
        names: Names,
    ) -> None:
        """Start without rows; ``names`` say where the keys of the sources are."""
        super().__init__(by, aggregates, kind, reads, emit_every)
        self._marks = self._kind.marks = Marks(names, MICRO if self._ordered else 1)
        self._early = self._moments = Moments(emit_every)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return super().nbytes + self._marks.nbytes

    def add(self, batch: Batch) -> Mask | None:
        """Take rows; the mask says which came too late for every window, None: none did."""
        times = batch.times
        low, high = int(np.minimum.reduce(times)), int(np.maximum.reduce(times))
        if low < EARLIEST or high >= LATEST:
            inside = (times >= EARLIEST) & (times < LATEST)
            return self._add_some(batch, inside) | ~inside
        slots = self._keys.slots(batch)
        self._fit()
        self._marks.wake(slots, times)
        if not self._ordered:
            if low >= self._kind.safe:
                self._wait(batch, low)
                return None
            self._take_waiting()
            return self._place([batch])
        early = times >= self._marks.of[slots]
        if early.any():
            waiting = batch if early.all() else batch.take(early)
            self._wait(waiting, int(waiting.times.min()))
        if early.all():
            return None
        placed = self._place_late(batch.take(~early))
        if placed is None:
            return None
        late = np.zeros(len(batch), np.bool_)
        late[np.flatnonzero(~early)[placed]] = True
        return late

    @property
    def foremost(self) -> int:
        """The watermark of the key that has got the furthest: `due` is the next after it."""
        return self._kind.watermark

    def note(self, reached: Mapping[str, Reached]) -> None:
        """The sources have got so far; nothing leaves by it."""
        self._marks.note(reached)
        self._marks.following(self._keys, UNKNOWN)

    def advance_each(self, low: int, reached: Mapping[str, Reached]) -> Iterator[Batch]:
        """The windows that are complete, or corrected since they left, each by its own key."""
        kind, marks = self._kind, self._marks
        marks.note(reached)
        following = marks.following(self._keys, low)
        if self._early.every:
            yield from self._leave_early(following)
        highest = max(int(following.max(initial=UNKNOWN)), kind.watermark)
        if highest < kind.due and highest < kind.first_end(self._waiting.low):
            marks.of = following
            kind.watermark = highest
            return
        if self._ordered:
            self._place_ready(following)
        else:
            self._take_waiting()
        yield from self._go_on(following)
        self._forget()

    def load(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Go on from what `save` gave, also where all keys had one watermark."""
        self._keys.load(meta["keys"], part("key", arrays))
        self._marks.load(part("mark", arrays), len(self._keys), meta["watermark"])
        super().load(meta, arrays)
        for batch in self._waiting.newest(self._waiting.rows):
            self._keys.slots(batch)
        self._fit()

    def _fit(self) -> None:
        """New slots begin where their keys have got to."""
        if self._marks.fit(self._keys):
            self._kind.watermark = max(self._kind.watermark, self._marks.highest)

    def _beside(self, cells: Numbers) -> dict[str, dict[str, Any]]:
        self._fit()
        return {**super()._beside(cells), "mark": self._marks.save()}

    def _used(self) -> Mask:
        used = super()._used() | self._marks.asleep()
        for batch in self._waiting.newest(self._waiting.rows):
            used[self._keys.find(batch)] = True
        return used

    def _keep(self, slots: Numbers) -> None:
        super()._keep(slots)
        self._marks.keep(slots)
        self._moments.keep(slots)

    def _take_waiting(self) -> None:
        """Place the rows that wait; where order matters, that is done at a watermark."""
        if not self._ordered:
            self._place(self._waiting.take(), accepted=True)

    def _go_on(self, following: Times) -> Iterator[Batch]:
        """Each slot goes on to its watermark; what leaves does not leave again."""
        kind, before = self._kind, self._marks.of
        kind.follow(following)
        for closed in kind.close():
            self._marks.leave(closed.slots, closed.ends + kind.late)
            yield leaving_batch(self._keys, in_time(closed, kind, before[closed.slots]))

    def _place_ready(self, following: Times) -> None:
        """Place the rows before the watermarks of their keys, in the order of time."""
        ready, slots = self._ready(following)
        if ready is not None:
            self._place_some(ready, slots)

    def _place_some(self, batch: Batch, slots: Numbers) -> None:
        self._place([batch], accepted=True)
        self._marks.leave(slots, just_after(batch.times))

    def _ready(self, following: Times) -> tuple[Batch | None, Numbers]:
        """The rows that wait and are before the watermarks of their keys, by time, with slots."""
        ready: list[Batch] = []
        owners = [np.zeros(0, np.intp)]
        if self._waiting.low >= int(following.max(initial=UNKNOWN)):
            return None, owners[0]
        for batch in self._waiting.take():
            slots = self._keys.slots(batch)
            early = batch.times < following[slots]
            if early.any():
                ready.append(batch if early.all() else batch.take(early))
                owners.append(slots[early])
            if not early.all():
                rest = batch.take(~early)
                self._waiting.add(rest, int(rest.times.min()))
        self._look_again()
        if not ready:
            return None, owners[0]
        batch, slots = concat(ready), np.concatenate(owners)
        order = np.argsort(batch.times, kind="stable")
        return batch.take(order), slots[order]

    def _leave_early(self, following: Times) -> Iterator[Batch]:
        """Each slot goes from one of its moments to the next, up to its watermark."""
        marks, moments, kind = self._marks, self._moments, self._kind
        moments.fit(len(following))
        ready, slots = self._ready(following)
        while True:
            low = np.full(len(following), FAR)
            if ready is not None:
                np.minimum.at(low, slots, ready.times)
            at, going = moments.next_of(marks.of, low, following)
            if not going.any():
                break
            if ready is not None:
                now = going[slots] & (ready.times < at[slots])
                if now.any():
                    self._place_some(ready.take(now), slots[now])
                ready, slots = None if now.all() else ready.take(~now), slots[~now]
            yield from self._go_on(at)
            for closed in kind.so_far(moments.of(going)):
                closed.times = at[closed.slots] - 1
                whole = closed.ends <= closed.times + 1  # as of a global window, up to this moment
                marks.leave(closed.slots[whole], closed.ends[whole])
                yield leaving_batch(self._keys, closed)
            moments.clear_some(going)
        if ready is not None:
            self._place_some(ready, slots)


class Moments(Early):
    """When early results of each slot are due, and of which cells."""

    def __init__(self, every: int) -> None:
        """Nothing has changed yet."""
        super().__init__(every)
        self._owner = np.zeros(0, np.intp)
        self._dirty: Mask = np.zeros(0, np.bool_)

    def fit(self, slots: int) -> None:
        """Make room for slots."""
        if slots > len(self._dirty):
            self._dirty = np.append(self._dirty, np.zeros(slots - len(self._dirty), np.bool_))

    def touch(self, cells: Numbers, size: int, slots: Numbers | None = None) -> None:
        """Rows of slots came into cells of a pool of ``size``."""
        super().touch(cells, size)
        if size > len(self._owner):
            self._owner = np.append(self._owner, np.zeros(size - len(self._owner), np.intp))
        if slots is not None and len(slots):
            self._owner[cells] = slots
            self.fit(int(slots.max()) + 1)
            self._dirty[slots] = True

    def next_of(self, marks: Times, low: Times, until: Times) -> tuple[Times, Mask]:
        """Where each slot goes on to: its next moment, if something leaves at it by ``until``.

        The mask says which slots have such a moment; no row before ``low`` comes.
        """
        dirty = self._dirty[: len(marks)]
        after = np.minimum(np.where(dirty, marks, np.maximum(marks, low)), LATEST)
        at = (after // self.every + 1) * self.every
        going = (dirty | (low < FAR)) & (marks < FAR) & (at <= until)
        return np.where(going, at, marks), going

    def of(self, slots: Mask) -> Mask:
        """The cells of some slots that changed since their last moment."""
        mine: Mask = self.touched & ((self._owner < 0) | slots[self._owner])
        return mine

    def clear_some(self, slots: Mask) -> None:
        """A moment of some slots has passed."""
        self.touched[self.of(slots)] = False
        self._dirty[: len(slots)][slots] = False

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self._dirty[:] = False

    def keep(self, slots: Numbers) -> None:
        """All other slots are gone; those kept, ascending, become 0, 1, 2, …"""
        kept = np.isin(self._owner, slots)
        self.touched &= kept[: len(self.touched)]
        self._owner = np.where(kept, np.searchsorted(slots, self._owner), 0)
        self.fit(int(slots.max(initial=0)) + 1)
        self._dirty = self._dirty[slots]

    def save(self, cells: Numbers) -> dict[str, Any]:
        """Which cells and slots changed."""
        owner = self._owner[cells] if len(self._owner) else np.zeros(len(cells), np.intp)
        return {**super().save(cells), "owner": owner, "dirty": self._dirty.copy()}

    def load(self, arrays: Mapping[str, Any], cells: Numbers, size: int) -> None:
        """The same of other cells; early results of keys with one watermark had no owner."""
        super().load(arrays, cells, size)
        self._owner[cells] = arrays.get("owner", np.full(len(cells), -1))
        if "dirty" in arrays:
            self._dirty = np.array(arrays["dirty"])
