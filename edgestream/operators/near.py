"""Joining rows that are near each other in time, at a cost of what arrives and leaves.

Rows wait until the watermark has passed them; those it passes at once become a chunk, sorted by key
and time. Chunks of a side follow each other in time, and a chunk is merged into the one before once
it is half as large: a row is sorted again as often as the logarithm of what is held, and what is
looked for is looked for in as many chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, Column, concat
from edgestream.eventtime import ENDED
from edgestream.operators.matching import Rows, Sorted, Times

Mask = NDArray[np.bool_]
_NONE = np.zeros(0, np.intp)


@dataclass(slots=True)
class _Part:
    """Rows with the numbers of their keys and their place among all that ever came."""

    batch: Batch
    slots: Rows
    came: Rows
    matched: Mask

    @classmethod
    def joined(cls, parts: list[_Part]) -> _Part:
        """All of them, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            concat([part.batch for part in parts]),
            np.concatenate([part.slots for part in parts]),
            np.concatenate([part.came for part in parts]),
            np.concatenate([part.matched for part in parts]),
        )

    def take(self, rows: Rows) -> _Part:
        """Some of them."""
        came, matched = self.came[rows], self.matched[rows]
        return _Part(self.batch.take(rows), self.slots[rows], came, matched)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self.batch.nbytes + self.slots.nbytes + self.came.nbytes + self.matched.nbytes


class _Chunk:
    """Rows that the watermark has passed."""

    def __init__(self, part: _Part) -> None:
        """Sort them by key and time, and by time."""
        self.part = part
        self.sorted = Sorted(part.slots, part.batch.times)
        self.order = np.argsort(part.batch.times, kind="stable")
        self._times = part.batch.times[self.order]
        self._gone = 0

    def __len__(self) -> int:
        """How many rows can still match."""
        return len(self.order) - self._gone

    @property
    def first(self) -> int:
        """The time of the first row that can still match."""
        return int(self._times[self._gone]) if len(self) else ENDED

    @property
    def last(self) -> int:
        """The time of the last row."""
        return int(self._times[-1])

    @property
    def wasteful(self) -> bool:
        """Whether most of it is of no use any more."""
        return 2 * self._gone > len(self.order)

    def live(self) -> _Part:
        """The rows that can still match, as they came."""
        return self.part.take(np.sort(self.order[self._gone :])) if self._gone else self.part

    def expire(self, before: int) -> Rows:
        """The rows before a moment, which match nothing from now on."""
        begin, self._gone = self._gone, max(self._gone, int(np.searchsorted(self._times, before)))
        return self.order[begin : self._gone]


class Pile:
    """The rows of one side."""

    def __init__(self) -> None:
        """Start empty."""
        self.names: set[str] = set()
        self.chunks: list[_Chunk] = []
        self._waiting: list[tuple[int, _Part]] = []
        self._like: dict[str, Column] = {}
        self._came = 0

    def __len__(self) -> int:
        """How many rows are held."""
        waiting = sum(len(part.slots) for _, part in self._waiting)
        return waiting + sum(len(chunk.order) for chunk in self.chunks)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        waiting = sum(part.nbytes for _, part in self._waiting)
        return waiting + sum(c.part.nbytes + 32 * len(c.order) for c in self.chunks)

    @property
    def low(self) -> int:
        """The time of the first row that waits."""
        return min((low for low, _ in self._waiting), default=ENDED)

    @property
    def like(self) -> Batch:
        """One row of all columns that ever came, for what they hold."""
        return Batch(self._like, np.zeros(1 if self._like else 0, np.int64))

    def add(self, batch: Batch, slots: Rows) -> None:
        """Let rows wait."""
        self.names |= batch.columns.keys()
        self._like |= {name: column[-1:] for name, column in batch.columns.items()}
        came = np.arange(self._came, self._came + len(slots))
        self._came += len(slots)
        part = _Part(batch, slots, came, np.zeros(len(slots), np.bool_))
        self._waiting.append((int(batch.times.min()), part))

    def settle(self, mark: int) -> _Part | None:
        """The rows that wait and are before the watermark, as they came."""
        ready: list[_Part] = []
        left: list[tuple[int, _Part]] = []
        for low, part in self._waiting:
            over = part.batch.times < mark
            if low >= mark:
                left.append((low, part))
            elif over.all():
                ready.append(part)
            else:
                ready.append(part.take(np.flatnonzero(over)))
                rest = part.take(np.flatnonzero(~over))
                left.append((int(rest.batch.times.min()), rest))
        self._waiting = left
        return _Part.joined(ready) if ready else None

    def push(self, part: _Part | None) -> None:
        """Rows that the watermark has passed become a chunk of their own."""
        if part is not None:
            self.chunks.append(_Chunk(part))

    def tidy(self) -> None:
        """Merge small chunks, and let go of what matches nothing any more."""
        self.chunks = [
            _Chunk(chunk.live()) if chunk.wasteful else chunk for chunk in self.chunks if len(chunk)
        ]
        while len(self.chunks) > 1 and 2 * len(self.chunks[-1]) >= len(self.chunks[-2]):
            newest, before = self.chunks.pop(), self.chunks.pop()
            self.chunks.append(_Chunk(_Part.joined([before.live(), newest.live()])))

    def everything(self) -> _Part | None:
        """All rows that can still match, as they came."""
        parts = [chunk.live() for chunk in self.chunks] + [part for _, part in self._waiting]
        whole = _Part.joined(parts) if parts else None
        return None if whole is None else whole.take(np.argsort(whole.came))

    def number(self, number: Callable[[Batch], Rows]) -> None:
        """Number the keys anew."""
        for _, part in self._waiting:
            part.slots = number(part.batch)
        parts = [chunk.live() for chunk in self.chunks if len(chunk)]
        self.chunks = []
        for part in parts:
            part.slots = number(part.batch)
            self.push(part)


@dataclass(slots=True)
class Found:
    """Pairs of rows of a left and a right part (None: no right row), and when each is certain."""

    left: _Part
    lefts: Rows
    right: _Part | None
    rights: Rows
    times: Times


class Near:
    """Both sides of a join of rows that are not further apart than ``size``."""

    def __init__(self, size: int, outer: bool) -> None:
        """Start empty; ``outer`` gives left rows without a match too."""
        self._size, self._outer = size, outer
        self.left, self.right = Pile(), Pile()

    @property
    def due(self) -> int:
        """A watermark below this makes nothing certain and lets go of nothing."""
        soon = [self.left.low, self.right.low]
        chunks = [*self.left.chunks, *self.right.chunks]
        ends = [c.first for c in self.left.chunks] if self._outer else []
        ends += [chunk.last for chunk in chunks]
        return min([*soon, *(end + self._size for end in ends), ENDED - 1]) + 1

    def advance(self, mark: int) -> list[Found]:
        """The pairs that a watermark makes certain, in no order."""
        left, right = self.left.settle(mark), self.right.settle(mark)
        found: list[Found] = []
        self.right.push(right)
        if left is not None:
            at = left.batch.times
            for chunk in self.right.chunks:
                asked, rows = chunk.sorted.pairs(left.slots, at - self._size, at)
                found.append(Found(left, asked, chunk.part, rows, at[asked]))
        self.left.push(left)
        if right is not None:
            at = right.batch.times
            for chunk in self.left.chunks:
                asked, rows = chunk.sorted.pairs(right.slots, at - self._size, at - 1)
                found.append(Found(chunk.part, rows, right, asked, at[asked]))
        for one in found:
            one.left.matched[one.lefts] = True
        for chunk in self.left.chunks:
            gone = chunk.expire(mark - self._size)
            if self._outer:
                alone = gone[~chunk.part.matched[gone]]
                times = chunk.part.batch.times[alone] + self._size
                found.append(Found(chunk.part, alone, None, _NONE, times))
        for chunk in self.right.chunks:
            chunk.expire(mark - self._size)
        self.left.tidy()
        self.right.tidy()
        return [one for one in found if len(one.lefts)]

    def load(self, mark: int, matched: Mask) -> None:
        """The rows added so far are those of a snapshot; ``matched`` is of those on the left."""
        settled = self.left.settle(mark)
        if settled is not None:
            settled.matched = matched[settled.came]
        self.left.push(settled)
        self.right.push(self.right.settle(mark))


def gathered(found: list[Found], left: Pile, right: Pile) -> tuple[Batch, Batch, Rows, Rows, Times]:
    """The rows of pairs side by side: (left, right, left rows, right rows, times), in order."""
    lefts = [one.left.batch.take(one.lefts) for one in found]
    pairs = [one for one in found if one.right is not None]
    rights = [one.right.batch.take(one.rights) for one in pairs if one.right is not None]
    came = np.concatenate([one.left.came[one.lefts] for one in found])
    other = np.concatenate(
        [
            np.full(len(one.lefts), -1) if one.right is None else one.right.came[one.rights]
            for one in found
        ]
    )
    times = np.concatenate([one.times for one in found])
    order = np.lexsort((other, came, times))
    # A row of every column that ever came stands first, so that none is missing.
    offset = len(right.like)
    place = np.where(other < 0, -1, np.cumsum(other >= 0) - 1 + offset)
    return (
        concat([left.like, *lefts]),
        concat([right.like, *rights]),
        order + len(left.like),
        place[order],
        times[order],
    )
