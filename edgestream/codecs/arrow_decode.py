"""From streams of Arrow record batches to columns, without a loop over rows.

What an array holds is told by its type, so one look at a schema teaches what one look at a value
does in JSON, by the same rules. ``pyarrow`` is imported when the first payload comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.batch import Column
from edgestream.codecs.arrow_arrays import Arrays, Part
from edgestream.codecs.arrow_claims import Claimed
from edgestream.codecs.columns import Kind, Learnt, Texts, fit, join, unfit
from edgestream.codecs.learning import Learning
from edgestream.codecs.packs import places
from edgestream.component import Decoded, State

MAX_CELLS = 4_194_304
"""Values that one payload may hold: a column of nothing costs no bytes, however long it is."""
MAX_UNPACKED = 64 * 1024 * 1024
MAX_DEPTH = 5

_LIKE: Mapping[Kind, Any] = {"int": 1, "float": 1.5, "bool": True, "string": "text", "array": []}


class Frames:
    """The state of decoding."""

    def __init__(self, learning: Learning, times: frozenset[str], max_payload: int) -> None:
        """Begin with what is known; ``times`` are demanded to be times."""
        self.learning = learning
        self._times = set(times)
        self._max_payload = max_payload
        self._claimed = Claimed()
        self._schema: Any = None
        self._names: Sequence[str] = ()
        self._structs = False
        self._arrays: Arrays | None = None

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The columns of the good payloads, and why the others are rejected."""
        if self._arrays is None:
            self._arrays = Arrays()
        arrays = self._arrays
        self.learning.renew()
        good: list[int] = []
        counts: list[int] = []
        parts: list[tuple[int, dict[str, Part | None]]] = []
        rejected: dict[int, str] = {}
        refusals = (arrays.pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)
        for index, payload in enumerate(payloads):
            try:
                batches = self._read(arrays, payload)
            except refusals as error:
                rejected[index] = _reason(error)
                continue
            good.append(index)
            counts.append(sum(count for count, _ in batches))
            parts += batches
        columns = {
            name: self._joined(column, [(count, made.get(name)) for count, made in parts])
            for name, column in self.learning.columns.items()
        }
        return Decoded(columns, sum(counts), places(good, counts), rejected)

    def absent(self) -> dict[str, str]:
        """The wanted columns no value came for, with what they might be called."""
        return self.learning.absent()

    @property
    def texts(self) -> list[Texts]:
        """The texts it remembers, of each column."""
        return self.learning.texts

    def snapshot(self) -> State:
        """What was learnt."""
        learnt = self.learning.snapshot()
        return State(learnt.version, {**learnt.meta, "times": sorted(self._times)}, {})

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        self.learning.restore(saved)
        known = saved.meta["times"]
        for name in known if self.learning.is_open else ():
            self.learning.columns.setdefault(name, Learnt(name))
        self._times |= {name for name in known if self._may_be_time(name)}

    def _may_be_time(self, name: str) -> bool:
        column = self.learning.columns.get(name)
        return column is not None and column.kind is None and not column.numeric

    def _read(self, arrays: Arrays, payload: bytes) -> list[tuple[int, dict[str, Part | None]]]:
        """The columns of each record batch of a stream; ValueError if it is rejected."""
        if len(payload) > self._max_payload:
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        claimed = self._claimed.of(payload)
        reader = arrays.pa.ipc.open_stream(payload)
        names = self._names_of(arrays.pa, reader.schema)
        if claimed.rows * max(1, len(names)) + claimed.words > MAX_CELLS:
            raise ValueError(f"more than {MAX_CELLS:,} values in one payload")
        if claimed.unpacked > MAX_UNPACKED:
            raise ValueError(f"more than {MAX_UNPACKED:,} bytes once it is unpacked")
        taken = self.learning.take(names)
        kinds = {name: column.kind for name, column in taken.items()}
        times: set[str] = set()
        batches = []
        for batch in reader:
            made = self._columns(arrays, batch, taken)
            for name, part in made.items():
                if part is not None and part.kind is None:
                    _check_time(taken[name], kinds[name])
                    times.add(name)
                elif part is not None:
                    kinds[name] = self._kind(taken[name], kinds[name], part, times)
            batches.append((batch.num_rows, made))
        self._keep(names, taken, kinds, times, batches)
        return batches

    def _names_of(self, pa: Any, schema: Any) -> Sequence[str]:
        """The names of all columns of a schema, those within structs with a dot."""
        if self._schema is None or not schema.equals(self._schema):
            self._structs = any(pa.types.is_struct(field.type) for field in schema)
            empty = schema.empty_table()
            self._names = _flat(pa, empty).schema.names if self._structs else schema.names
            self._schema = schema
        if len(set(self._names)) < len(self._names):
            twice = next(name for name in self._names if self._names.count(name) > 1)
            raise ValueError(f"the column {twice!r} comes twice")
        return self._names

    def _keep(
        self,
        names: Sequence[str],
        taken: Mapping[str, Learnt],
        kinds: Mapping[str, Kind | None],
        times: set[str],
        batches: Sequence[tuple[int, Mapping[str, Part | None]]],
    ) -> None:
        self.learning.keep(taken, kinds)
        self.learning.note(names)
        self._times |= times
        for count, made in batches:
            for name, part in made.items():
                gaps = part is None or part.gaps
                taken[name].nullable = taken[name].nullable or (gaps and count > 0)

    def _columns(
        self, arrays: Arrays, batch: Any, taken: Mapping[str, Learnt]
    ) -> dict[str, Part | None]:
        """The wanted columns of a record batch; None where all values are missing."""
        columns = batch.columns
        if self._structs:
            batch.validate(full=True)
            table = _flat(arrays.pa, arrays.pa.Table.from_batches([batch]))
            columns = [column.combine_chunks() for column in table.columns]
        made: dict[str, Part | None] = {}
        for name, array in zip(self._names, columns, strict=True):
            if name in taken:
                array.validate(full=True)
                made[name] = arrays.part(taken[name], array)
        return made

    def _kind(self, column: Learnt, kind: Kind | None, part: Part, times: set[str]) -> Kind | None:
        if column.name in self._times or column.name in times:
            raise ValueError(f"{column.name}: expected a time, got {_WORDS[part.kind]}")
        try:
            return fit(column, kind, _LIKE[part.kind] if part.kind else None)
        except ValueError:
            raise _unlike(column, kind, part.kind) from None

    def _joined(self, column: Learnt, parts: Sequence[tuple[int, Part | None]]) -> Column:
        if column.name not in self._times:
            return join(column, [(n, None if part is None else part.values) for n, part in parts])
        gap = np.datetime64("NaT", "us")
        pieces = [np.full(n, gap) if part is None else part.values for n, part in parts]
        return np.concatenate([np.zeros(0, "datetime64[us]"), *pieces])


_WORDS: Mapping[Kind | None, str] = {
    "int": "whole numbers",
    "float": "numbers",
    "bool": "true and false",
    "string": "text",
    "array": "lists",
    None: "times",
}


def _check_time(column: Learnt, kind: Kind | None) -> None:
    if kind is not None or column.numeric:
        raise _unlike(column, kind or "float", None)


def _unlike(column: Learnt, kind: Kind | None, came: Kind | None) -> ValueError:
    wanted = str(unfit(column, kind, "")).partition(", got ")[0]
    return ValueError(f"{wanted}, got {_WORDS[came]}")


def _flat(pa: Any, table: Any) -> Any:
    """A table whose structs are columns of their own, named with a dot."""
    for _ in range(MAX_DEPTH):
        if not any(pa.types.is_struct(field.type) for field in table.schema):
            break
        table = table.flatten()
    return table


def _reason(error: Exception) -> str:
    text = str(error).partition("\n")[0][:200]
    return text if type(error) is ValueError else f"not an Arrow stream: {text}"
