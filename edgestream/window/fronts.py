"""Event time by key: how far each device of a source has got, so that none can hurt another.

Each key of `Time.by` has a front, the latest time of its rows that counted, and with it two
watermarks. The *firm* one is the front less ``delay``: no row before is awaited. The other is the
same while rows come; once the key has been silent for ``idle`` it goes on with the clock, so that
windows close. A key that comes back goes on from its firm one.

Whatever is not keyed by these columns sees one watermark for all: the least of the keys near the
foremost. A key further behind it than twice ``max_future`` holds nobody back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgestream.batch import Batch
from edgestream.component import State
from edgestream.config.values import nanos
from edgestream.errors import ConfigError, Problem
from edgestream.eventtime import ENDED, UNKNOWN, Time, Watermark
from edgestream.window.index import KeyIndex
from edgestream.window.kind import Mask, Times
from edgestream.window.stored import stored

_VERSION = 1
_DAY = 86_400_000_000_000
_FEW = 1024
"""So many keys are never worth forgetting."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a source has got at one moment: for all, and by key where it has keys.

    The index goes on to grow; a key with a number beyond the arrays came afterwards.
    """

    low: int
    """The watermark for all."""
    index: KeyIndex | None = None
    firm: Times | None = None
    marks: Times | None = None


class Fronts(Watermark):
    """The watermarks of the keys of one source; ``value`` is the one for all."""

    def __init__(self, time: Time) -> None:
        """For the columns ``by`` of ``time``."""
        super().__init__(time)
        self._reach = 2 * nanos(time.max_future)
        self._index = KeyIndex(time.by)
        self._fronts = np.zeros(0, np.int64)
        self._seen = np.zeros(0, np.int64)
        self._publish(0)

    @property
    def nbytes(self) -> int:
        """The bytes held; texts are reckoned."""
        arrays = (self._fronts, self._seen, self.reached.firm, self.reached.marks)
        return self._index.nbytes + sum(array.nbytes for array in arrays if array is not None)

    def see(self, batch: Batch, received: int, monotonic: int) -> None:
        """Rows arrived: the front of each key follows its own rows, and no others."""
        came = self._came(batch, received)
        self.observe(batch.times, came, monotonic)
        sane: Mask = batch.times <= came + self._max_future
        if not sane.any():
            return
        if len(self._index) > _FEW:
            self._forget(monotonic)
        some = batch if sane.all() else batch.take(sane)
        keys = self._index.slots(some)
        more = np.full(len(self._index) - len(self._fronts), UNKNOWN)
        self._fronts = np.append(self._fronts, more)
        self._seen = np.append(self._seen, more)
        np.maximum.at(self._fronts, keys, some.times)
        self._seen[keys] = monotonic
        self._publish(monotonic)

    def observe(self, times: Times, received: int | Times, monotonic: int) -> None:
        """The front of the whole source."""
        value = self.value
        super().observe(times, received, monotonic)
        self.value = value

    def tick(self, monotonic: int) -> None:
        """Let the clock move the watermarks of keys that are silent."""
        if self._seen_at is None:
            self._seen_at = monotonic
        self._seen = np.where(self._seen == UNKNOWN, monotonic, self._seen)
        if self.value != ENDED and len(self._seen):
            self._publish(monotonic)

    def end(self) -> None:
        """Nothing more will come, of no key."""
        super().end()
        self._publish(0)

    def restore(self, saved: list[int]) -> None:
        """Go on from a checkpoint, for all; `load` takes the keys."""
        super().restore(saved)
        self._publish(0)

    def save(self) -> State:
        """The keys and how far they have got, beside what `snapshot` gives."""
        keys, arrays = self._index.save()
        arrays = {f"key.{name}": array for name, array in arrays.items()}
        fronts = {"fronts": self._fronts.copy()}
        return State(_VERSION, {"by": list(self._index.names), "keys": keys}, arrays | fronts)

    def load(self, saved: State) -> None:
        """Go on from what `save` gave; where it is of other columns, start without keys."""
        if saved.version != _VERSION:
            hint = "start with fresh state, or with the version that wrote it"
            message = f"the times of keys have the unknown version {saved.version}"
            raise ConfigError(Problem(message, ("time", "by"), hint))
        if saved.meta["by"] != list(self._index.names):
            return
        names = [name for name in saved.arrays if name.startswith("key.")]
        self._index.load(saved.meta["keys"], {name[4:]: saved.arrays[name] for name in names})
        self._fronts = stored(saved.arrays["fronts"], np.int64, len(self._index))
        self._seen = np.full(len(self._fronts), UNKNOWN)
        self._publish(0)

    def _publish(self, monotonic: int) -> None:
        """Make the watermarks of now; what was given out before stays as it was."""
        firm = self._fronts - self._delay
        silent = np.where(self._seen == UNKNOWN, 0, monotonic - self._seen)
        silent[silent < max(self._idle, 1)] = 0
        marks = firm + silent
        if self.value == ENDED:
            firm = marks = np.full(len(firm), ENDED)
        elif len(marks):
            near = marks[marks >= int(marks.max()) - self._reach]
            self.value = max(self.value, int(near.min()))
        self.reached = Reached(self.value, self._index, firm, marks)

    def _forget(self, monotonic: int) -> None:
        """Let go of keys that have been silent for a day, once they are the greater part."""
        kept = np.flatnonzero((self._seen == UNKNOWN) | (monotonic - self._seen <= _DAY))
        if 2 * len(kept) <= len(self._seen):
            keys, arrays = self._index.save()
            self._index = KeyIndex(self._index.names)  # what was given out keeps the old one
            self._index.load(keys, arrays)
            self._index.keep(kept)
            self._fronts, self._seen = self._fronts[kept], self._seen[kept]
