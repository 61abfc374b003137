"""CBOR: what JSON says, in fewer bytes, as constrained devices write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgestream.batch import Batch
from edgestream.codecs.cbor_form import CborForm
from edgestream.codecs.columns import Declared
from edgestream.codecs.json_decode import Reading
from edgestream.codecs.json_layout import wanted_layout
from edgestream.codecs.names import declared, refuse_names, values_of
from edgestream.codecs.packages import missing
from edgestream.component import Codec, Decoded, State, component
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
class Cbor(Codec):
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
    _reading: Reading | None = state()

    def check(self) -> None:
        """Columns have usable names."""
        refuse_names(self.columns)

    def schema(self) -> Schema:
        """The declared columns, if there are any."""
        if self.columns is None:
            return Schema.unknown()
        return Schema.of_kinds(dict(self.columns))

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on; what was learnt before is forgotten."""
        layout = wanted_layout(columns, declared(self.columns), kinds, self.max_depth)
        self._reading = Reading(layout, CborForm(layout, nbytes(self.max_payload), self.max_depth))

    @property
    def absent(self) -> Mapping[str, str]:
        """Columns that are wanted but never came, with the nearest names that did."""
        return self._running().absent()

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Payloads to columns; a bad payload is rejected, its neighbours are not touched."""
        return self._running().decode(payloads)

    def encode(self, batch: Batch) -> list[bytes]:
        """One map a row: missing is null, times are RFC 3339 in UTC."""
        try:
            from cbor2 import dumps  # noqa: PLC0415 - only pipelines that write CBOR need it
        except ImportError as error:
            raise missing("cbor", error) from error
        lists = values_of(batch, None)
        rows = zip(*lists.values(), strict=True) if lists else iter([()] * len(batch))
        return [dumps(dict(zip(lists, row, strict=True))) for row in rows]

    def state_bytes(self) -> int:
        """The bytes of the texts it remembers, reckoned."""
        return sum(texts.nbytes for texts in self._running().texts)

    def shrink(self) -> None:
        """Forget texts."""
        for texts in self._running().texts:
            texts.forget()

    def snapshot(self) -> State | None:
        """What it learnt from the data."""
        return self._running().snapshot()

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        self._running().restore(saved)

    def _running(self) -> Reading:
        if self._reading is None:
            self.want(None, {})
        assert self._reading is not None
        return self._reading
