"""The state of a join: the rows of both sides that may still be needed, and what becomes of them.

Everything happens at a watermark: by then all rows before it are here, so what leaves, and in
which order, does not depend on which side came first nor on how the stream was cut. What leaves
has a time that no watermark had passed before, so no later step takes it for late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, Column, Strings, concat
from edgestream.eventtime import ENDED, UNKNOWN
from edgestream.operators.fingerprint import present
from edgestream.operators.matching import Rows, Sorted, Times
from edgestream.operators.near import Near, gathered
from edgestream.packing import decode_batch, encode_batch
from edgestream.schema import ColumnKind
from edgestream.window.index import KeyIndex

Mask = NDArray[np.bool_]
How: TypeAlias = Literal["within", "tumbling", "asof"]
_Pairs: TypeAlias = tuple[Rows, Rows, Times]
"""Left rows, right rows (−1 is none), and the time each pair is certain at."""
_LOW, _HIGH = -6_857_222_400_000_000_000, 7_258_118_400_000_000_000  # 1752 to 2200
_FEW = 4096


@dataclass(frozen=True, slots=True)
class Rule:
    """When rows of the same key belong together; ``outer`` gives left rows without a match too.

    ``size`` is the distance, the length of a window, or how old a right row may be (−1: as old as
    it likes).
    """

    how: How
    size: int
    outer: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """Pairs of rows, −1 for no right row, with the time each is certain at."""

    left: Batch
    right: Batch
    lefts: Rows
    rights: Rows
    times: Times
    names: Set[str]
    """The columns that left rows ever had."""
    kinds: Mapping[str, ColumnKind]
    """The columns that right rows ever had, with what they held at first."""


class _Side:
    """The rows of one side, with the number of their key."""

    def __init__(self) -> None:
        self._batches: list[Batch] = []
        self._slots: list[Rows] = []
        self._rows = 0
        self.names: set[str] = set()
        """The columns that ever came."""

    def __len__(self) -> int:
        return self._rows

    def add(self, batch: Batch, slots: Rows) -> None:
        self._batches.append(batch)
        self._slots.append(slots)
        self.names |= batch.columns.keys()
        self._rows += len(slots)

    @property
    def batch(self) -> Batch:
        """All rows, in the order in which they came."""
        if len(self._batches) > 1:
            # Those without rows tell nothing of what columns hold.
            some = [batch for batch in self._batches if len(batch)]
            self._batches = [concat(some or self._batches[-1:])]
        return self._batches[0] if self._batches else Batch({}, np.zeros(0, np.int64))

    @property
    def slots(self) -> Rows:
        """The number of each row's key."""
        self._slots = [np.concatenate([np.zeros(0, np.intp), *self._slots])]
        return self._slots[0]

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        rows = sum(batch.nbytes for batch in self._batches)
        return rows + sum(slots.nbytes for slots in self._slots)

    def keep(self, wanted: Mask) -> None:
        """Forget all other rows."""
        if not wanted.all():
            rows = np.flatnonzero(wanted)
            self._slots = [self.slots[rows]]
            self._batches = [self.batch.take(rows)]
            self._rows = len(rows)

    def number(self, slots: Rows) -> None:
        """Number the keys anew."""
        self._slots = [slots]


class Joining:
    """Both sides, and the watermark."""

    def __init__(self, on: Sequence[str], rule: Rule) -> None:
        """Join rows that are equal in the columns ``on``."""
        self._on = tuple(on)
        self._rule = rule
        self._index = KeyIndex(self._on)
        self._left, self._right = _Side(), _Side()
        self._kinds: dict[str, ColumnKind] = {}
        self._watermark = UNKNOWN
        self._due = ENDED
        self._look_at = _FEW

    @property
    def nbytes(self) -> int:
        """The bytes held; texts are reckoned."""
        return self._left.nbytes + self._right.nbytes + self._index.nbytes

    @property
    def keys(self) -> int:
        """How many keys there are."""
        return len(self._index)

    def add(self, right: bool, batch: Batch) -> Mask | None:
        """Take rows of a side; the mask says which came too late, None: none did."""
        late = (batch.times < max(self._watermark, _LOW)) | (batch.times >= _HIGH)
        if late.any():
            batch = batch.take(np.flatnonzero(~late))
        slots = self._number(batch)
        if (right or not self._rule.outer) and not (slots >= 0).all():
            known = np.flatnonzero(slots >= 0)  # a row without a key matches nothing
            batch, slots = batch.take(known), slots[known]
        if len(batch):
            if right:
                for name, column in batch.columns.items():
                    self._kinds.setdefault(name, _kind(column))
            self._take(right, Batch(batch.columns, batch.times), slots)
        return late if late.any() else None

    def advance(self, watermark: int) -> Joined | None:
        """What a watermark makes certain; a row that can match nothing later is forgotten."""
        mark = max(self._watermark, watermark)
        self._watermark = mark
        if mark < self._due and len(self._right) <= self._look_at:
            return None
        left, right = self._left.batch, self._right.batch
        decide = self._windowed if self._rule.how == "tumbling" else self._latest
        lefts, rights, times = decide(mark)
        self._look_at = max(_FEW, 2 * len(self._right))
        self._renumber()
        self._due = min(
            self._next(False, self._left.batch.times), self._next(True, self._right.batch.times)
        )
        if not len(lefts):
            return None
        order = np.lexsort((rights, lefts, times))
        rows = lefts[order], rights[order], times[order]
        return Joined(left, right, *rows, self._left.names, self._kinds)

    def save(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON values and arrays that `load` understands."""
        left, right = (
            np.frombuffer(encode_batch(side.batch), np.uint8) for side in (self._left, self._right)
        )
        meta = _said(self._watermark, self._left.names, self._kinds)
        return meta, {"left": left, "right": right}

    def load(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Go on from what `save` gave; call it before anything was added."""
        self._watermark, self._due = meta["watermark"], UNKNOWN
        for name, side in (("left", self._left), ("right", self._right)):
            batch = decode_batch(bytes(arrays[name]))
            side.add(batch, self._number(batch))
        self._left.names |= set(meta["names"])
        self._kinds = dict(meta["kinds"])

    def _take(self, right: bool, batch: Batch, slots: Rows) -> None:
        side = self._right if right else self._left
        side.add(batch, slots)
        self._due = min(self._due, self._next(right, batch.times))

    def _windowed(self, mark: int) -> _Pairs:
        """Pairs in the same window, when it is over."""
        size, (left, right) = self._rule.size, (self._left, self._right)
        starts = left.batch.times // size * size
        over = starts < mark // size * size
        ripe = np.flatnonzero(over)
        first = starts[ripe]
        found = Sorted(right.slots, right.batch.times)
        asked, rights = found.pairs(left.slots[ripe], first, first + (size - 1))
        if self._rule.outer:
            alone = np.ones(len(ripe), np.bool_)
            alone[asked] = False
            asked = np.concatenate([asked, np.flatnonzero(alone)])
            rights = np.concatenate([rights, np.full(int(alone.sum()), -1)])
        left.keep(~over)
        right.keep(right.batch.times >= mark // size * size)
        return ripe[asked], rights, first[asked] + (size - 1)

    def _latest(self, mark: int) -> _Pairs:
        """Each left row with the newest right row at its time or before."""
        size, (left, right) = self._rule.size, (self._left, self._right)
        at, times = left.batch.times, right.batch.times
        ripe = np.flatnonzero(at < mark)
        found = Sorted(right.slots, times)
        oldest = at[ripe] - size if size >= 0 else np.full(len(ripe), _LOW)
        rights = found.newest(left.slots[ripe], oldest, at[ripe])
        certain = at[ripe]
        if not self._rule.outer:
            some = rights >= 0
            ripe, rights, certain = ripe[some], rights[some], certain[some]
        left.keep(at >= mark)
        # A right row is of no use after a newer one that the watermark has passed.
        one, next_ = found.order[:-1], found.order[1:]
        needed = times >= (mark - size if size >= 0 else _LOW)
        needed[one[(right.slots[one] == right.slots[next_]) & (times[next_] < mark)]] = False
        right.keep(needed)
        return ripe, rights, certain

    def _next(self, right: bool, times: Times) -> int:
        """The watermark that makes something certain of rows with these times."""
        how, size = self._rule.how, self._rule.size
        if not len(times) or (right and how == "asof"):
            return ENDED
        first = int(times.min())
        if how == "tumbling":
            return first // size * size + size
        return first + 1

    def _number(self, batch: Batch) -> Rows:
        """The number of each row's key; −1 where it is missing."""
        if not len(batch):
            return np.zeros(0, np.intp)
        slots = self._index.slots(batch)
        for name in self._on:
            column = batch.columns.get(name)
            if column is None:
                return np.full(len(batch), -1)
            known = present(column)
            if known is not None:
                slots = np.where(known, slots, -1)
        return slots

    def _renumber(self) -> None:
        """Number keys anew once most of them have no row any more."""
        if len(self._index) > _FEW + 4 * (len(self._left) + len(self._right)):
            self._index = KeyIndex(self._on)
            for side in (self._left, self._right):
                side.number(self._number(side.batch))


class Nearby(Joining):
    """Joins rows that are near each other in time."""

    def __init__(self, on: Sequence[str], rule: Rule) -> None:
        """Join rows that are equal in the columns ``on`` and near each other."""
        super().__init__(on, rule)
        self._near = Near(rule.size, rule.outer)

    @property
    def nbytes(self) -> int:
        """The bytes held; texts are reckoned."""
        return self._near.left.nbytes + self._near.right.nbytes + self._index.nbytes

    def advance(self, watermark: int) -> Joined | None:
        """What a watermark makes certain; a row that can match nothing later is forgotten."""
        self._watermark = mark = max(self._watermark, watermark)
        near = self._near
        if mark < near.due:
            return None
        found = near.advance(mark)
        rows = len(near.left) + len(near.right)
        if len(self._index) > _FEW + 4 * rows:
            self._index = KeyIndex(self._on)
            near.left.number(self._number)
            near.right.number(self._number)
        if not found:
            return None
        return Joined(*gathered(found, near.left, near.right), near.left.names, self._kinds)

    def save(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON values and arrays that `load` understands."""
        near = self._near
        held = {"left": near.left.everything(), "right": near.right.everything()}
        none = Batch({}, np.zeros(0, np.int64))
        arrays: dict[str, Any] = {
            name: np.frombuffer(encode_batch(none if part is None else part.batch), np.uint8)
            for name, part in held.items()
        }
        left = held["left"]
        arrays["matched"] = np.zeros(0, np.bool_) if left is None else left.matched
        return _said(self._watermark, near.left.names, self._kinds), arrays

    def load(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Go on from what `save` gave; call it before anything was added."""
        self._watermark = meta["watermark"]
        near = self._near
        for name, side in (("left", near.left), ("right", near.right)):
            batch = decode_batch(bytes(arrays[name]))
            if len(batch):
                side.add(batch, self._number(batch))
        near.left.names |= set(meta["names"])
        self._kinds = dict(meta["kinds"])
        near.load(self._watermark, np.array(arrays["matched"], np.bool_))

    def _take(self, right: bool, batch: Batch, slots: Rows) -> None:
        (self._near.right if right else self._near.left).add(batch, slots)


def _said(watermark: int, names: Set[str], kinds: Mapping[str, ColumnKind]) -> dict[str, Any]:
    """What is saved beside the rows, as JSON values."""
    return {"watermark": watermark, "names": sorted(names), "kinds": dict(kinds)}


def _kind(column: Column) -> ColumnKind:
    """What a column holds, where it may be missing."""
    if isinstance(column, Strings):
        return "string"
    return "time" if column.dtype.kind == "M" else "float"
