"""Sinks under the clock of a test: rows arrive, or wait in a real spool while a sink is away.

The spool is that of the runtime, over a database in memory, so a test sees the same rows dropped
as a running pipeline. How much disk is free is not asked: a test must not depend on the machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgestream.batch import Batch
from edgestream.config.values import nanos
from edgestream.runtime.writer import budget_of
from edgestream.scenario import Fault, Row
from edgestream.spec import SinkSpec
from edgestream.store.spool import TABLES, Budget, Spool


@dataclass(slots=True)
class Away:
    """One sink: what has arrived, what waits, and when it is away (ns after the start)."""

    name: str
    spec: SinkSpec
    faults: Sequence[Fault]
    began: int
    arrived: list[Row]
    budget: Budget = field(init=False)
    waiting: bool = False
    dropped: int = 0
    _number: int = 0
    _spool: Spool = field(init=False)
    _connection: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        """Open a spool."""
        self.budget = replace(budget_of(self.spec.spool), min_free=0)
        self._spool = Spool(Path("/"))
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.executescript(TABLES)

    def until(self, now: int) -> int | None:
        """When it comes back, where it is away now."""
        ends = [nanos(f.end) for f in self.faults if nanos(f.begin) <= now < nanos(f.end)]
        return max(ends, default=None)

    def holds(self, now: int) -> int | None:
        """Until when nothing may be read because of it: it waits, or its spool is full."""
        back = self.until(now)
        if back is None or not self.waiting:
            return None
        if self.spec.when_unreachable == "wait":
            return back
        held = self._spool.waiting(self._connection, self.name)
        too_old = held.oldest is not None and self.began + now - held.oldest > self.budget.max_age
        full = held.size > self.budget.max_bytes or (self.budget.max_age > 0 and too_old)
        return back if full and self.budget.overflow == "pause" else None

    def take(self, batch: Batch, now: int) -> None:
        """Rows for it."""
        self.come_back(now)
        if self.until(now) is None:
            self.arrived += self._marked(batch, late=False)
            return
        self.waiting = True
        self._number += 1
        self._put([(self.name, self._number, batch)], now)

    def come_back(self, now: int) -> None:
        """Deliver what waits where it is back by now."""
        if not self.waiting or self.until(now) is not None:
            return
        self._put([], max(nanos(f.end) for f in self.faults if nanos(f.end) <= now))
        self.waiting, after = False, 0
        while page := self._spool.page(self._connection, self.name, after):
            for _, batch in page:
                self.arrived += self._marked(batch, late=True)
            after = page[-1][0]
        self._spool.forward(self._connection, self.name, after)

    def _put(self, rows: Sequence[tuple[str, int, Batch]], now: int) -> None:
        made = self._spool.add(self._connection, rows, {self.name: self.budget}, self.began + now)
        self.dropped = made[self.name].dropped

    def _marked(self, batch: Batch, *, late: bool) -> list[Row]:
        mark = self.spec.spool.mark
        marked = batch.with_columns(**{mark: np.full(len(batch), late)}) if mark else batch
        return list(marked.rows())


def next_end(sinks: Mapping[str, Away], now: int) -> int | None:
    """When the first sink that is away, or will be, comes back."""
    ends = [nanos(f.end) for sink in sinks.values() for f in sink.faults if nanos(f.end) > now]
    return min(ends, default=None)


def sinks_of(specs: Mapping[str, SinkSpec], faults: Sequence[Fault], began: int) -> dict[str, Away]:
    """Every sink of a pipeline, with its faults; a fault without a name is of the only sink."""
    return {
        name: Away(name, spec, [f for f in faults if f.sink in (name, "")], began, [])
        for name, spec in specs.items()
    }
