"""Rows of a fixed binary layout, as small devices write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array, Batch, Column, to_python
from edgestream.codecs.packs import places, settled
from edgestream.codecs.struct_fields import Cell
from edgestream.codecs.struct_layout import Field, Layout, Order, layout
from edgestream.component import Codec, Decoded, component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.errors import ConfigError, Problem, Rejected, did_you_mean
from edgestream.schema import ColumnKind, Schema


@component(
    "struct",
    shorthand="fields",
    examples=(
        "decode: {struct: {device: u32, ts: i64, temperature: f32}}",
        """\
decode:
  struct:
    fields:
      device: s12
      temperature: {type: i16, scale: 0.01, missing: -32768}
      reserved: x2
      flags: {bits: {open: 0, level: 1-3}}
    order: big
    rows: many
""",
    ),
)
class Struct(Codec):
    """Rows of a fixed layout: numbers, text and bits one after the other, without gaps.

    Types are ``u8 u16 u32 u64``, ``i8 i16 i32 i64``, ``f16 f32 f64``, ``bool`` (a byte),
    ``s12`` (text of 12 bytes, filled up with zeros), ``h6`` (6 bytes, shown as hex) and ``x2``
    (2 bytes that are not read). ``{type: i16, scale: 0.01, offset: -40}`` is a scaled number,
    and ``missing: -32768`` the raw value that stands for none. ``{bits: {open: 0, level: 1-3}}``
    gives columns for bits: true or false for one, a whole number for several.

    A payload is one row, or with ``rows: many`` as many as there are in it. One of another length
    is rejected, and so is one with text that is not UTF-8 or with an infinite number. Whole
    numbers stay whole, NaN is missing, text ends at its first zero and is missing if empty.

    To write, a value that its field cannot hold is rejected.
    """

    fields: Mapping[str, Field | str] = option(
        help="Names of columns and their types, in their order.", example="{device: u32, t: f32}"
    )
    order: Order = option(default="little", help="The order of the bytes of a number.")
    rows: Literal["one", "many"] = option(default="one", help="How many rows a payload holds.")
    max_payload: Size = option(default="256KiB", help="A larger payload is rejected.", minimum=1)
    _layout: Layout | None = state()
    _wanted: frozenset[str] | None = state()

    def check(self) -> None:
        """The layout can be made."""
        made = layout(self.fields, self.order)
        if made.dtype.itemsize > nbytes(self.max_payload):
            raise ConfigError(Problem("less than one row", ("max_payload",)))

    def schema(self) -> Schema:
        """The columns of the layout."""
        return Schema.of_kinds({cell.name: cell.given() for cell in self._made().cells})

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on."""
        self._wanted = columns

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Payloads to columns; one of another length is rejected."""
        made = self._made()
        size = made.dtype.itemsize
        if self.rows == "one" and (records := made.rows.read(payloads)) is not None:
            return self._columns(records, None, {})
        rejected = {
            index: reason
            for index, payload in enumerate(payloads)
            if (reason := self._wrong(len(payload), size))
        }
        good = [index for index in range(len(payloads)) if index not in rejected]
        whole = b"".join([payloads[index] for index in good])
        origin = places(good, [len(payloads[index]) // size for index in good])
        return self._columns(np.frombuffer(whole, made.dtype), origin, rejected)

    def _wrong(self, length: int, size: int) -> str:
        """What is wrong with a length, if anything."""
        if length > nbytes(self.max_payload):
            return f"{length} bytes are more than max_payload"
        if self.rows == "one" and length != size:
            return f"{length} bytes where the layout has {size}"
        if not length or length % size:
            return f"{length} bytes are not rows of {size} bytes"
        return ""

    def _columns(
        self, records: Array, origin: NDArray[np.int64] | None, rejected: Mapping[int, str]
    ) -> Decoded:
        rows = len(records)
        columns: dict[str, Column] = {}
        reasons: dict[int, str] = {}
        for cell in self._made().cells:
            if self._wanted is not None and cell.name not in self._wanted:
                continue
            columns[cell.name], bad = cell.read(records)
            if bad is not None:
                for row in np.flatnonzero(bad).tolist():
                    reasons.setdefault(row, cell.reason(None if cell.kind == "string" else ""))
        if origin is None and not reasons:
            return Decoded(columns, rows)
        return settled(
            columns,
            np.arange(rows) if origin is None else origin,
            reasons,
            rejected,
        )

    def encode(self, batch: Batch) -> list[bytes]:
        """One payload a row, or one of all rows; a value that does not fit is rejected."""
        records = self._made().array(len(batch))
        rejected: dict[int, str] = {}
        for cell in self._made().cells:
            if cell.name not in batch:
                hint = did_you_mean(cell.name, batch.columns)
                raise ConfigError(Problem(f"there is no column {cell.name!r} to write", hint=hint))
            column = batch[cell.name]
            bad = cell.write(records, column)
            if bad is not None:
                rejected = {**_reasons(cell, column, bad), **rejected}
        if rejected:
            raise Rejected(rejected)
        whole, size = records.tobytes(), records.dtype.itemsize
        if self.rows == "many":
            return [whole] if whole else []
        return [whole[at : at + size] for at in range(0, len(whole), size)]

    def state_bytes(self) -> int:
        """The bytes of the texts it remembers, reckoned."""
        return sum(texts.nbytes for texts in self._made().texts)

    def shrink(self) -> None:
        """Forget texts."""
        for texts in self._made().texts:
            texts.forget()

    def _made(self) -> Layout:
        if self._layout is None:
            self._layout = layout(self.fields, self.order)
        return self._layout


def _reasons(cell: Cell, column: Column, bad: Array) -> dict[int, str]:
    rows = np.flatnonzero(bad)
    values: list[Any] = to_python(column[rows])
    return {row: cell.reason(value) for row, value in zip(rows.tolist(), values, strict=True)}
