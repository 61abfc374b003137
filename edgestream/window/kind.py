"""What every kind of window does: give each row its cell, and close windows by the watermark.

A kind is one file with one subclass of `Kind`, and one field of the operator ``window``. Times
are int64 nanoseconds; intervals are closed at the start and open at the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.cells import Cells
from edgestream.aggregate.pool import Pool
from edgestream.batch import Batch
from edgestream.window.lookup import Numbers

if TYPE_CHECKING:
    from edgestream.window.marks import Marks

UNKNOWN = np.iinfo(np.int64).min
"""The watermark before anything is known."""
FAR = np.iinfo(np.int64).max
"""A time that no watermark is below."""
Times: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(slots=True)
class Rows:
    """The rows of a batch as a kind sees them: slots and times, with the bounds of both."""

    slots: Numbers
    count: int
    """How many slots there are."""
    times: Times
    low: int
    high: int
    accepted: bool = False
    """Whether it is known that none is too late."""
    batches: Sequence[Batch] = ()
    """The same rows, for kinds that look at columns."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The cell of each row that counts, and which rows came too late (None: none)."""

    cells: Numbers
    late: Mask | None = None
    outside: Mask | None = None
    """Rows that came in time and belong to no window; they have no cell either."""


@dataclass(slots=True)
class Closed:
    """Windows that are complete, in the order in which they leave: one row a window and key."""

    slots: Numbers
    starts: Times
    ends: Times
    cells: Cells
    times: Times | None = None
    """The event time of each row that leaves; None: just before the end of its window."""


class Kind(ABC):
    """A kind of window with the state it keeps."""

    ordered: bool = False
    """Whether rows must come in the order of time: they then wait for the watermark."""
    exact: bool = True
    """Whether rows taken in other portions leave every bit of the state the same."""
    due: int = FAR
    """A watermark below this changes nothing: neither for rows to come nor for windows."""
    soonest: int = FAR
    """How long after its time a row can close a window; less than that, and it may wait."""
    asks: bool = False
    """Whether `matters` is asked if rows must be placed before `close`; else they always are."""
    late: int = 0
    """How long windows stay after they have left, in ns."""
    alone: bool = False
    """Whether of rows that come late each slot takes one at a time: it may say where the next goes.

    All others are placed together, or in the order of time.
    """

    def __init__(self, pool: Pool) -> None:
        """Keep state in the cells of ``pool``."""
        self.pool = pool
        self.watermark = UNKNOWN
        self.marks: Marks | None = None
        """Where each key has a watermark of its own; `watermark` is then the greatest."""

    def mark(self, slots: Numbers) -> Times | int:
        """The watermark of rows of these slots."""
        return self.watermark if self.marks is None else self.marks.of[slots]

    def follow(self, marks: Times) -> None:
        """Each slot goes on to its own watermark, just before `close`."""
        assert self.marks is not None
        self.marks.of = marks
        self.watermark = max(self.watermark, self.marks.highest)

    def first_end(self, low: int) -> int:
        """A watermark below this completes no window of a row from ``low`` on."""
        return low + self.soonest

    def next_end(self) -> int:
        """The watermark at which windows will next close; `FAR` and `UNKNOWN` where not known."""
        return self.due

    def matters(self, slots: Numbers, count: int, times: Times) -> int:
        """A watermark below this closes nothing that rows not placed yet would change.

        There are ``count`` slots; −1 is of a key that never came. It holds until rows are placed.
        """
        return UNKNOWN

    @property
    @abstractmethod
    def safe(self) -> int:
        """A row from here on is not too late and belongs to no window that has left."""

    @abstractmethod
    def place(self, rows: Rows) -> Placed:
        """The cells of rows, each in one cell; rows whose windows are all gone are late."""

    @abstractmethod
    def close(self) -> Iterator[Closed]:
        """What `watermark` completes, and what late rows corrected since; then free the rest.

        The caller reads all of it before it does anything else.
        """

    def so_far(self, touched: Mask) -> Iterator[Closed]:
        """The windows still open that hold a cell of those touched, by start; nothing changes."""
        return iter(())

    @abstractmethod
    def used(self, slots: int) -> Mask:
        """Which of the slots hold state."""

    @abstractmethod
    def keep(self, slots: Numbers) -> None:
        """All other slots are gone; those kept, ascending, become 0, 1, 2, …"""

    @abstractmethod
    def save(self) -> dict[str, Any]:
        """Arrays that `load` understands; ``cells`` are the cells that hold state, in order."""

    @abstractmethod
    def load(self, arrays: Mapping[str, Any], cells: Numbers) -> None:
        """Become what gave ``arrays``, with the same state in other cells."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """The bytes held beside the cells."""
