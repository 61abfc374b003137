"""SenML: packs of measurements, as RFC 8428 has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from edgestream.batch import Batch
from edgestream.codecs.cbor_form import Loader
from edgestream.codecs.packages import missing
from edgestream.codecs.packs import places
from edgestream.codecs.senml_encode import numbered, records
from edgestream.codecs.senml_records import Record, from_cbor, from_json, resolve
from edgestream.codecs.senml_rows import KINDS, Long, Rows, Wide
from edgestream.component import Codec, Decoded, State, component
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
class Senml(Codec):
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
    _rows: Rows | None = state()
    _loader: Loader = state(lambda: Loader(_DEPTH, text_keys=False))

    def schema(self) -> Schema:
        """The columns of a record; of pivoted rows only two are known."""
        if self.pivot:
            return Schema({"base": "string", "time": "time"}, open=True)
        return Schema.of_kinds(KINDS)

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Make only ``columns`` from now on; what was learnt before is forgotten."""
        self._rows = Wide(columns, kinds) if self.pivot else Long(columns)

    @property
    def absent(self) -> Mapping[str, str]:
        """Measurements that are wanted but never came, with the nearest names that did."""
        rows = self._running()
        return rows.learning.absent() if isinstance(rows, Wide) else {}

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Payloads to columns; a bad pack is rejected whole, its neighbours are not touched."""
        rows = self._running()
        good: list[int] = []
        counts: list[int] = []
        rejected: dict[int, str] = {}
        for index, payload in enumerate(payloads):
            try:
                counts.append(rows.add(self._read(payload)))
            except ValueError as error:
                rejected[index] = str(error)
            else:
                good.append(index)
        columns, relative = rows.take()
        origin = places(good, counts)
        counted = {"time": relative} if "time" in columns and relative.any() else {}
        return Decoded(columns, len(origin), origin, rejected, counted)

    def _read(self, payload: bytes) -> list[Record]:
        if len(payload) > nbytes(self.max_payload):
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        if self.format == "json":
            return list(resolve(from_json(payload)))
        return list(resolve(from_cbor(self._loader.load(payload))))

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

    def state_bytes(self) -> int:
        """The bytes of the texts it remembers, reckoned."""
        return sum(texts.nbytes for texts in self._running().texts)

    def shrink(self) -> None:
        """Forget texts."""
        for texts in self._running().texts:
            texts.forget()

    def snapshot(self) -> State | None:
        """What it learnt of measurements."""
        return self._running().snapshot()

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        self._running().restore(saved)

    def _running(self) -> Rows:
        if self._rows is None:
            self.want(None, {})
        assert self._rows is not None
        return self._rows
