"""An operator of its own, for what none that comes with edgestream does: the best of each key.

Few rows are kept of a key, and only the keys of a batch are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

import edgestream as es
from edgestream import Batch, Outputs, State


@es.component("best", examples=("best: {by: auction, column: price, most: 10}",))
class Best(es.Operator):
    """Give the highest values of each key with their rank, and again where a rank changes.

    A row has the key, ``rank`` from 1 and the value; ``(key, rank)`` identifies it. Of equal values
    the first to come ranks higher. Rows leave when the watermark moves, with the latest time that
    came; rows without a key or a value have no rank.
    """

    gathers: ClassVar[bool] = True

    by: str = es.option(help="The key column, of whole numbers.", example="auction")
    column: str = es.option(help="The column of numbers that is ranked.", example="price")
    most: int = es.option(default=10, help="How many are kept of a key.", minimum=1)
    _kept: NDArray[np.float64] = es.state(lambda: np.empty((0, 3)))
    """A row each: key, value, and whether its rank has to be told of."""
    _latest: int = es.state(lambda: 0)

    def infer(self, schema: es.Schema) -> es.Schema:
        """The key, the rank and the value."""
        kinds = {self.by: schema.kind(self.by), "rank": "int", self.column: "float"}
        return es.Schema.of_kinds(kinds)

    def uses(self) -> Mapping[str, es.ColumnKind]:
        """Two columns of numbers."""
        return {self.by: "float", self.column: "float"}

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """No other column."""
        return frozenset()

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """What identifies a row."""
        return (self.by, "rank")

    def process(self, batch: Batch) -> Outputs:
        """Keep what is among the best of its key."""
        self._latest = int(batch.times.max(initial=self._latest))
        new = np.stack([np.asarray(batch[self.by], float), np.asarray(batch[self.column], float)])
        new = new[:, np.isfinite(new).all(axis=0)]
        touched = np.isin(self._kept[:, 0], new[0])
        old = self._kept[touched]
        rows = np.concatenate([old, np.column_stack([*new, np.ones(new.shape[1])])])
        order = np.lexsort((-rows[:, 1], rows[:, 0]))  # it is stable: the first to come stays so
        rows = rows[order]
        rank = _ranks(rows[:, 0])
        # whoever stands behind a new row has another rank than before
        behind = np.maximum.accumulate(np.where(rows[:, 2] > 0, np.arange(len(rows)), -1))
        rows[:, 2] = behind >= np.arange(len(rows)) - rank
        self._kept = np.concatenate([self._kept[~touched], rows[rank < self.most]])
        return []

    def advance(self, watermark: int) -> Outputs:
        """The ranks that changed."""
        changed = self._kept[:, 2] > 0
        if not changed.any():
            return []
        order = np.argsort(self._kept[:, 0], kind="stable")
        self._kept = self._kept[order]
        changed = changed[order]
        rank = _ranks(self._kept[:, 0]) + 1
        columns = {
            self.by: self._kept[changed, 0],
            "rank": rank[changed],
            self.column: self._kept[changed, 1],
        }
        self._kept[:, 2] = 0
        times = np.full(int(changed.sum()), self._latest, np.int64)
        return [(es.MAIN, Batch(columns, times, (self.by, "rank")))]

    def snapshot(self) -> State:
        """The rows that are kept."""
        return State(1, {"latest": self._latest}, {"kept": self._kept.copy()})

    def restore(self, saved: State) -> None:
        """Go on with them."""
        self._kept, self._latest = saved.arrays["kept"].copy(), saved.meta["latest"]


def _ranks(keys: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of each row among those of its key, from 0; equal keys stand together."""
    index = np.arange(len(keys))
    first = np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
    return index - np.maximum.accumulate(np.where(first, index, 0))
