"""What the kinds share that have at most one open window a key and take rows in their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgestream.aggregate.pool import Pool
from edgestream.window.current import Current
from edgestream.window.kind import Closed, Kind, Mask
from edgestream.window.lookup import Numbers
from edgestream.window.ordered import expires, leaving, still_open


class OneOpen(Kind):
    """Windows one after the other, open for ``most`` (0: no bound); `place` is left to say."""

    ordered = True
    soonest = 0

    def __init__(self, pool: Pool, most: int) -> None:
        """Start without windows."""
        super().__init__(pool)
        self.most = most
        self._current = Current(pool)

    @property
    def safe(self) -> int:
        """Rows from the watermark on are not late."""
        return self.watermark

    def close(self) -> Iterator[Closed]:
        """Windows that are over, that have been open too long, or whose stream has ended."""
        return leaving(self, self._current, self.most)

    def so_far(self, touched: Mask) -> Iterator[Closed]:
        """The open windows."""
        return self._current.open(touched, still_open(self._current, self.most))

    def used(self, slots: int) -> Mask:
        """Slots with an open window."""
        return self._current.used(slots)

    def keep(self, slots: Numbers) -> None:
        """Renumber the slots of open windows."""
        self._current.keep(slots)

    def save(self) -> dict[str, Any]:
        """The open windows."""
        return self._current.save()

    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Take the open windows."""
        self._current.load(arrays, cells)
        self.due = expires(self._current, self.most)

    @property
    def nbytes(self) -> int:
        """The bytes of the open windows."""
        return self._current.nbytes
