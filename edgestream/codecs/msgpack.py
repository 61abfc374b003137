"""MessagePack: what JSON says, in fewer bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from edgestream.batch import Batch
from edgestream.codecs.columns import Declared
from edgestream.codecs.json_decode import Reading
from edgestream.codecs.json_encode import row_maker
from edgestream.codecs.json_layout import wanted_layout
from edgestream.codecs.learner import Learner
from edgestream.codecs.msgpack_form import MsgpackForm
from edgestream.codecs.names import declared, refuse_names, schema_of, values_of
from edgestream.component import component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.errors import ConfigError, Problem
from edgestream.schema import ColumnKind, Schema


@component(
    "msgpack",
    examples=(
        "decode: msgpack",
        "decode: {msgpack: {columns: [device, ts, temperature], arrays: true}}",
        "decode: {msgpack: {columns: {device: string, temperature: float}}}",
    ),
)
class Msgpack(Learner):
    """One MessagePack map a payload; its fields become columns.

    Everything is as with `json`: fields within fields are named with a dot, lists become their
    JSON text, kinds are learnt or declared with ``columns``, and what does not fit is rejected.
    NaN is missing. Bytes and extension types in a field that is read are rejected, and so is a
    field name that is not text; fields that are not read are passed over unseen.

    With ``arrays`` a payload is an array of the ``columns`` in their order.
    """

    columns: Sequence[str] | Mapping[str, Declared] | None = option(
        default=None,
        help="The names of the columns, or names and float, int, bool or string.",
        example="[device, temperature]",
    )
    arrays: bool = option(
        default=False, help="Whether a payload is an array of the columns in their order."
    )
    max_payload: Size = option(
        default="256KiB", help="A larger payload is rejected.", minimum=1, maximum=64 * 1024 * 1024
    )
    max_depth: int = option(
        default=32, help="Maps within maps deeper than this are rejected.", minimum=1, maximum=100
    )
    _engine: Reading | None = state()

    def check(self) -> None:
        """Columns have usable names; arrays need them."""
        refuse_names(self.columns)
        if self.arrays and not self.columns:
            raise ConfigError(Problem("give columns: their names in order", ("arrays",)))

    def schema(self) -> Schema:
        """The columns, where they are given."""
        return schema_of(self.columns)

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on; what was learnt before is forgotten."""
        layout = wanted_layout(columns, declared(self.columns), kinds, self.max_depth)
        items = tuple(self.columns or ()) if self.arrays else None
        self._engine = Reading(layout, MsgpackForm(layout, nbytes(self.max_payload), items))

    def encode(self, batch: Batch) -> list[bytes]:
        """One map a row, or one array: missing is nil, times are RFC 3339 in UTC."""
        write = msgspec.msgpack.Encoder().encode
        lists = values_of(batch, self.columns if self.arrays else None)
        if not lists:
            return [write({})] * len(batch)
        if self.arrays:
            return list(map(write, zip(*lists.values(), strict=True)))
        return list(map(write, map(row_maker(tuple(lists)), *lists.values())))
