"""``explode``: one row for each item of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgestream.batch import Batch, Column, Strings, to_python
from edgestream.component import MAIN, Operator, Outputs, State, component
from edgestream.config.fields import option, state
from edgestream.errors import ConfigError, Problem
from edgestream.eventtime import Time, Unit
from edgestream.operators.items import Found, Items, Refused
from edgestream.operators.names import known_names
from edgestream.schema import ColumnKind, Schema

REJECTED = "rejected"
REASON = "reason"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class ItemTime:
    """Where the event time of an item stands in it."""

    field: str = option(help="The field of the item that holds its time.")
    unit: Unit | None = option(
        default=None, help="s, ms, us or ns since the epoch, or iso8601; by default s for numbers."
    )


@component(
    "explode",
    shorthand="field",
    examples=(
        "explode: readings",
        "explode: {field: readings, prefix: reading., time: {field: ts, unit: ms}, index: n}",
    ),
)
class Explode(Operator):
    """Make one row of each item of a list, such as the readings of one frame.

    The list is a column of JSON text, as the ``json`` codec gives it. Of items that are objects
    each field becomes a column (``{"t": 1, "gps": {"lat": 2}}`` gives ``t`` and ``gps.lat``), with
    ``prefix`` before its name; other items become a column that is called like the list. The
    columns beside the list are repeated for each item; where an item has a field of the same
    name, the item's counts. An empty list gives no rows.

    With ``time`` the rows have the event times of their items; otherwise that of their row. The
    source's watermark knows nothing of the items: where they are older than the row they come in,
    give its ``time`` a ``delay`` as long as that, or windows take them for late.

    What items hold is learnt from the first that comes, by the rules of the ``json`` codec.
    An item that does not fit leaves by the port ``rejected``: the row it came in, with the
    item's text in place of the list, and a column ``reason``. So does a row without a list,
    and an item without a usable time.
    """

    ports = (REJECTED,)

    field: str = option(help="The column that holds the list.", example="readings")
    prefix: str = option(default="", help="Stands before the names of the items' fields.")
    time: ItemTime | str | None = option(
        default=None,
        help="The items' own event time: the name of a field, or {field, unit}.",
        example="{field: ts, unit: ms}",
    )
    index: str = option(
        default="", help="The name of a column for the place in the list, from 0 on."
    )
    max_items: int = option(
        default=10_000, help="A row with a longer list is rejected as a whole.", minimum=1
    )
    _items: Items | None = state()

    def check(self) -> None:
        """The column has a name."""
        if not self.field:
            raise ConfigError(Problem("a column name cannot be empty", ("field",)))

    def infer(self, schema: Schema) -> Schema:
        """The other columns, and any that items may bring."""
        known_names([self.field], schema, "field")
        if schema.kind(self.field) not in ("string", "any"):
            hint = "explode takes a column in which the json codec found lists"
            raise ConfigError(Problem(f"{self.field!r} holds no lists", ("field",), hint))
        others = {name: kind for name, kind in schema.fields.items() if name != self.field}
        if self.index:
            others[self.index] = "int"
        return Schema(others, open=True)

    def port_schema(self, port: str, schema: Schema) -> Schema:
        """The columns that enter, and the reason."""
        return schema.with_fields({self.field: "string", REASON: "string"})

    def uses(self) -> Mapping[str, ColumnKind]:
        """The list."""
        return {self.field: "any"}

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """What is wanted after it: any of that may be a column beside the list."""
        return None if wanted is None else wanted - {self.index}

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """None: several rows have the key of one."""
        return ()

    def process(self, batch: Batch) -> Outputs:
        """A row for each item; what is none by the port ``rejected``."""
        if not len(batch):
            return []
        found = self._reader().read(_texts(batch.columns.get(self.field), len(batch)))
        outputs: list[tuple[str, Batch]] = []
        if len(found.rows):
            outputs.append((MAIN, self._exploded(batch, found)))
        if found.refused:
            outputs.append((REJECTED, _rejected(batch, self.field, found.refused)))
        return outputs

    def snapshot(self) -> State:
        """What was learnt of the items."""
        return State(_VERSION, self._reader().save(), {})

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        if saved.version != _VERSION:
            hint = "start with fresh state, or with the version that wrote it"
            message = f"the state has the unknown version {saved.version}"
            raise ConfigError(Problem(message, hint=hint))
        self._items = None
        self._reader().load(saved.meta)

    def _reader(self) -> Items:
        if self._items is None:
            given = ItemTime(self.time) if isinstance(self.time, str) else self.time
            time = None if given is None else Time(given.field, given.unit)
            self._items = Items(self.field, time, self.max_items)
        return self._items

    def _exploded(self, batch: Batch, found: Found) -> Batch:
        columns: dict[str, Column] = {
            name: column[found.rows] for name, column in batch.columns.items() if name != self.field
        }
        # A column of items that are no objects is called like the list; others have the prefix.
        columns |= {
            name if name == self.field else self.prefix + name: column
            for name, column in found.columns.items()
        }
        if self.index:
            columns[self.index] = found.places
        return Batch(columns, batch.times[found.rows] if found.times is None else found.times)


def _texts(column: Column | None, rows: int) -> Sequence[str | None]:
    """The text in which lists are looked for; a number is text that is no list."""
    if column is None:
        return [None] * rows
    if isinstance(column, Strings):
        return column.to_list()
    return [None if value is None else str(value) for value in to_python(column)]


def _rejected(batch: Batch, field: str, refused: Sequence[Refused]) -> Batch:
    """The rows that something came in, with its text in the column ``field`` and the reason."""
    rows = batch.take(np.array([one.row for one in refused], np.intp))
    columns = {
        field: Strings.of([one.text for one in refused]),
        REASON: Strings.of([one.reason for one in refused]),
    }
    return Batch({**rows.columns, **columns}, rows.times)
