"""Rows that wait to be taken together: a call of numpy costs the same for 10 rows as for 1,000.

Nothing is copied until they are taken. Batches that can be joined without a look at the rows (the
same columns, types and dictionaries) become one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from edgestream.batch import Array, Batch, Column, Strings
from edgestream.window.stored import stored, stored_texts

FAR = np.iinfo(np.int64).max
_Part: TypeAlias = tuple[Column | None, ...]


class Waiting:
    """Batches in the order in which they came, cut down to the columns ``names``."""

    __slots__ = ("_names", "_segments", "came", "low", "nbytes", "rows")

    def __init__(self, names: Iterable[str]) -> None:
        """Start empty."""
        self._names = tuple(names)
        self._segments: list[list[tuple[_Part, Array]]] = []
        self.rows = 0
        self.came = 0
        """How many rows were ever added, those that stay when others are taken once more."""
        self.low = FAR
        self.nbytes = 0
        """The bytes held."""

    def add(self, batch: Batch, low: int) -> None:
        """Let rows wait, of which ``low`` is the first time."""
        columns = batch.columns
        part = tuple([columns.get(name) for name in self._names])
        if not self._segments or not all(map(_alike, self._segments[-1][-1][0], part)):
            self._segments.append([])
        self._segments[-1].append((part, batch.times))
        self.nbytes += batch.times.nbytes + sum(map(_nbytes, part))
        self.rows += len(batch.times)
        self.came += len(batch.times)
        self.low = min(self.low, low)

    def newest(self, rows: int) -> list[Batch]:
        """At least so many of the rows that came last; they go on waiting."""
        found: list[Batch] = []
        parts = (held for segment in reversed(self._segments) for held in reversed(segment))
        for part in parts if rows > 0 else ():
            found.append(self._joined([part]))
            rows -= len(part[1])
            if rows <= 0:
                break
        return found[::-1]

    def take(self, before: int | None = None) -> list[Batch]:
        """All rows, or those of times ``before``, which then no longer wait, as full batches."""
        batches = [self._joined(segment) for segment in self._segments]
        self._segments, self.rows, self.low, self.nbytes = [], 0, FAR, 0
        if before is None:
            return batches
        ready = []
        for batch in batches:
            mask = batch.times < before
            if mask.any():
                ready.append(batch if mask.all() else batch.take(mask))
            if not mask.all():
                rest = batch.take(~mask)
                self.add(rest, int(rest.times.min()))
        return ready

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

    def _joined(self, segment: Sequence[tuple[_Part, Array]]) -> Batch:
        part, times = segment[0]
        if len(segment) > 1:
            times = np.concatenate([times for _, times in segment])
            part = tuple(map(_join, zip(*(part for part, _ in segment), strict=True)))
        named = zip(self._names, part, strict=True)
        return Batch({name: column for name, column in named if column is not None}, times)


def _nbytes(column: Column | None) -> int:
    if column is None:
        return 0
    return column.codes.nbytes if isinstance(column, Strings) else column.nbytes


def _alike(one: Column | None, other: Column | None) -> bool:
    if isinstance(one, Strings):
        return isinstance(other, Strings) and one.dictionary is other.dictionary
    if one is None or other is None:
        return one is other
    return not isinstance(other, Strings) and one.dtype == other.dtype


def _join(columns: tuple[Column | None, ...]) -> Column | None:
    first = columns[0]
    if first is None:
        return None
    if isinstance(first, Strings):
        codes = [column.codes for column in columns if isinstance(column, Strings)]
        return Strings(np.concatenate(codes), first.dictionary)
    joined: Array = np.concatenate([c for c in columns if isinstance(c, np.ndarray)])
    return joined
