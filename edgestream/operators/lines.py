"""Straight lines across rows without values: such rows wait for the reading on the other side.

A reading is a row with any of the values. Rows of a key count in the order in which they come.
What leaves, and in which order, depends on the rows and watermarks alone, not on how they are cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import NAT, Batch, concat
from edgestream.component import State
from edgestream.operators.per_key import Table, numbers
from edgestream.operators.runs import Runs
from edgestream.packing import decode_batch, encode_batch
from edgestream.window.lookup import Numbers
from edgestream.window.stored import stored

_Times = NDArray[np.int64]


class Lines:
    """The last reading of each key, and the rows that wait for the next."""

    def __init__(self, columns: Sequence[str], by: Sequence[str], reach: int, forget: int) -> None:
        """Readings more than ``reach`` ns apart have no line between them."""
        blank = {"values": np.full(len(columns), np.nan), "time": np.array(NAT)}
        self.table = Table(by, forget, blank)
        self._columns, self._reach = tuple(columns), reach
        self._waiting: Batch | None = None
        self._slots: Numbers = np.zeros(0, np.intp)
        self._limits: _Times = np.zeros(0, np.int64)
        """A watermark above says that no reading comes near enough."""

    @property
    def nbytes(self) -> int:
        """The bytes of the rows that wait."""
        return 0 if self._waiting is None else self._waiting.nbytes + 16 * len(self._slots)

    def missing(self, batch: Batch) -> NDArray[np.bool_]:
        """The rows that are no readings."""
        return ~_readings(self._values(batch))

    def take(self, batch: Batch) -> Batch | None:
        """The rows that leave: readings, those between two of them, and those nothing can fill."""
        slots = self.table.slots(batch)
        ready = np.isin(self._slots, slots[~self.missing(batch)])
        if self._waiting is not None and ready.any():
            slots = np.concatenate([self._slots[ready], slots])
            batch = concat([self._waiting.take(ready), batch])
            self._keep(~ready)
        runs = Runs(slots, len(self.table))
        values, times = self._values(batch)[:, runs.order], batch.times[runs.order]
        there = _readings(values)
        left, right = runs.last(there), runs.following(there)
        before = self.table.columns["values"][runs.slots].T[:, runs.of]
        since = np.where(left < 0, self.table.columns["time"][runs.slots][runs.of], times[left])
        start = np.where(left < 0, before, values[:, left])
        vain = (since == NAT) | (since < self.table.watermark - self._reach)
        between = ~there & ~vain & (right >= 0)
        length = times[right] - since
        share = np.clip((times - since) / np.where(length > 0, length, 1), 0.0, 1.0)
        near = between & (length <= self._reach)
        with np.errstate(all="ignore"):
            line = start + (values[:, right] - start) * share
        values = np.where(near, line, values)
        self._remember(runs, left, values, times)
        waits = runs.back(~there & ~vain & (right < 0))
        made = batch.with_columns(
            **{name: runs.back(one) for name, one in zip(self._columns, values, strict=True)}
        )
        if waits.any():
            self._wait(made.take(waits), slots[waits], runs.back(since)[waits] + self._reach)
        freed = runs.back(np.where(between, runs.order[right], runs.order))
        order = np.argsort(freed, kind="stable")
        order = order[~waits[order]]
        return made.take(order) if len(order) else None

    def advance(self, watermark: int) -> Batch | None:
        """The rows for which no reading can come near enough any more; keys are forgotten."""
        over = self._limits < watermark
        made = None
        if self._waiting is not None and over.any():
            made = self._waiting.take(over)
            self._keep(~over)
        known = len(self.table)
        self.table.advance(watermark)
        if self._waiting is not None and len(self.table) != known:
            self._slots = self.table.index.find(self._waiting)
        return made

    def save(self, of: Mapping[str, Any]) -> State:
        """The keys with their last readings, and the rows that wait."""
        saved = self.table.save(of)
        if self._waiting is None:
            return saved
        rows = np.frombuffer(encode_batch(self._waiting), np.uint8)
        return replace(saved, arrays={**saved.arrays, "rows": rows, "limits": self._limits.copy()})

    def load(self, saved: State, of: Mapping[str, Any]) -> None:
        """Go on from what `save` gave; raises `ConfigError` where it is of other settings."""
        self.table.load(saved, of)
        if "rows" in saved.arrays:
            rows = decode_batch(saved.arrays["rows"].tobytes())
            limits = stored(saved.arrays["limits"], np.int64, len(rows))
            self._wait(rows, self.table.index.find(rows), limits)

    def _values(self, batch: Batch) -> NDArray[np.float64]:
        return np.stack([numbers(batch, name) for name in self._columns])

    def _remember(
        self, runs: Runs, left: Numbers, values: NDArray[np.float64], times: _Times
    ) -> None:
        """The last reading of each run, where it has one."""
        last = left[runs.ends]
        slots, last = runs.slots[last >= 0], last[last >= 0]
        self.table.columns["values"][slots] = values[:, last].T
        self.table.columns["time"][slots] = times[last]

    def _wait(self, rows: Batch, slots: Numbers, limits: _Times) -> None:
        self._waiting = rows if self._waiting is None else concat([self._waiting, rows])
        self._slots = np.append(self._slots, slots)
        self._limits = np.append(self._limits, limits)

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        assert self._waiting is not None
        self._waiting = self._waiting.take(rows) if rows.any() else None
        self._slots, self._limits = self._slots[rows], self._limits[rows]


def _readings(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which columns of some values hold any."""
    there: NDArray[np.bool_] = np.logical_or.reduce(values == values, axis=0)
    return there
