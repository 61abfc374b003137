"""Cells: the state of a set of aggregates, as flat arrays with one position a cell.

A cell is what one key has in one pane or session. Aggregates of the same expression share one
track, so mean, sum and stddev of a column are updated once. Position 0 of a `Pool` is the cell
that no row ever enters: it stands for "nothing here" wherever cells are gathered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.aggregate import Aggregate
from edgestream.aggregate.beside import Beside, taken
from edgestream.aggregate.function import Function
from edgestream.aggregate.parts import Cells as Positions
from edgestream.aggregate.parts import Part
from edgestream.aggregate.track import Track
from edgestream.batch import Array, Batch, Column

_TEXT_BYTES = 64
"""What a kept text is reckoned at beside its pointer."""


class Cells:
    """Rows counted, and one track an expression."""

    __slots__ = ("_uses", "rows", "tracks")

    def __init__(self, aggregates: Mapping[str, Aggregate], size: int = 0) -> None:
        """Make ``size`` cells without rows."""
        wanted: list[tuple[Aggregate, list[Part]]] = []
        self._uses: dict[str, tuple[Function, int]] = {}
        # By text: what a column is called, and where it stands, does not change the state.
        for name, aggregate in sorted(aggregates.items(), key=lambda item: str(item[1])):
            self._uses[name] = aggregate.function, _track_of(aggregate, wanted)
        self._uses = {name: self._uses[name] for name in aggregates}
        self.rows = np.zeros(size, np.int64)
        self.tracks = [
            Track(first.expressions, first.function.reads_text, parts, size)
            for first, parts in wanted
        ]

    def __len__(self) -> int:
        """The number of cells."""
        return len(self.rows)

    def update(self, cells: Positions, batch: Batch) -> None:
        """Take the rows of a batch, each into its cell, in order."""
        with np.errstate(all="ignore"):
            for track in self.tracks:
                track.update(batch, cells, self.rows)
            np.add.at(self.rows, cells, 1)

    def take(self, cells: Positions) -> Cells:
        """Only these cells, as copies."""
        return self._with(taken(self.rows, cells), [track.take(cells) for track in self.tracks])

    def merge(self) -> Cells:
        """All layers in one, of cells that were taken by positions of shape (layers, cells)."""
        with np.errstate(all="ignore"):
            tracks = [track.merge(self.rows) for track in self.tracks]
        return self._with(np.add.reduce(self.rows, axis=0), tracks)

    def put(self, cells: Positions, other: Cells) -> None:
        """Overwrite cells by those of ``other``."""
        for mine, theirs in zip(self.tracks, other.tracks, strict=True):
            mine.put(cells, theirs, self.rows)
        self.rows[cells] = other.rows

    def clear(self, cells: Positions) -> None:
        """Make cells as if no row had ever come."""
        self.rows[cells] = 0
        for track in self.tracks:
            track.clear(cells)

    def grow(self, size: int, beside: bool) -> None:
        """Add cells without rows, up to ``size``; what a cell holds lies ``beside`` each other."""
        fields = sum(map(Beside.takes, self._arrays())) if beside else 0
        larger = Beside(size, fields)
        for track in self.tracks:
            track.grow(larger)
        self.rows = larger.of(self.rows, 0)

    def finish(self) -> dict[str, Column]:
        """The results, a row a cell."""
        results: dict[str, Column] = {}
        with np.errstate(all="ignore"):
            for name, (function, at) in self._uses.items():
                if at < 0:
                    results[name] = function.finish(self.rows, {}, "any")
                else:
                    results[name] = self.tracks[at].finish(function, self.rows)
        return results

    def save(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """JSON values and numeric arrays that `load` understands; texts are JSON values."""
        arrays: dict[str, Any] = {"rows": self.rows.copy()}
        tracks: list[dict[str, Any]] = []
        for at, track in enumerate(self.tracks):
            texts: dict[str, list[str | None]] = {}
            held = list(track.arrays())
            for index, array in enumerate(held):
                if array.dtype == object:
                    texts[str(index)] = array.tolist()
                else:
                    arrays[f"{at}.{index}"] = array.copy()
            counted = track.count is not None
            about = {"kind": track.kind, "counted": counted, "arrays": len(held), "texts": texts}
            tracks.append(about)
        return {"tracks": tracks}, arrays

    def load(self, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Become the cells that gave ``meta`` and ``arrays`` to `save`."""
        self.rows = np.array(arrays["rows"])
        for at, (track, about) in enumerate(zip(self.tracks, meta["tracks"], strict=True)):
            texts = about["texts"]
            held = [
                _texts(texts[str(index)]) if str(index) in texts else arrays[f"{at}.{index}"]
                for index in range(about["arrays"])
            ]
            track.load(about["kind"], about["counted"], held)

    @property
    def nbytes(self) -> int:
        """The bytes held; texts are reckoned."""
        return sum(
            array.nbytes + (_TEXT_BYTES * array.size if array.dtype == object else 0)
            for array in self._arrays()
        )

    def _arrays(self) -> Iterator[Array]:
        yield self.rows
        for track in self.tracks:
            yield from track.arrays()

    def _with(self, rows: NDArray[np.int64], tracks: list[Track]) -> Cells:
        made = object.__new__(Cells)
        made._uses, made.rows, made.tracks = self._uses, rows, tracks
        return made


def _track_of(aggregate: Aggregate, wanted: list[tuple[Aggregate, list[Part]]]) -> int:
    """The track that serves an aggregate, added to ``wanted`` where there is none; −1 for rows."""
    if not aggregate.expressions:
        return -1
    function = aggregate.function
    at = len(wanted)
    for index, (first, _) in enumerate(wanted):
        same = first.expressions == aggregate.expressions
        if same and first.function.reads_text == function.reads_text:
            at = index
    if at == len(wanted):
        wanted.append((aggregate, []))
    parts = wanted[at][1]
    if function.part is not None and function.part not in parts:
        parts.append(function.part)
    return at


def _texts(texts: list[Any]) -> NDArray[np.object_]:
    return np.array(texts, object)
