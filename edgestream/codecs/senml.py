"""SenML: packs of measurements, as RFC 8428 has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from edgestream.batch import Batch
from edgestream.codecs.cbor_form import Loader
from edgestream.codecs.learner import Learner
from edgestream.codecs.packages import missing
from edgestream.codecs.senml_encode import numbered, records
from edgestream.codecs.senml_packs import Packs, PlainPacks
from edgestream.codecs.senml_records import from_cbor, from_json, resolve
from edgestream.codecs.senml_rows import KINDS, Long, Wide
from edgestream.component import component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.schema import ColumnKind, Schema

_DEPTH = 8


@component(
    "senml",
    examples=(
        "decode: senml",
        "decode: {senml: {pivot: true}}",
        "decode: {senml: {format: cbor, max_payload: 16KiB}}",
    ),
)
class Senml(Learner):
    """One SenML pack a payload (RFC 8428), in JSON or CBOR; its records are resolved.

    Each record is a row with the columns `name` (base name and name), `unit`, `time`, and one of
    `value`, `text`, `flag` (1 or 0) and `data` (base64url), beside `sum` and `update`. With
    ``pivot`` a row is what a pack says of one base name at one time: the columns are `base`,
    `time`, and one for each name of a measurement (`value` for one without a name of its own).

    A time below 2**28 counts from the arrival of the payload, as does one that is not there. A
    pack is taken whole or rejected whole: for a name that is none, two values in a record or no
    value, a number that is out of range, a later version, or a field that must be understood.

    To write, each row is a pack, or with ``rows: many`` all rows of a batch are one. Reading and
    writing CBOR needs the extra ``cbor``.
    """

    format: Literal["json", "cbor"] = option(default="json", help="What packs are made of.")
    pivot: bool = option(
        default=False, help="Whether a row is a base name and time, with measurements as columns."
    )
    rows: Literal["one", "many"] = option(default="one", help="How many rows a pack is given.")
    max_payload: Size = option(
        default="256KiB", help="A larger payload is rejected.", minimum=1, maximum=64 * 1024 * 1024
    )
    _engine: Packs | None = state()

    def schema(self) -> Schema:
        """The columns of a record; of pivoted rows only two are known."""
        if self.pivot:
            return Schema({"base": "string", "time": "time"}, open=True)
        return Schema.of_kinds(KINDS)

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Make only ``columns`` from now on; what was learnt before is forgotten."""
        size = nbytes(self.max_payload)
        rows = Wide(columns, kinds) if self.pivot else Long(columns)
        if self.format == "json" and isinstance(rows, Long):
            self._engine = PlainPacks(rows, size)
            return
        load = Loader(_DEPTH, text_keys=False).load
        raw = from_json if self.format == "json" else lambda payload: from_cbor(load(payload))
        self._engine = Packs(rows, lambda payload: resolve(raw(payload)), size)

    def encode(self, batch: Batch) -> list[bytes]:
        """One pack a row, or one of all rows; rows that SenML cannot say are rejected."""
        together = self.rows == "many"
        packs = records(batch, pivot=self.pivot, together=together)
        if together:
            packs = [[record for pack in packs for record in pack]] if packs else []
        if self.format == "json":
            return [msgspec.json.encode(pack) for pack in packs]
        try:
            from cbor2 import dumps  # noqa: PLC0415 - only pipelines that write CBOR need it
        except ImportError as error:
            raise missing("cbor", error) from error
        return [dumps([numbered(record) for record in pack]) for pack in packs]
