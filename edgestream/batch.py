"""A batch: many rows as numpy columns, the only thing that travels through a pipeline.

Rules: a batch never changes once made (its arrays are read-only); all columns have the same
length as ``times``; a missing number is NaN, a missing string has code −1, a missing time is NaT;
text is dictionary-coded, so operators compare and group integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from edgestream.dictionary import MISSING as MISSING  # noqa: PLC0414 - found here by all
from edgestream.dictionary import Dictionary as Dictionary  # noqa: PLC0414 - found here by all

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """A column of text: ``codes`` (int32, −1 is missing) into ``dictionary``."""

    codes: NDArray[np.int32]
    dictionary: Dictionary

    @classmethod
    def of(cls, texts: Sequence[str | None]) -> Strings:
        """A column with a dictionary of its own."""
        dictionary = Dictionary()
        return cls(dictionary.encode(texts), dictionary)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.codes)

    def __getitem__(self, rows: slice | Array) -> Strings:
        """Some of the rows, by slice, mask or positions."""
        return Strings(self.codes[rows], self.dictionary)

    def __eq__(self, other: object) -> NDArray[np.bool_]:  # type: ignore[override]
        """Row by row: equal to one string, or to another column; missing equals nothing."""
        if isinstance(other, str):
            code = self.dictionary.code(other)
            return cast("NDArray[np.bool_]", (self.codes == code) & (self.codes != MISSING))
        if isinstance(other, Strings):
            mine = self.to_array()
            return cast("NDArray[np.bool_]", (mine == other.to_array()) & (self.codes != MISSING))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def map(self, function: Callable[[str], Any], missing: Any, dtype: Any) -> Array:
        """Apply ``function`` once to each string in use; ``missing`` stands for missing rows."""
        used, inverse = np.unique(self.codes, return_inverse=True)
        values = self.dictionary.values
        results = [missing if code == MISSING else function(values[code]) for code in used.tolist()]
        table = np.empty(len(used), dtype)
        table[:] = results
        return table[inverse]

    def to_list(self) -> list[str | None]:
        """Plain Python strings, None where missing."""
        values = self.dictionary.values
        return [None if code < 0 else values[code] for code in self.codes.tolist()]

    def to_array(self) -> NDArray[np.object_]:
        """An object array of strings, None where missing."""
        out = np.empty(len(self.codes), object)
        out[:] = self.to_list()
        return out


Column: TypeAlias = Array | Strings


def freeze(array: Array) -> Array:
    """Mark ``array`` read-only and return it."""
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows as columns.

    ``columns`` maps names to arrays of shape (n,) (float64, int64, bool, ``datetime64[us]``) or
    `Strings`; ``times`` is each row's event time, int64 nanoseconds since the epoch, shape (n,);
    ``keys`` names the columns that identify a row (what an upsert goes by).
    """

    columns: Mapping[str, Column]
    times: NDArray[np.int64]
    keys: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check the lengths and freeze the arrays."""
        n = len(self.times)
        freeze(self.times)
        for name, column in self.columns.items():
            if len(column) != n:
                raise ValueError(f"column {name!r} has {len(column)} rows, times has {n}")
            (column.codes if isinstance(column, Strings) else column).setflags(write=False)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.times)

    def __getitem__(self, name: str) -> Any:
        """One column: a numpy array, or `Strings` for text."""
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self.columns

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays; texts stand in dictionaries that batches share."""
        arrays = [c.codes if isinstance(c, Strings) else c for c in self.columns.values()]
        return self.times.nbytes + sum(array.nbytes for array in arrays)

    def with_columns(self, **columns: Any) -> Batch:
        """The same rows with columns added or replaced; text may be given as a list of strings."""
        made = {name: as_column(values) for name, values in columns.items()}
        return Batch({**self.columns, **made}, self.times, self.keys)

    def take(self, rows: Any) -> Batch:
        """Some of the rows, by slice, boolean mask or positions."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Batch(columns, self.times[rows], self.keys)

    def select(self, names: Iterable[str]) -> Batch:
        """Only the named columns, in that order."""
        columns = {name: self.columns[name] for name in names}
        return Batch(columns, self.times, tuple(key for key in self.keys if key in columns))

    def rows(self) -> list[dict[str, Any]]:
        """Plain Python rows: None where missing, times as aware datetimes in UTC."""
        names = list(self.columns)
        lists = [to_python(self.columns[name]) for name in names]
        if not names:
            return [{} for _ in range(len(self))]
        return [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]


def as_column(values: Any) -> Column:
    """An array or list as a column: text is coded, integers int64, floats float64, times in µs."""
    if isinstance(values, Strings):
        return values
    if isinstance(values, list) and any(isinstance(value, str) for value in values):
        return Strings.of(values)
    array = np.asarray(values)
    if array.dtype.kind in "UO":
        listed = array.tolist()
        if all(value is None or isinstance(value, str) for value in listed):
            return Strings.of(listed)
        return np.array([math.nan if v is None else v for v in listed], np.float64)
    targets = {"i": "int64", "u": "int64", "f": "float64", "b": "bool", "M": "datetime64[us]"}
    if array.dtype.kind not in targets:
        raise TypeError(f"a column cannot hold values of type {array.dtype}")
    return array.astype(targets[array.dtype.kind])


def to_python(column: Column) -> list[Any]:
    """A column as a list of Python values, None where missing."""
    if isinstance(column, Strings):
        return column.to_list()
    if column.dtype.kind == "f":
        return [None if value != value else value for value in column.tolist()]
    if column.dtype.kind == "M":
        micros = column.astype("datetime64[us]").astype(np.int64).tolist()
        return [None if value == NAT else from_micros(value) for value in micros]
    return cast("list[Any]", column.tolist())


NAT = np.iinfo(np.int64).min
"""The integer behind numpy's NaT."""


def from_micros(micros: int) -> datetime:
    """Microseconds since the epoch as an aware datetime in UTC."""
    seconds, rest = divmod(micros, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def concat(batches: Sequence[Batch]) -> Batch:
    """One batch of all rows, in order; a column missing somewhere is missing in those rows."""
    if len(batches) == 1:
        return batches[0]
    names = list(dict.fromkeys(name for batch in batches for name in batch.columns))
    columns = {name: _join_column(name, batches) for name in names}
    return Batch(columns, np.concatenate([b.times for b in batches]), batches[0].keys)


def _join_column(name: str, batches: Sequence[Batch]) -> Column:
    parts = [batch.columns.get(name) for batch in batches]
    present = [part for part in parts if part is not None]
    if any(isinstance(part, Strings) for part in present):
        return _join_strings(parts, [len(batch) for batch in batches])
    whole = len(present) == len(parts)
    kind = np.result_type(*(cast("Array", part).dtype for part in present))
    if not whole and kind.kind in "ib":
        kind = np.dtype(np.float64)
    gap: Any = np.datetime64("NaT", "us") if kind.kind == "M" else math.nan
    return np.concatenate(
        [
            np.full(len(batch), gap, kind) if part is None else cast("Array", part).astype(kind)
            for part, batch in zip(parts, batches, strict=True)
        ]
    )


def _join_strings(parts: Sequence[Column | None], lengths: Sequence[int]) -> Strings:
    texts = [part for part in parts if isinstance(part, Strings)]
    if len(texts) == len(parts) and all(t.dictionary is texts[0].dictionary for t in texts):
        return Strings(np.concatenate([text.codes for text in texts]), texts[0].dictionary)
    listed: list[str | None] = []
    for part, length in zip(parts, lengths, strict=True):
        if part is None:
            listed.extend([None] * length)
        elif isinstance(part, Strings):
            listed.extend(part.to_list())
        else:
            listed.extend(None if value is None else str(value) for value in to_python(part))
    return Strings.of(listed)


def empty(like: Batch) -> Batch:
    """No rows, with the columns of ``like``."""
    return like.take(slice(0, 0))


def from_rows(rows: Sequence[Mapping[str, Any]], times: Any = None) -> Batch:
    """Plain Python rows as a batch; a field absent or None is missing. Times default to 0."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: _column_of([row.get(name) for row in rows]) for name in names}
    stamps = np.zeros(len(rows), np.int64) if times is None else np.asarray(times, np.int64)
    return Batch(columns, stamps.copy())


def _column_of(values: list[Any]) -> Column:
    present = [value for value in values if value is not None]
    if any(isinstance(value, str) for value in present):
        return Strings.of([None if v is None else str(v) for v in values])
    if any(isinstance(value, datetime) for value in present):
        stamps = [np.datetime64("NaT") if v is None else to_datetime64(v) for v in values]
        return np.array(stamps, "datetime64[us]")
    if len(present) < len(values):
        return np.array([math.nan if v is None else v for v in values], np.float64)
    if present and all(isinstance(value, bool) for value in present):
        return np.array(values, np.bool_)
    if present and all(isinstance(value, int) for value in present):
        return np.array(values, np.int64)
    return np.array(values, np.float64)


def to_datetime64(moment: datetime) -> np.datetime64:
    """An aware (or UTC) datetime as ``datetime64[us]``."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "us")
