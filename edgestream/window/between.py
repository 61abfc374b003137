"""Windows that rows open and close by what they hold: from a condition to a condition.

The rows of a key are looked at in the order of event time, those of one time by arrival. A row for
which ``opens`` is true opens a window unless one is open; one for which ``closes`` is true is the
last of its window. Without ``closes``, every row that opens ends the window before it; without
``opens``, every row opens one. With ``most``, a window ends when it has been open that long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.expr import Expr
from edgestream.window.current import Pieces, heads, just_after
from edgestream.window.kind import FAR, Mask, Placed, Rows
from edgestream.window.lookup import Numbers
from edgestream.window.one_open import OneOpen
from edgestream.window.ordered import Sorted, expires, late


@dataclass(slots=True)
class _Cut:
    """Sorted rows, cut: which lie in a window, and which are the first of one in their batch."""

    opens: Mask
    closes: Mask
    inside: Mask
    firsts: Mask
    joins: Mask
    """Which of the firsts go on with the window that was open before."""
    long: Mask
    """Which of the firsts begin a window that was ended for being open too long."""


class Between(OneOpen):
    """Windows from a row that opens to one that closes; either may be None, ``most`` may be 0."""

    def __init__(self, pool: Pool, opens: Expr | None, closes: Expr | None, most: int) -> None:
        """Start without windows."""
        super().__init__(pool, most)
        self.opens, self.closes = opens, closes

    def place(self, rows: Rows) -> Placed:
        """Cut the rows of each key into windows; rows in none stay outside."""
        self._current.fit(rows.count)
        out = late(self, rows)
        came = Sorted(rows, out)
        if not len(came.slots):
            return Placed(np.zeros(0, np.intp), out)
        if self.most:
            first = heads(came.slots)
            self._current.expire(came.slots[first], self.most, came.times[first])
        cut = self._cut(came, *self._conditions(rows, out, came.order))
        cells = np.zeros(len(came.slots), np.intp)
        if cut.inside.any():
            of = np.cumsum(cut.firsts[cut.inside]) - 1
            cells[cut.inside] = self._current.settle(self._pieces(came, cut))[of]
        self.due = expires(self._current, self.most)
        cells = came.back(cells)
        if cells.all():
            return Placed(cells, out)
        outside = np.zeros(len(rows.slots), np.bool_)
        outside[slice(None) if out is None else ~out] = cells == 0
        return Placed(cells[cells > 0], out, outside)

    def _conditions(self, rows: Rows, late_: Mask | None, order: Numbers) -> tuple[Mask, Mask]:
        """Where sorted rows open and close."""
        masks: list[Mask] = []
        for condition, otherwise in ((self.opens, True), (self.closes, False)):
            if condition is None:
                masks.append(np.full(len(order), otherwise))
            else:
                mask = np.concatenate([condition.mask(batch) for batch in rows.batches])
                masks.append((mask if late_ is None else mask[~late_])[order])
        return masks[0], masks[1]

    def _cut(self, came: Sorted, opens: Mask, closes: Mask) -> _Cut:
        first = heads(came.slots)
        was_open = self._current.cell[came.slots[first]] > 0
        # A row that opens or closes settles the state after it, whatever it was before.
        places = np.arange(len(opens))
        settled = np.maximum.accumulate(np.where(opens | closes, places, -1))
        begins = np.repeat(first, np.diff(np.append(first, len(opens))))
        carried = np.repeat(was_open, np.diff(np.append(first, len(opens))))
        after = np.where(settled >= begins, ~closes[settled], carried)
        before = np.append(False, after[:-1])
        before[first] = was_open
        inside = before | opens
        anew = opens & ~before if self.closes is not None else opens
        firsts = anew.copy()
        firsts[first] |= inside[first]
        joins = np.zeros(len(opens), np.bool_)
        joins[first] = was_open & ~anew[first]
        cut = _Cut(opens, closes, inside, firsts, joins, np.zeros(len(opens), np.bool_))
        if self.most:
            self._cut_long(came, cut)
        return cut

    def _cut_long(self, came: Sorted, cut: _Cut) -> None:
        """Cut windows at their bound: first all first pieces, then what opened after them."""
        size = len(cut.inside)
        places = np.where(cut.opens, np.arange(size), size)
        opening = np.append(np.minimum.accumulate(places[::-1])[::-1], size)
        at = np.flatnonzero(cut.firsts)
        # A window goes no further than the rows that are inside, nor than the next window.
        stop = cut.firsts | ~cut.inside
        stops = np.append(np.flatnonzero(stop), size)
        ends = stops[np.searchsorted(stops, at, "right")]
        joins = cut.joins[at]
        starts = np.where(joins, self._current.start[came.slots[at]], came.times[at])
        left = np.zeros(size + 1, np.int64)  # +1 where rows are left out from, −1 where no more
        while len(at):
            limit = came.search(came.slots[at], starts + self.most)
            some = limit < ends
            at, limit, ends = at[some], limit[some], ends[some]
            cut.long[at] = True
            again = np.minimum(opening[limit], ends)
            np.add.at(left, limit, 1)
            np.add.at(left, again, -1)
            some = again < ends
            at, ends = again[some], ends[some]
            cut.firsts[at] = True
            starts = came.times[at]
        cut.inside &= np.cumsum(left[:-1]) == 0

    def _pieces(self, came: Sorted, cut: _Cut) -> Pieces:
        inside = np.flatnonzero(cut.inside)
        begins = np.flatnonzero(cut.firsts[inside])
        first = inside[begins]
        last = inside[np.append(begins[1:], len(inside)) - 1]
        slots, joins, lasts = came.slots[first], cut.joins[first], came.times[last]
        ends = np.where(cut.closes[last], just_after(lasts), FAR)
        starts = np.where(joins, self._current.start[slots], came.times[first])
        if self.closes is None:
            self._end_open(came, first, joins)
            same = np.append(slots[1:] == slots[:-1], False)
            ends[same] = came.times[first[1:][same[:-1]]]
        if self.most:
            bound = starts + self.most
            ends = np.where(
                cut.long[first], bound, np.where(ends < FAR, np.minimum(ends, bound), FAR)
            )
        return Pieces(slots, came.times[first], lasts, joins, ends)

    def _end_open(self, came: Sorted, first: Numbers, joins: Mask) -> None:
        """A row that opens ends the window that was open before its batch."""
        head = np.append(True, came.slots[first[1:]] != came.slots[first[:-1]])
        some = first[head & ~joins]
        some = some[self._current.cell[came.slots[some]] > 0]
        if len(some):
            self._current.end(came.slots[some], came.times[some])
