"""``bloom``: let a row through if its key was surely not seen, in a fixed amount of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch
from edgestream.component import MAIN, Operator, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.operators.bits import Bits, sized
from edgestream.operators.fingerprint import Fingerprints, compare_keys
from edgestream.operators.names import check_names, known_names
from edgestream.schema import ColumnKind, Schema
from edgestream.window.stored import stored

SEEN = "seen"
_VERSION = 1
_TEN_YEARS = 3650 * 86_400_000_000_000


@component(
    "bloom",
    examples=(
        "bloom: {by: id, capacity: 1000000, error: 0.001, reset: 1d}",
        "bloom: {by: [device, frame], capacity: 50000}",
    ),
)
class Bloom(Operator):
    """Let a row through if its key was surely not seen before.

    A Bloom filter: a row whose key came before never passes; a row whose key is new is taken for
    seen, and so does not pass, with the probability ``error`` once ``capacity`` keys came. Beyond
    them that becomes more frequent. Where no new row may be lost use ``dedupe``, which is exact
    and takes memory by the key.

    Rows taken for seen leave unchanged by the port ``seen``; where nothing takes them from there
    they are gone on purpose. A row in which a key column is missing passes.

    With ``reset`` the filter starts empty in each period of event time of that length, aligned to
    the epoch in UTC. A period is over when the watermark is past its end; rows of the next one
    that come before that already go into its filter, so two are held.

    Memory, and size of a snapshot: 12 bits a key of ``capacity`` for an ``error`` of 0.01, 24 for
    0.001, 44 for 0.0001 (1,000,000 keys at 0.001: 3 MB), twice that with ``reset``.
    """

    ports = (SEEN,)

    by: Sequence[str] = option(help="The key columns.", example="id")
    capacity: float = option(
        help="How many different keys are expected.", minimum=1, maximum=1e9, example="1000000"
    )
    error: float = option(
        default=0.001,
        help="How often a new key is taken for seen, once so many came.",
        minimum=0.00001,
        maximum=0.5,
    )
    reset: Duration | None = option(
        default=None,
        help="Start empty in each period of this length.",
        maximum=_TEN_YEARS,
        example="1d",
    )
    _prints: Fingerprints | None = state()
    _now: Bits | None = state()
    _next: Bits | None = state()
    _period: int | None = state()

    def check(self) -> None:
        """At least one key column; a period is longer than nothing."""
        check_names(self.by, "by")
        if self.reset is not None and not nanos(self.reset):
            raise ConfigError(Problem("must be longer than nothing", ("reset",), "write 1d"))

    def infer(self, schema: Schema) -> Schema:
        """The same columns; `ConfigError` for a key column that is not there."""
        known_names(self.by, schema, "by")
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The key columns, of any kind."""
        return dict.fromkeys(self.by, "any")

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """The rows whose key is new; the others by the port ``seen``."""
        if not len(batch):
            return []
        if self._prints is None:
            self._prints = Fingerprints(self.by)
        prints = self._prints.of(batch)
        fresh = np.ones(len(batch), np.bool_)
        ahead = self._ahead(batch.times)
        if not ahead.all():
            rows = _rows(~ahead, prints.known)
            self._now = self._filter(self._now)
            fresh[rows] = self._now.add(prints.one[rows], prints.two[rows])
        if ahead.any():
            rows = _rows(ahead, prints.known)
            self._next = self._filter(self._next)
            fresh[rows] = self._next.add(prints.one[rows], prints.two[rows])
        if fresh.all():
            return [(MAIN, batch)]
        passed = np.flatnonzero(fresh)
        outputs = [(MAIN, batch.take(passed))] if len(passed) else []
        return [*outputs, (SEEN, batch.take(np.flatnonzero(~fresh)))]

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; a period may be over."""
        if self.reset is not None:
            period = watermark // nanos(self.reset)
            if self._period is not None and period > self._period:
                self._now, self._next = self._next, None
            self._period = period if self._period is None else max(period, self._period)
        return ()

    def snapshot(self) -> State:
        """The filters as they are."""
        held = {"now": self._now, "next": self._next}
        meta = {"by": list(self.by), "size": list(self._size()), "period": self._period}
        arrays = {name: bits.words.copy() for name, bits in held.items() if bits is not None}
        return State(_VERSION, meta, arrays)

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another filter."""
        compare_keys(saved, _VERSION, self.by)
        words, each = self._size()
        if saved.meta["size"] != [words, each]:
            hint = "go back to what it was, or start with fresh state"
            message = "the saved state is of another capacity or error"
            raise ConfigError(Problem(message, ("capacity",), hint))
        self._period = saved.meta["period"]
        self._now, self._next = (
            Bits(words, each, stored(saved.arrays[name], np.uint64, words))
            if name in saved.arrays
            else None
            for name in ("now", "next")
        )

    def state_bytes(self) -> int:
        """The bytes of the filters; keys do not make them larger."""
        return sum(bits.words.nbytes for bits in (self._now, self._next) if bits is not None)

    def _ahead(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        if self.reset is None or self._period is None:
            return np.zeros(len(times), np.bool_)
        ahead: NDArray[np.bool_] = times // int(nanos(self.reset)) > self._period
        return ahead

    def _size(self) -> tuple[int, int]:
        return sized(self.capacity, self.error)

    def _filter(self, bits: Bits | None) -> Bits:
        return Bits(*self._size()) if bits is None else bits


def _rows(wanted: NDArray[np.bool_], known: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    return np.flatnonzero(wanted if known is None else wanted & known)
