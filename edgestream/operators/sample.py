"""``sample``: some of the rows, by time or at random."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, to_python
from edgestream.component import MAIN, OVERFLOW, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.operators.per_key import PerKey, Table, check_by, check_schema
from edgestream.operators.runs import split
from edgestream.schema import ColumnKind, Schema
from edgestream.window.lookup import Numbers

DROPPED = "dropped"
_NEVER = np.iinfo(np.int64).min
_UNKNOWN, _YES, _NO = 0, 1, 2


@component(
    "sample",
    examples=(
        "sample: {every: 10s, by: device}",
        "sample: {fraction: 0.1}",
        "sample: {fraction: 0.05, by: session}",
    ),
)
class Sample(PerKey):
    """Keep a part of the rows; the others leave by the port ``dropped``.

    ``every: 10s`` keeps the first row that comes of each key in each period of that length, as
    the periods lie on the clock (from 12:00:00 up to 12:00:10, and so on, in UTC). A row of a
    period before the last one that was begun is dropped.

    ``fraction: 0.1`` keeps one row in ten on average, chosen by a hash of its number: the same
    stream always gives the same rows. With ``by`` whole keys are chosen by a hash of the key: of
    one key in ten all rows are kept, of the others none, in every pipeline and on every machine
    alike.

    A key whose last row lies ``forget`` behind the watermark is forgotten.
    """

    ports = (DROPPED, OVERFLOW)

    every: Duration | None = option(
        default=None, help="One row of a key in every period of this length.", example="10s"
    )
    fraction: float | None = option(
        default=None, help="The part of the rows to keep.", minimum=0, maximum=1, example="0.1"
    )
    by: Sequence[str] = option(default=(), help="The key columns; none is one key for all rows.")
    forget: Duration = option(
        default="1d", help="A key without rows for so long is forgotten.", minimum=1
    )
    _table: Table | None = state()

    def check(self) -> None:
        """Either every or fraction."""
        check_by(self.by)
        if (self.every is None) == (self.fraction is None):
            hint = "write every: 10s, or fraction: 0.1"
            raise ConfigError(Problem("give either every or fraction", hint=hint))
        if self.every is not None and not nanos(self.every):
            raise ConfigError(Problem("must be longer than nothing", ("every",)))

    def infer(self, schema: Schema) -> Schema:
        """The same columns."""
        check_schema(schema, {"by": self.by})
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The key columns, of any kind."""
        return dict.fromkeys(self.by, "any")

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it."""
        return wanted

    def process(self, batch: Batch) -> Outputs:
        """The rows that are kept, and by the port ``dropped`` the others."""
        if not len(batch):
            return ()
        table = self._state()
        if self.fraction is None:
            kept = _first(table, batch, nanos(self.every or "0s"))
        elif self.by:
            kept = _keys(table, batch, self.fraction)
        else:
            kept = _rows(table, batch, self.fraction)
        return split(batch, kept, MAIN, DROPPED)

    def advance(self, watermark: int) -> Outputs:
        """Nothing leaves; keys are forgotten."""
        self._state().advance(watermark)
        return ()

    def snapshot(self) -> State:
        """The keys with their last periods, or the number of rows."""
        return self._state().save(self._of())

    def restore(self, saved: State) -> None:
        """Go on from a snapshot; raises `ConfigError` where it is of another sample."""
        self._state().load(saved, self._of())

    def _state(self) -> Table:
        if self._table is None:
            blank: dict[str, NDArray[Any]] = {"period": np.array(_NEVER)}
            if self.fraction is not None:
                blank = {"chosen": np.array(_UNKNOWN)} if self.by else {"rows": np.array(0)}
            self._table = Table(self.by, nanos(self.forget), blank)
        return self._table

    def _of(self) -> dict[str, object]:
        every = None if self.every is None else str(self.every)
        return {"by": list(self.by), "every": every, "fraction": self.fraction}


def _first(table: Table, batch: Batch, every: int) -> NDArray[np.bool_]:
    """The rows that begin a period of their key."""
    runs = table.runs(batch)
    periods = table.columns["period"]
    mine = batch.times[runs.order] // every
    before = periods[runs.slots]
    latest = runs.maxima(mine, before)
    periods[runs.slots] = latest[runs.ends]
    return runs.back(mine > runs.previous(latest, before))


def _rows(table: Table, batch: Batch, fraction: float) -> NDArray[np.bool_]:
    """Rows by a hash of their number."""
    table.slots(batch)
    count = table.columns["rows"]
    numbers = np.arange(count[0], count[0] + len(batch)).astype(np.uint64)
    count[0] += len(batch)
    return _mixed(numbers) < fraction


def _keys(table: Table, batch: Batch, fraction: float) -> NDArray[np.bool_]:
    """Rows whose key is chosen."""
    slots = table.slots(batch)
    chosen = table.columns["chosen"]
    new = np.unique(slots[chosen[slots] == _UNKNOWN])
    if len(new):
        hashes = np.fromiter(_hashes(table, new), np.uint64, len(new))
        chosen[new] = np.where(_mixed(hashes) < fraction, _YES, _NO)
    wanted: NDArray[np.bool_] = chosen[slots] == _YES
    return wanted


def _hashes(table: Table, slots: Numbers) -> Iterator[int]:
    """A hash of each key, the same wherever and in whatever form it comes."""
    columns = [to_python(column) for column in table.index.take(slots).values()]
    for values in zip(*columns, strict=True):  # new keys only: 5 µs each
        text = json.dumps([_plain(value) for value in values], default=str)
        yield int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _plain(value: object) -> object:
    """Whole numbers alike, whether they came as integers, floats or truths."""
    return int(value) if isinstance(value, float | bool) and value == int(value) else value


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Numbers from 0 to below 1, evenly spread: the mixing steps of splitmix64 (Vigna 2015)."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    spread: NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return spread
