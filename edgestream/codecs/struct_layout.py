"""Fixed binary layouts: what users write of each field, and the numpy record made of all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from edgestream.batch import Array
from edgestream.codecs.columns import Texts
from edgestream.codecs.struct_fields import NUMBERS, Bits, Cell, Number, Text
from edgestream.codecs.struct_rows import Rows
from edgestream.config.fields import option
from edgestream.errors import ConfigError, Problem

Order: TypeAlias = Literal["little", "big"]

LARGEST = 65_536
"""Bytes of one row."""
_SIZED = re.compile(r"([shx])([1-9][0-9]{0,4})")
_BITS = re.compile(r"([0-9]{1,2})(?:-([0-9]{1,2}))?")


@dataclass(frozen=True, slots=True)
class Field:
    """One field, where its type alone does not say it all."""

    type: str | None = option(
        default=None, help="u8, i16, f32, bool, s12 …; of bits, the smallest that holds them."
    )
    scale: float = option(default=1.0, help="What a raw value is multiplied by.", example="0.01")
    offset: float = option(default=0.0, help="What is added after scaling.", example="-40")
    missing: int | None = option(
        default=None, help="The raw value that stands for missing.", example="-32768"
    )
    bits: Mapping[str, int | str] = option(
        factory=dict,
        help="Names of columns and the bits they are, counted from the lowest: 0, or 1-3.",
        example="{open: 0, level: 1-3}",
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """The numpy type of one row, and the columns that are in it."""

    dtype: np.dtype[np.void]
    cells: tuple[Cell, ...]
    rows: Rows

    @property
    def texts(self) -> list[Texts]:
        """The texts that are remembered, of each column."""
        return [cell.texts for cell in self.cells if isinstance(cell, Text)]

    def array(self, rows: int) -> Array:
        """Rows of zeros."""
        return np.zeros(rows, self.dtype)


def layout(fields: Mapping[str, Field | str], order: Order) -> Layout:
    """The layout of fields in their order, without gaps; `ConfigError` with every problem."""
    cells: list[Cell] = []
    formats: list[str] = []
    problems: list[Problem] = []
    for number, (name, given) in enumerate(fields.items()):
        field = Field(given) if isinstance(given, str) else given
        try:
            formats.append(_add(name, f"f{number}", field, order, cells))
        except ConfigError as error:
            problems += [problem.under("fields", name) for problem in error.problems]
    names = [cell.name for cell in cells]
    problems += [
        Problem(f"the column {name!r} comes twice", ("fields",))
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if not problems and not cells:
        problems.append(Problem("a layout needs a field that gives a column", ("fields",)))
    if problems:
        raise ConfigError(problems)
    record = np.dtype([(f"f{number}", text) for number, text in enumerate(formats)])
    if record.itemsize > LARGEST:
        raise ConfigError(Problem(f"a row has more than {LARGEST} bytes", ("fields",)))
    return Layout(record, tuple(cells), Rows(record))


def _add(name: str, key: str, field: Field, order: Order, cells: list[Cell]) -> str:
    """Add the columns of one field; its type as numpy writes it."""
    sized = _SIZED.fullmatch(field.type or "")
    if not name:
        raise ConfigError(Problem("a field needs a name"))
    if field.bits:
        return _add_bits(key, field, order, cells)
    if sized is not None:
        if field.scale != 1 or field.offset or field.missing is not None:
            raise ConfigError("scale, offset and missing are for numbers")
        size = int(sized[2])
        if sized[1] != "x":
            cells.append(Text(name, key, size, hex=sized[1] == "h"))
        return f"S{size}" if sized[1] == "s" else f"V{size}"
    dtype = _number(field.type, order)
    if not field.scale or not math.isfinite(field.scale) or not math.isfinite(field.offset):
        raise ConfigError(Problem("must be finite, a scale not 0", ("scale",)))
    if field.missing is not None:
        _check_missing(field.missing, dtype)
    flag = field.type == "bool"
    if flag and (field.scale != 1 or field.offset or field.missing is not None):
        raise ConfigError("scale, offset and missing are for numbers")
    cells.append(Number(name, key, dtype, field.scale, field.offset, field.missing, flag))
    return dtype.str


def _number(text: str | None, order: Order) -> np.dtype[Any]:
    if text is None or text not in NUMBERS:
        message = "the type is missing" if text is None else f"there is no type {text!r}"
        hint = f"known: {', '.join(NUMBERS)}, and s12, h6 or x4 for bytes"
        raise ConfigError(Problem(message, ("type",) if text else (), hint))
    return np.dtype(("<" if order == "little" else ">") + NUMBERS[text])


def _check_missing(missing: int, dtype: np.dtype[Any]) -> None:
    if dtype.kind == "f":
        raise ConfigError(Problem("NaN stands for missing in floats", ("missing",)))
    limits = np.iinfo(dtype)
    if not limits.min <= missing <= limits.max:
        raise ConfigError(Problem("the type has no such value", ("missing",)))


def _add_bits(key: str, field: Field, order: Order, cells: list[Cell]) -> str:
    parts = list(_ranges(field.bits))
    top = max(high for _, _, high in parts)
    kind = field.type or next(f"u{size}" for size in (8, 16, 32, 64) if top < size)
    if kind not in ("u8", "u16", "u32", "u64") or field.scale != 1 or field.offset:
        raise ConfigError("bits are in u8, u16, u32 or u64, and are not scaled")
    if field.missing is not None:
        raise ConfigError("bits are never missing")
    if top >= int(kind[1:]):
        raise ConfigError(Problem(f"{kind} has no bit {top}", ("bits",)))
    _refuse_overlap(parts)
    cells += [Bits(name, key, low, high - low + 1) for name, low, high in parts]
    return _number(kind, order).str


def _ranges(bits: Mapping[str, int | str]) -> Iterator[tuple[str, int, int]]:
    for name, written in bits.items():
        match = _BITS.fullmatch(str(written).strip())
        low = int(match[1]) if match else 0
        high = int(match[2] or low) if match else 0
        if match is None or not low <= high < 64 or high - low == 63 or not name:
            hint = "write one bit (0), or the lowest and the highest (1-3)"
            raise ConfigError(Problem(f"{written!r} are no bits", ("bits", name), hint))
        yield name, low, high


def _refuse_overlap(parts: Sequence[tuple[str, int, int]]) -> None:
    taken: dict[int, str] = {}
    for name, low, high in parts:
        for bit in range(low, high + 1):
            if taken.setdefault(bit, name) != name:
                message = f"bit {bit} is in {taken[bit]!r} too"
                raise ConfigError(Problem(message, ("bits", name)))
