"""Windows without rows of keys that each have a watermark of their own; as `Silent` for all."""

from __future__ import annotations

import numpy as np

from edgestream.window.grid import Grid, Pairs
from edgestream.window.kind import UNKNOWN, Mask, Times
from edgestream.window.lookup import Numbers


class Missing:
    """The last window with rows of each key; ``forget`` is how long after it a key is missed."""

    def __init__(self, forget: int) -> None:
        """Start without keys."""
        self._forget = forget
        self._last = np.full(0, UNKNOWN)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return int(self._last.nbytes)

    def windows(
        self,
        grid: Grid,
        fresh: Pairs,
        corrected: Pairs,
        before: Times,
        ended: Times,
        final: Mask,
    ) -> Pairs:
        """The windows without rows that have ended and are missed, as (window, slot) pairs.

        ``fresh`` are those with rows, ``corrected`` those of before that have more now; ``before``
        and ``ended`` are the last windows of each slot that had ended, and have. The end of a
        stream, ``final``, is no silence.
        """
        more = len(ended) - len(self._last)
        self._last = np.append(self._last, np.full(max(0, more), UNKNOWN))
        np.maximum.at(self._last, corrected[1], grid.starts(corrected[0]))
        known = np.flatnonzero(self._last[: len(ended)] != UNKNOWN)
        slots = np.concatenate([known, fresh[1]])
        if not len(slots):
            return fresh
        starts = np.concatenate([self._last[known], grid.starts(fresh[0])])
        order = np.lexsort((starts, slots))
        slots, starts = slots[order], starts[order]
        # After each window with rows up to the next one, or up to where the watermark has got.
        until = np.minimum(starts + self._forget, grid.starts(ended[slots]))
        same = np.append(slots[1:] == slots[:-1], False)
        until[same] = np.minimum(until[same], starts[1:][same[:-1]] - 1)
        until[~same & final[slots]] = UNKNOWN
        since = np.maximum(starts, grid.starts(before[slots])) + 1
        np.maximum.at(self._last, fresh[1], grid.starts(fresh[0]))
        some = until >= since
        found = _between(grid, since[some], until[some], slots[some])
        over = self._last[: len(ended)] < grid.starts(ended) - self._forget
        self._last[: len(ended)][over & ~final] = UNKNOWN
        return found

    def known(self, slots: int) -> Mask:
        """Which of the slots are missed when they are silent."""
        known = np.zeros(slots, np.bool_)
        some = min(slots, len(self._last))
        known[:some] = self._last[:some] != UNKNOWN
        return known

    def keep(self, slots: Numbers) -> None:
        """All other slots are gone; those kept, ascending, become 0, 1, 2, …"""
        self._last = np.append(self._last, np.full(int(slots.max(initial=0)) + 1, UNKNOWN))[slots]

    def save(self) -> Times:
        """The last windows."""
        return self._last.copy()

    def load(self, last: Times) -> None:
        """Become what gave them."""
        self._last = np.array(last)


def _between(grid: Grid, since: Times, until: Times, slots: Numbers) -> Pairs:
    """The windows that begin in stretches of time, of slots; most slots share theirs."""
    stretches, which = np.unique(np.stack([since, until]), axis=1, return_inverse=True)
    windows, owners = [np.zeros(0, np.int64)], [np.zeros(0, np.intp)]
    for at, (low, high) in enumerate(stretches.T.tolist()):
        inside, mine = grid.between(low, high), slots[which.ravel() == at]
        windows.append(np.tile(inside, len(mine)))
        owners.append(np.repeat(mine, len(inside)))
    return np.concatenate(windows), np.concatenate(owners)
