"""What came before, by its id: fingerprints with the moment they were first seen.

Rules: an id is forgotten by age and by number, whichever comes first, so memory is bounded; what
is new since the last checkpoint is handed over as one small block (`Repeats.fresh`), so that a
checkpoint writes 24 bytes a new id and not all of them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, Column
from edgestream.eventid import Chunk
from edgestream.operators.fingerprint import Fingerprints
from edgestream.operators.seen import Positions, Seen

_NEVER = np.iinfo(np.int64).min
_SLACK = 4
"""Ids beyond ``most`` are forgotten once they are a quarter more: not at every block."""


class Repeats:
    """The ids of one source."""

    def __init__(self, names: Iterable[str], within: int, most: int) -> None:
        """Remember the values of these columns for ``within`` ns, and ``most`` of them."""
        self._names = list(names)
        self._prints = Fingerprints(self._names)
        self._seen = Seen(1, _NEVER)
        self._within = within
        self._most = most
        self._newest = _NEVER
        self._floor = _NEVER
        self._fresh: list[NDArray[np.uint64]] = []
        self.count = 0
        """Rows that came again."""

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._seen.nbytes

    def first(self, columns: Mapping[str, Column], rows: int, now: int) -> NDArray[np.bool_] | None:
        """Which rows come for the first time; None: all of them.

        ``now`` is when they arrived, in ns. A row without an id cannot be told from others, and
        passes.
        """
        if not rows:
            return None
        times = np.empty(rows, np.int64)
        prints = self._prints.of(Batch({name: columns[name] for name in self._names}, times))
        known = slice(None) if prints.known is None else np.flatnonzero(prints.known)
        one, two = prints.one[known], prints.two[known]
        # Time only goes on: an id that came when the clock was ahead is kept its full time.
        self._newest = max(self._newest, now)
        self._floor = max(self._floor, self._newest - self._within)
        self._bound(len(one))
        at, older = self._seen.positions(one, two, (self._newest,))
        new = np.ones(len(at), np.bool_)
        if len(older):
            moments = self._seen.values[0]
            back = older[moments[at[older]] <= self._floor]
            back = back[self._seen.first(at[back])]
            moments[at[back]] = self._newest
            new[older], new[back] = False, True
        if new.any():
            stamps = np.full(int(new.sum()), self._newest, np.int64).view(np.uint64)
            self._fresh.append(np.column_stack((one[new], two[new], stamps)))
        if new.all():
            return None
        self.count += int(len(new) - new.sum())
        first = np.ones(rows, np.bool_)
        first[known] = new
        return first

    def fresh(self) -> Chunk | None:
        """The ids that are new since the last call."""
        if not self._fresh:
            return None
        data = np.concatenate(self._fresh).astype("<u8").tobytes()
        self._fresh = []
        return Chunk(data, self._newest, self._floor)

    def load(self, chunks: Iterable[bytes], *, anew: bool = False) -> None:
        """Remember what earlier chunks hold; ``anew``: they are forgotten where they come from."""
        for data in chunks:
            rows = np.frombuffer(data, "<u8").astype(np.uint64).reshape(-1, 3)
            if anew:
                self._fresh.append(rows)
            one, two, stamps = rows.T
            moments = stamps.copy().view(np.int64)
            self._newest = max(self._newest, int(moments.max()))
            self._floor = max(self._floor, self._newest - self._within)
            self._bound(len(one))
            self._seen.put(one.copy(), two.copy(), [moments])

    def _bound(self, more: int) -> None:
        """Make room for ``more`` ids, and forget the oldest where there are too many."""
        if self._seen.count + more > self._most + self._most // _SLACK:
            _, _, (moments,) = self._seen.content(self._alive)
            if len(moments) > self._most:
                # Those of one moment go together, and rather stay.
                oldest = int(np.partition(moments, -self._most)[-self._most])
                self._floor = max(self._floor, oldest - 1)
            self._seen.clear_out(self._alive, more)
        self._seen.fit(more, self._alive)

    def _alive(self, values: list[Positions]) -> NDArray[np.bool_]:
        alive: NDArray[np.bool_] = values[0] > self._floor
        return alive
