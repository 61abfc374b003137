"""Rows that wait to be taken together: a call of numpy costs the same for 10 rows as for 1,000.

Nothing is copied until they are looked at. Batches that can be joined without a look at the rows
(the same columns, types and dictionaries) become one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.batch import Array, Batch, Column, Strings
from edgestream.window.kind import FAR
from edgestream.window.pile import Part, Pile
from edgestream.window.stored import stored, stored_texts


class Waiting:
    """Batches in the order in which they came, cut down to the columns ``names``."""

    __slots__ = ("_names", "_piles", "came", "low", "rows")

    def __init__(self, names: Iterable[str]) -> None:
        """Start empty."""
        self._names = tuple(names)
        self._piles: list[Pile] = []
        self.rows = 0
        self.came = 0
        """How many rows were ever added."""
        self.low = FAR

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return sum(pile.nbytes for pile in self._piles)

    def add(self, batch: Batch, low: int) -> None:
        """Let rows wait, of which ``low`` is the first time."""
        columns = batch.columns
        part = tuple([columns.get(name) for name in self._names])
        if not self._piles or not self._piles[-1].fits(part):
            self._piles.append(Pile(part))
        self._piles[-1].add(part, batch.times)
        self.rows += len(batch.times)
        self.came += len(batch.times)
        self.low = min(self.low, low)

    def newest(self, rows: int) -> list[Batch]:
        """At least so many of the rows that came last; they go on waiting."""
        found: list[Batch] = []
        for pile in reversed(self._piles):
            found += [self._batch(part) for part in pile.newest(rows)]
            rows -= pile.rows
        return found[::-1]

    def take(self, before: int | None = None) -> list[Batch]:
        """All rows, or those of times ``before``, which then no longer wait, as full batches."""
        if before is None:
            parts = [pile.all() for pile in self._piles if pile.rows]
            self._piles, self.rows, self.low = [], 0, FAR
        else:
            found = [(pile, pile.before(before)) for pile in self._piles]
            parts = [pile.take(at) for pile, at in found if len(at)]
            self._piles = [pile for pile in self._piles if pile.rows]
            self.rows = sum(pile.rows for pile in self._piles)
            self.low = min((pile.low for pile in self._piles), default=FAR)
        return [self._batch(part) for part in parts]

    def save(self) -> tuple[list[Any], dict[str, Array]]:
        """JSON values and arrays that `load` understands."""
        low, batches = self.low, self.take()
        meta: list[Any] = []
        arrays: dict[str, Array] = {}
        for at, batch in enumerate(batches):
            self.add(batch, low)
            texts: dict[str, list[str]] = {}
            arrays[f"{at}"] = batch.times.copy()
            for name, column in batch.columns.items():
                if isinstance(column, Strings):
                    own = Strings.of(column.to_list())
                    texts[name] = list(own.dictionary.values)
                    arrays[f"{at}.{name}"] = own.codes
                else:
                    arrays[f"{at}.{name}"] = column.copy()
            meta.append({"columns": list(batch.columns), "texts": texts})
        return meta, arrays

    def load(self, meta: Sequence[Any], arrays: Mapping[str, Any]) -> None:
        """Hold what gave these to `save`."""
        for at, about in enumerate(meta):
            columns: dict[str, Column] = {}
            times = stored(arrays[f"{at}"], np.int64, None)
            for name in about["columns"]:
                array, texts = arrays[f"{at}.{name}"], about["texts"].get(name)
                columns[name] = (
                    stored(array, array.dtype, len(times))
                    if texts is None
                    else stored_texts(array, texts, len(times))
                )
            self.add(Batch(columns, times), int(times.min()))

    def _batch(self, part: Part) -> Batch:
        columns, times = part
        named = zip(self._names, columns, strict=True)
        return Batch({name: column for name, column in named if column is not None}, times)
