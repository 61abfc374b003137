"""What an operator remembers of each key: a table with one row a key, and what forgets keys.

A key is forgotten once the watermark has passed its last row by ``forget``. That happens at a
watermark only, so that it does not depend on how the stream was cut into batches, and a key that
is forgotten is as one that never came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.values import as_numbers
from edgestream.batch import Array, Batch
from edgestream.component import OVERFLOW, Operator, State
from edgestream.errors import ConfigError, Problem
from edgestream.eventtime import UNKNOWN
from edgestream.operators.kept import Kept
from edgestream.operators.runs import Runs
from edgestream.schema import Schema
from edgestream.window.index import KeyIndex
from edgestream.window.lookup import Numbers
from edgestream.window.stored import stored

_VERSION = 1
_LEAST = 16
_FEW_KEYS = 1024
"""So many forgotten keys are not worth clearing out."""
_GONE = UNKNOWN


def check_by(by: Sequence[str]) -> None:
    """No name empty, none twice; raises `ConfigError`."""
    for index, name in enumerate(by):
        if not name:
            raise ConfigError(Problem("a column name cannot be empty", ("by", index)))
        if name in by[:index]:
            raise ConfigError(Problem(f"{name!r} is named twice", ("by", index)))


def check_schema(
    schema: Schema, fields: Mapping[str, str | Sequence[str]], numbers: Sequence[str] = ()
) -> None:
    """Raise `ConfigError` with every column that a field names and that is not there.

    The columns of the fields ``numbers`` must be numbers, or true or false.
    """
    problems: list[Problem] = []
    for field, given in fields.items():
        places = {(field,): given} if isinstance(given, str) else _places(field, given)
        for path, name in places.items():
            try:
                kind = schema.kind(name)
            except ConfigError as error:
                problems += [problem.under(*path) for problem in error.problems]
                continue
            if field in numbers and kind in ("string", "time"):
                what = "text" if kind == "string" else "times"
                problems.append(Problem(f"{name!r} holds {what}, not numbers", path))
    if problems:
        raise ConfigError(problems)


def numbers(batch: Batch, name: str) -> NDArray[np.float64]:
    """A column as float64, missing in all rows where it is not there."""
    column = batch.columns.get(name)
    return np.full(len(batch), np.nan) if column is None else as_numbers(column)


def _places(field: str, names: Sequence[str]) -> dict[tuple[str | int, ...], str]:
    return {(field, index): name for index, name in enumerate(names)}


class PerKey(Operator):
    """What operators have in common whose state is a `Table`; new keys are what makes it grow."""

    ports: tuple[str, ...] = (OVERFLOW,)
    _table: Table | None

    def state_bytes(self) -> int:
        """The bytes of keys and columns; texts are reckoned."""
        return 0 if self._table is None else self._table.nbytes

    def state_keys(self) -> int:
        """How many keys there are, some of them perhaps forgotten."""
        return 0 if self._table is None else len(self._table)

    def grows(self, batch: Batch) -> NDArray[np.bool_] | None:
        """The rows of new keys."""
        if self._table is None or not len(batch):
            return None
        new = self._table.index.find(batch) < 0
        return new if new.any() else None


class Table:
    """The keys with the columns kept of each.

    ``blank`` gives each column's value for a new key, a numpy array without dimensions or with one;
    ``kept`` names columns of any kind with the number of values a key (0: one). Columns are longer
    than there are slots, so that they seldom have to grow.
    """

    def __init__(
        self,
        by: Sequence[str],
        forget: int,
        blank: Mapping[str, Array],
        kept: Mapping[str, int] | None = None,
    ) -> None:
        """Start without keys."""
        self.index = KeyIndex(by)
        self.columns = {
            name: np.zeros((0, *value.shape), value.dtype) for name, value in blank.items()
        }
        self.kept = {name: Kept(width) for name, width in (kept or {}).items()}
        self.watermark = UNKNOWN
        self._blank, self._forget = dict(blank), forget
        self._seen = np.zeros(0, np.int64)
        self._oldest = np.iinfo(np.int64).max

    def __len__(self) -> int:
        """How many slots there are, some of them perhaps of forgotten keys."""
        return len(self.index)

    @property
    def nbytes(self) -> int:
        """The bytes held; texts are reckoned."""
        kept = sum(column.nbytes for column in self.kept.values())
        columns = sum(column.nbytes for column in self.columns.values())
        return self.index.nbytes + columns + kept + self._seen.nbytes

    def slots(self, batch: Batch) -> Numbers:
        """The slot of each row; new keys get one, and all are seen."""
        slots = self.index.slots(batch)
        if len(self.index) > len(self._seen):
            self._grow(max(_LEAST, len(self.index), 2 * len(self._seen)))
        seen = np.maximum(batch.times, self.watermark)
        np.maximum.at(self._seen, slots, seen)
        self._oldest = min(self._oldest, int(seen.min()))
        return slots

    def runs(self, batch: Batch) -> Runs:
        """The rows by key; all keys are seen."""
        return Runs(self.slots(batch), len(self))

    def some(self, batch: Batch, wanted: NDArray[np.bool_]) -> tuple[Numbers, Runs | None]:
        """Some of the rows, and these by key, None where there are none; all keys are seen."""
        slots = self.slots(batch)
        rows = np.flatnonzero(wanted)
        return rows, Runs(slots[rows], len(self)) if len(rows) else None

    def advance(self, watermark: int) -> None:
        """Forget the keys whose time has come."""
        self.watermark = max(watermark, self.watermark)
        limit = self.watermark - self._forget
        if limit < self._oldest:
            return
        gone = np.flatnonzero((self._seen <= limit) & (self._seen != _GONE))
        self._seen[gone] = _GONE
        for name, column in self.columns.items():
            column[gone] = self._blank[name]
        for kept in self.kept.values():
            kept.values[gone] = _GONE
        left = np.flatnonzero(self._seen != _GONE)
        self._oldest = int(self._seen[left].min()) if len(left) else np.iinfo(np.int64).max
        if self.index.names and len(self) - len(left) > max(_FEW_KEYS, len(left)):
            self._keep(left)
        for kept in self.kept.values():
            kept.tidy()

    def save(self, of: Mapping[str, Any]) -> State:
        """Everything, with the settings that give it its meaning."""
        size = len(self)
        if size > len(self._seen):
            self._grow(size)
        keys, arrays = self.index.save()
        arrays = {f"key.{name}": array for name, array in arrays.items()}
        arrays |= {f"column.{name}": array[:size].copy() for name, array in self.columns.items()}
        kept: dict[str, Any] = {}
        for name, column in self.kept.items():
            kept[name], arrays[f"kept.{name}"] = column.save(size)
        meta = {"of": dict(of), "keys": keys, "kept": kept, "watermark": self.watermark}
        return State(_VERSION, meta, {**arrays, "seen": self._seen[:size].copy()})

    def load(self, saved: State, of: Mapping[str, Any]) -> None:
        """Go on from what `save` gave; raises `ConfigError` where it is of other settings."""
        check_saved(saved, of)
        arrays = saved.arrays
        start = len("key.")
        names = [name for name in arrays if name.startswith("key.")]
        self.index.load(saved.meta["keys"], {name[start:]: arrays[name] for name in names})
        size = len(self)
        for name, blank in self._blank.items():
            column = arrays[f"column.{name}"]
            self.columns[name] = stored(column, blank.dtype, size, *blank.shape)
        for name, values in self.kept.items():
            values.load(saved.meta["kept"][name], arrays[f"kept.{name}"], size)
        self.watermark = int(saved.meta["watermark"])
        self._seen = stored(arrays["seen"], np.int64, size)
        left = self._seen[self._seen != _GONE]
        self._oldest = int(left.min()) if len(left) else np.iinfo(np.int64).max

    def _grow(self, size: int) -> None:
        """Make room for so many slots."""
        more = size - len(self._seen)
        self._seen = np.concatenate([self._seen, np.full(more, _GONE)])
        for name, column in self.columns.items():
            blank = self._blank[name]
            fresh = np.broadcast_to(blank, (more, *blank.shape))
            self.columns[name] = np.concatenate([column, fresh])
        for kept in self.kept.values():
            kept.grow(size)

    def _keep(self, slots: Numbers) -> None:
        self.index.keep(slots)
        self._seen = self._seen[slots]
        self.columns = {name: column[slots] for name, column in self.columns.items()}
        for kept in self.kept.values():
            kept.values = kept.values[slots]


def check_saved(saved: State, of: Mapping[str, Any]) -> None:
    """Raise `ConfigError` where a snapshot is of another version or of other settings."""
    if saved.version != _VERSION:
        hint = "start with fresh state, or with the version that wrote it"
        raise ConfigError(Problem(f"the state has the unknown version {saved.version}", hint=hint))
    before = saved.meta["of"]
    hint = "go back to what it was, or start with fresh state"
    problems = [
        Problem(f"the saved state is of {name} {before.get(name)}", (name,), hint)
        for name in of
        if before.get(name) != of[name]
    ]
    if problems:
        raise ConfigError(problems)
