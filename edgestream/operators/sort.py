"""``sort``: rows in the order of their event time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, concat
from edgestream.component import MAIN, OVERFLOW, Operator, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.eventtime import UNKNOWN
from edgestream.operators.per_key import check_saved
from edgestream.packing import decode_batch, encode_batch
from edgestream.schema import ColumnKind, Schema

LATE = "late"
_VERSION = 1
_TEN_YEARS = 3650 * 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows in order, and the time of the first."""

    rows: Batch
    low: int


@component("sort", shorthand="within", examples=("sort: 5s", "sort: {}"))
class Sort(Operator):
    """Hold rows back until no earlier one is awaited, and send them on in order of event time.

    A row leaves once the watermark has passed it by more than ``within``. The watermark itself
    stays behind by the ``delay`` of the source's ``time:``, so ``within`` is for rows that come
    later even than that. Rows of equal time keep the order in which they came. A row that comes
    when rows of its time have left already leaves unchanged by the port ``late``.

    Put it before steps that go by the order of rows (``lag``, ``changed``, ``interpolate``).
    Windows need none; behind it they close later by ``within``. What is held is the rows of
    ``delay`` and ``within``; a row from the future is held until its time has come.
    """

    ports = (LATE, OVERFLOW)
    holds = True

    within: Duration = option(
        default="0s", help="How far behind the watermark rows leave.", maximum=_TEN_YEARS
    )
    _parts: list[_Part] = state(list)
    _limit: int = state(lambda: UNKNOWN)

    def infer(self, schema: Schema) -> Schema:
        """The same columns."""
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """No column."""
        return {}

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """Hold rows; those that come too late leave by the port ``late``."""
        if not len(batch):
            return ()
        late = batch.times < self._limit
        if not late.any():
            self._parts.append(_ordered(batch))
            return ()
        if not late.all():
            self._parts.append(_ordered(batch.take(~late)))
        return ((LATE, batch.take(late)),)

    def advance(self, watermark: int) -> Outputs:
        """The rows whose time has come, in order."""
        self._limit = limit = max(self._limit, watermark - nanos(self.within))
        ready: list[Batch] = []
        rest: list[_Part] = []
        for part in self._parts:
            if part.low >= limit:
                rest.append(part)
                continue
            cut = int(np.searchsorted(part.rows.times, limit))
            ready.append(part.rows.take(slice(0, cut)))
            if cut < len(part.rows):
                rest.append(_Part(part.rows.take(slice(cut, None)), int(part.rows.times[cut])))
        self._parts = rest
        return ((MAIN, _ordered(concat(ready)).rows),) if ready else ()

    def behind(self) -> int:
        """The rows that it holds longer than the watermark says."""
        return int(nanos(self.within))

    def state_bytes(self) -> int:
        """The bytes of the rows that are held."""
        return sum(part.rows.nbytes for part in self._parts)

    def grows(self, batch: Batch) -> NDArray[np.bool_] | None:
        """All rows that would be held; those that are late are not."""
        held = batch.times >= self._limit
        return held if held.any() else None

    def snapshot(self) -> State:
        """The rows that are held."""
        arrays = {}
        if self._parts:
            self._parts = [_ordered(concat([part.rows for part in self._parts]))]
            arrays["rows"] = np.frombuffer(encode_batch(self._parts[0].rows), np.uint8)
        return State(_VERSION, {"of": {}, "limit": self._limit}, arrays)

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; it may be of another ``within``."""
        check_saved(saved, {})
        self._limit = saved.meta["limit"]
        self._parts = []
        if "rows" in saved.arrays:
            self._parts = [_ordered(decode_batch(saved.arrays["rows"].tobytes()))]


def _ordered(batch: Batch) -> _Part:
    """Rows by time, those of equal time as they came."""
    times = batch.times
    if (times[1:] < times[:-1]).any():
        batch = batch.take(np.argsort(times, kind="stable"))
    return _Part(batch, int(batch.times[0]))
