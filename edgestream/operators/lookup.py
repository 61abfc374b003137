"""``lookup``: add columns from a table in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from edgestream.batch import Batch, Column, Strings
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Fatal, Problem, Retry, did_you_mean
from edgestream.operators.names import known_names
from edgestream.operators.table import Rows, Table
from edgestream.operators.tables import SqliteTable, endings, read_file, read_sqlite
from edgestream.schema import ColumnKind, Schema

REJECTED = "rejected"
REASON = "reason"
_NUMBERS = ("int", "float", "bool")


@dataclass(frozen=True, slots=True)
class InSqlite:
    """A table that is not a file of its own."""

    sqlite: SqliteTable = option(help="A table in an SQLite file.")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A table, and what the file looked like when it was read."""

    table: Table
    stamp: tuple[int, ...] | None


@component(
    "lookup",
    examples=(
        "lookup: {table: sensors.csv, on: device, columns: [room, floor]}",
        "lookup: {table: limits.json, on: [site, device], prefix: limit., missing: reject}",
        """\
lookup:
  table: {sqlite: {path: plant.db, table: sensors}}
  on: {device: sensor_id}
  refresh: 5m
  missing: drop
""",
    ),
)
class Lookup(Operator):
    """Add columns from a table to each row, such as the room a sensor is in.

    The table is a file of its own (``.csv`` with a header; ``.json``, a list of objects;
    ``.ndjson`` or ``.jsonl``, an object a line) or a table or query in SQLite, up to 64 MiB and
    1,000,000 rows. ``on`` names the columns that must be equal, on both sides or, as a mapping, in
    the stream and in the table. Of rows of the table with the same key the last one counts. A
    number also finds a key written as text: 7 finds "7", but not "007".

    Where the table has no row for a key, the added columns are missing (``missing: keep``), the
    row is gone on purpose (``drop``), or it leaves by the port ``rejected`` with a column
    ``reason`` (``reject``). Whole numbers and true or false become numbers where they may be
    missing.

    A relative path is that from the folder of the pipeline file, for a table belongs to its
    pipeline; in a pipeline built in Python it is that from the working directory.

    The table is read when the pipeline is loaded, and then again every ``refresh``, beside the
    stream: a row sees the table as it was last read. Where it cannot be read, lacks a column or
    holds text where numbers were, that is logged once and the table read before stays. A stream
    that is replayed after a crash sees the table of then, not of the first time.
    """

    ports = (REJECTED,)

    table: str | InSqlite = option(
        help="A file (.csv, .json, .ndjson), or {sqlite: {path, table}}.", example="sensors.csv"
    )
    on: Mapping[str, str] | Sequence[str] = option(
        help="The columns to find a row by; as a mapping, stream → table.", example="device"
    )
    columns: Sequence[str] = option(
        default=(), help="The columns to add; none is all others.", example="[room, floor]"
    )
    prefix: str = option(default="", help="Stands before the names of the added columns.")
    refresh: Duration = option(
        default="1m", help="Time between two reads of the table; 0 is only once.", example="1m"
    )
    missing: Literal["keep", "drop", "reject"] = option(
        default="keep", help="What becomes of a row for which the table has none."
    )
    _loaded: _Loaded | None = state()
    _kinds: dict[str, ColumnKind] = state(dict)

    def check(self) -> None:
        """Columns to find a row by, and a file that can be told."""
        if not self.on or "" in self.on:
            raise ConfigError(Problem("no column is named", ("on",), "write on: device"))
        if isinstance(self.table, str) and Path(self.table).suffix.lower() not in endings():
            hint = f"known endings: {', '.join(endings())}; a table in SQLite is {{sqlite: …}}"
            raise ConfigError(Problem(f"{self.table!r} is no table", ("table",), hint))

    def beside(self, folder: str) -> Lookup:
        """A table with a relative path lies beside the pipeline file."""
        if isinstance(self.table, str):
            return replace(self, table=str(Path(folder, self.table)))
        within = self.table.sqlite
        moved = replace(within, path=str(Path(folder, within.path)))
        return replace(self, table=replace(self.table, sqlite=moved))

    def infer(self, schema: Schema) -> Schema:
        """The columns that enter and those of the table, which is read for that."""
        known_names(self.on, schema, "on")
        self._kinds = {}
        try:
            self.take(self.load())
        except Retry as error:
            hint = (
                "the table must be there when the pipeline is loaded; "
                "in a pipeline file, its path is that from the folder of the file"
            )
            raise ConfigError(Problem(str(error), ("table",), hint)) from error
        twice = [name for name in self._kinds if self.prefix + name in schema.fields]
        if twice:
            hint = "name the columns to add, or give a prefix"
            message = f"the stream has a column {self.prefix + twice[0]!r} already"
            raise ConfigError(Problem(message, ("columns",), hint))
        return schema.with_fields(self._added())

    def port_schema(self, port: str, schema: Schema) -> Schema:
        """The columns that enter, and the reason."""
        return schema.with_fields({REASON: "string"})

    def uses(self) -> Mapping[str, ColumnKind]:
        """The columns to find a row by, of any kind."""
        return dict.fromkeys(_pairs(self.on), "any")

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it, without what is added here."""
        return None if wanted is None else wanted - self._added().keys()

    def process(self, batch: Batch) -> Outputs:
        """The rows with the columns of the table."""
        if self._loaded is None:
            raise Fatal(f"{_name(self.table)} was never read: call infer first, or load and take")
        if not len(batch):
            return []
        table = self._loaded.table
        rows = table.find([batch.columns.get(name) for name in _pairs(self.on)], len(batch))
        if self.missing == "keep":
            return [(MAIN, self._with(batch, table, rows))]
        found, lost = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
        outputs: list[tuple[str, Batch]] = []
        if len(found):
            kept = batch if not len(lost) else batch.take(found)
            outputs.append((MAIN, self._with(kept, table, rows[found])))
        if len(lost) and self.missing == "reject":
            reasons = Strings.of([f"{_name(self.table)} has no such row"])
            columns = {REASON: reasons[np.zeros(len(lost), np.intp)]}
            gone = batch.take(lost)
            outputs.append((REJECTED, Batch({**gone.columns, **columns}, gone.times, gone.keys)))
        return outputs

    def refresh_every(self) -> int:
        """How often the runtime reads the table."""
        return int(nanos(self.refresh))

    def load(self) -> _Loaded:
        """Read the table, unless the file is as it was; raises `Retry` where it cannot be read."""
        stamp = None
        if isinstance(self.table, str):
            stamp = _stamp(self.table)
            if self._loaded is not None and stamp is not None and stamp == self._loaded.stamp:
                return self._loaded
            cells = read_file(self.table)
        else:
            cells = read_sqlite(self.table.sqlite)
        pairs = _pairs(self.on)
        wanted = {**dict.fromkeys(pairs.values()), **dict.fromkeys(self.columns)}
        for name in wanted:
            if name not in cells:
                hint = did_you_mean(name, cells)
                raise Retry(f"{_name(self.table)} has no column {name!r}" + (hint and f"; {hint}"))
        return _Loaded(Table(cells, list(pairs.values())), stamp)

    def take(self, loaded: object) -> None:
        """Go on with a table; raises `Retry` where it does not go with the one before."""
        assert isinstance(loaded, _Loaded)
        table = loaded.table
        keys = _pairs(self.on).values()
        names = self._kinds or self.columns or [n for n in table.columns if n not in keys]
        kinds: dict[str, ColumnKind] = {}
        for name in names:
            if name not in table.columns:
                raise Retry(f"{_name(self.table)} has no column {name!r} any more")
            kinds[name] = kind = table.columns[name].kind
            before = self._kinds.get(name, kind)
            if "any" not in (before, kind) and (before in _NUMBERS) != (kind in _NUMBERS):
                what = ("text", "numbers") if kind in _NUMBERS else ("numbers", "text")
                message = f"held {what[0]} and now holds {what[1]}"
                raise Retry(f"{_name(self.table)}: the column {name!r} {message}")
        self._kinds = self._kinds or kinds
        self._loaded = loaded

    def _added(self) -> dict[str, ColumnKind]:
        """The columns that are added: where they may be missing, numbers are floats."""
        optional = self.missing == "keep"
        return {
            self.prefix + name: "float" if optional and kind in _NUMBERS else kind
            for name, kind in self._kinds.items()
        }

    def _with(self, batch: Batch, table: Table, rows: Rows) -> Batch:
        columns: dict[str, Column] = dict(batch.columns)
        for name in self._kinds:
            typed = table.columns[name]
            column = typed.optional if self.missing == "keep" else typed.column
            columns[self.prefix + name] = column[rows]
        return Batch(columns, batch.times, batch.keys)


def _pairs(on: Mapping[str, str] | Sequence[str]) -> Mapping[str, str]:
    """Column of the stream → column of the table."""
    return on if isinstance(on, Mapping) else {name: name for name in on}


def _name(table: str | InSqlite) -> str:
    """What a table is called in messages."""
    return table if isinstance(table, str) else table.sqlite.path


def _stamp(path: str) -> tuple[int, ...] | None:
    """What changes when a file does; None where it cannot be looked at."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
