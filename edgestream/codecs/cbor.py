"""CBOR: what JSON says, in fewer bytes, as constrained devices write it."""

from __future__ import annotations

from collections.abc import Mapping

from edgestream.batch import Batch
from edgestream.codecs.cbor_decode import CborReading
from edgestream.codecs.cbor_form import CborForm
from edgestream.codecs.columns import Declared
from edgestream.codecs.json_layout import wanted_layout
from edgestream.codecs.learner import Learner
from edgestream.codecs.names import declared, refuse_names, schema_of, values_of
from edgestream.codecs.packages import missing
from edgestream.component import component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.schema import ColumnKind, Schema


@component(
    "cbor",
    extra="cbor",
    examples=(
        "decode: cbor",
        "decode: {cbor: {columns: {device: string, temperature: float}, max_payload: 16KiB}}",
    ),
)
class Cbor(Learner):
    """One CBOR map a payload; its fields become columns.

    Everything is as with `json`: fields within fields are named with a dot, lists become their
    JSON text, kinds are learnt or declared with ``columns``, and what does not fit is rejected.
    Byte strings become hex text; NaN and undefined are missing.

    A payload is rejected if a tag is anywhere in it (but for the one at its start that says that
    this is CBOR). Field names that are not text, and simple values of no known meaning, are
    rejected in what is read.
    """

    columns: Mapping[str, Declared] | None = option(
        default=None,
        help="The columns and what they hold: float, int, bool or string.",
        example="{device: string, temperature: float}",
    )
    max_payload: Size = option(
        default="256KiB", help="A larger payload is rejected.", minimum=1, maximum=64 * 1024 * 1024
    )
    max_depth: int = option(
        default=32, help="Maps and lists deeper than this are rejected.", minimum=1, maximum=100
    )
    _engine: CborReading | None = state()

    def check(self) -> None:
        """Columns have usable names."""
        refuse_names(self.columns)

    def schema(self) -> Schema:
        """The declared columns, if there are any."""
        return schema_of(self.columns)

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on; what was learnt before is forgotten."""
        layout = wanted_layout(columns, declared(self.columns), kinds, self.max_depth)
        size = nbytes(self.max_payload)
        self._engine = CborReading(layout, CborForm(layout, size, self.max_depth), size)

    def encode(self, batch: Batch) -> list[bytes]:
        """One map a row: missing is null, times are RFC 3339 in UTC."""
        try:
            from cbor2 import dumps  # noqa: PLC0415 - only pipelines that write CBOR need it
        except ImportError as error:
            raise missing("cbor", error) from error
        lists = values_of(batch, None)
        rows = zip(*lists.values(), strict=True) if lists else iter([()] * len(batch))
        return [dumps(dict(zip(lists, row, strict=True))) for row in rows]
