"""Rows held back until the watermark has passed them, then given in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgestream.batch import Array, Batch, Column, Dictionary, Strings, concat


class Reorder:
    """A buffer of rows; of equal times, the one that came first stays first."""

    def __init__(self, names: Iterable[str]) -> None:
        """Keep only the columns ``names``."""
        self._names = tuple(names)
        self._held: list[Batch] = []

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        columns = (column for batch in self._held for column in batch.columns.values())
        sizes = ((c.codes if isinstance(c, Strings) else c).nbytes for c in columns)
        return sum(sizes) + sum(batch.times.nbytes for batch in self._held)

    def add(self, batch: Batch) -> None:
        """Hold rows."""
        self._held.append(batch.select(name for name in self._names if name in batch))

    def take(self, watermark: int) -> Batch | None:
        """The rows before the watermark, in the order of time; None where there are none."""
        if not any(int(batch.times.min()) < watermark for batch in self._held):
            return None
        whole = concat(self._held)
        ready = whole.times < watermark
        self._held = [] if ready.all() else [whole.take(~ready)]
        rows = np.flatnonzero(ready)
        return whole.take(rows[np.argsort(whole.times[rows], kind="stable")])

    def save(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """JSON values and arrays that `load` understands."""
        if not self._held:
            return {}, {}
        held = concat(self._held)
        texts: dict[str, list[str]] = {}
        arrays: dict[str, Array] = {"": held.times.copy()}
        for name, column in held.columns.items():
            if isinstance(column, Strings):
                own = Strings.of(column.to_list())
                texts[name] = list(own.dictionary.values)
                arrays[f".{name}"] = own.codes
            else:
                arrays[f".{name}"] = column.copy()
        return {"texts": texts}, arrays

    def load(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Hold what gave these to `save`."""
        self._held = []
        if arrays:
            columns: dict[str, Column] = {}
            for name in (key[1:] for key in arrays if key):
                array = np.array(arrays[f".{name}"])
                texts = meta["texts"].get(name)
                columns[name] = array if texts is None else Strings(array, Dictionary(texts))
            self._held = [Batch(columns, np.array(arrays[""]))]
