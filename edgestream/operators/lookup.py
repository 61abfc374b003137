"""``lookup``: add columns from a table outside the stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edgestream.batch import Batch, Column, Strings
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.config.fields import option, state
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Fatal, Problem, Retry
from edgestream.operators.indexed import Indexed, Rows
from edgestream.operators.names import known_names
from edgestream.schema import ColumnKind, Schema
from edgestream.tables.table import Table

REJECTED = "rejected"
REASON = "reason"
_NUMBERS = ("int", "float", "bool")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The rows of a table, and its stamp when they were read."""

    rows: Indexed
    stamp: object | None


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
        """\
lookup:
  table:
    postgres:
      url: postgresql://edge@db.local/plant
      password: ${PLANT_PASSWORD}
      table: sensors
  on: {device: sensor_id}
  columns: [room, installed]
""",
    ),
)
class Lookup(Operator):
    """Add columns from a table to each row, such as the room a sensor is in.

    The table is a file of its own (CSV, JSON, NDJSON), or one of the kinds of table that are
    listed with the components: a table or query in SQLite, in PostgreSQL. It has up to 1,000,000
    rows, which are kept in memory. ``on`` names the columns that must be equal, on both sides or,
    as a mapping, in the stream and in the table. Of rows of the table with the same key the last
    one counts. A number also finds a key written as text: 7 finds "7", but not "007". A time
    finds nothing.

    Where the table has no row for a key, the added columns are missing (``missing: keep``), the
    row is gone on purpose (``drop``), or it leaves by the port ``rejected`` with a column
    ``reason`` (``reject``). Whole numbers and true or false become numbers where they may be
    missing.

    The table is read when the pipeline is loaded (a server that is away then is an error, and the
    pipeline does not start), and then again every ``refresh``, beside the stream: a row sees the
    table as it was last read. Where it cannot be read, lacks a column or holds text where numbers
    were, the table read before stays; that is logged once, and counted each time
    (``edgestream_refresh_failures``). A stream that is replayed after a crash sees the table of
    then, not of the first time.
    """

    ports = (REJECTED,)

    table: Table | str = option(
        help="A file (.csv, .json, .ndjson), or a kind of table such as {sqlite: {path, table}}.",
        example="sensors.csv",
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
        """Columns to find a row by."""
        if not self.on or "" in self.on:
            raise ConfigError(Problem("no column is named", ("on",), "write on: device"))

    def beside(self, folder: str) -> Lookup:
        """A table with a relative path lies beside the pipeline file."""
        return replace(self, table=self._table.beside(folder))

    def label(self) -> str:
        """Its name, and where the table is."""
        return f"{self.about.name} {self._table.place()}"[:60]

    def infer(self, schema: Schema) -> Schema:
        """The columns that enter and those of the table, which is read for that."""
        known_names(self.on, schema, "on")
        self._kinds = {}
        try:
            self.take(self.load())
        except Retry as error:
            hint = (
                "the table must be there when the pipeline is loaded; "
                "in a pipeline file, a path is that from the folder of the file"
            )
            raise ConfigError(Problem(str(error), ("table",), hint)) from error
        except ImportError as error:
            about = self._table.about
            message = f"{about.name} needs a package that is not installed ({error})"
            hint = f'pip install "edgestream[{about.extra}]"' if about.extra else ""
            raise ConfigError(Problem(message, ("table",), hint)) from error
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
            raise Fatal(f"{self._table.place()} was never read: call infer first, or load and take")
        if not len(batch):
            return []
        table = self._loaded.rows
        rows = table.find([batch.columns.get(name) for name in _pairs(self.on)], len(batch))
        if self.missing == "keep":
            return [(MAIN, self._with(batch, table, rows))]
        found, lost = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
        outputs: list[tuple[str, Batch]] = []
        if len(found):
            kept = batch if not len(lost) else batch.take(found)
            outputs.append((MAIN, self._with(kept, table, rows[found])))
        if len(lost) and self.missing == "reject":
            reasons = Strings.of([f"{self._table.place()} has no such row"])
            columns = {REASON: reasons[np.zeros(len(lost), np.intp)]}
            gone = batch.take(lost)
            outputs.append((REJECTED, Batch({**gone.columns, **columns}, gone.times, gone.keys)))
        return outputs

    def refresh_every(self) -> int:
        """How often the runtime reads the table."""
        return int(nanos(self.refresh))

    def load(self) -> _Loaded:
        """Read the table, unless it is as it was; raises `Retry` where it cannot be read."""
        stamp = self._table.stamp()
        if self._loaded is not None and stamp is not None and stamp == self._loaded.stamp:
            return self._loaded
        keys = list(_pairs(self.on).values())
        needed = list(dict.fromkeys([*keys, *self.columns]))
        cells = self._table.read(needed if self.columns else ())
        self._table.require(needed, cells)
        return _Loaded(Indexed(cells, keys), stamp)

    def take(self, loaded: object) -> None:
        """Go on with a table; raises `Retry` where it does not go with the one before."""
        assert isinstance(loaded, _Loaded)
        table = loaded.rows
        keys = _pairs(self.on).values()
        names = self._kinds or self.columns or [n for n in table.columns if n not in keys]
        kinds: dict[str, ColumnKind] = {}
        for name in names:
            if name not in table.columns:
                raise Retry(f"{self._table.place()} has no column {name!r} any more")
            kinds[name] = kind = table.columns[name].kind
            before = self._kinds.get(name, kind)
            if "any" not in (before, kind) and _word(before) != _word(kind):
                message = f"held {_word(before)} and now holds {_word(kind)}"
                raise Retry(f"{self._table.place()}: the column {name!r} {message}")
        self._kinds = self._kinds or kinds
        self._loaded = loaded

    @property
    def _table(self) -> Table:
        assert isinstance(self.table, Table)  # what is written as text was converted
        return self.table

    def _added(self) -> dict[str, ColumnKind]:
        """The columns that are added: where they may be missing, numbers are floats."""
        optional = self.missing == "keep"
        return {
            self.prefix + name: "float" if optional and kind in _NUMBERS else kind
            for name, kind in self._kinds.items()
        }

    def _with(self, batch: Batch, table: Indexed, rows: Rows) -> Batch:
        columns: dict[str, Column] = dict(batch.columns)
        for name in self._kinds:
            typed = table.columns[name]
            column = typed.optional if self.missing == "keep" else typed.column
            columns[self.prefix + name] = column[rows]
        return Batch(columns, batch.times, batch.keys)


def _pairs(on: Mapping[str, str] | Sequence[str]) -> Mapping[str, str]:
    """Column of the stream → column of the table."""
    return on if isinstance(on, Mapping) else {name: name for name in on}


def _word(kind: ColumnKind) -> str:
    """What a column holds, as far as its table may not change it."""
    return "numbers" if kind in _NUMBERS else "times" if kind == "time" else "text"
