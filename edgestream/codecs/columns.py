"""What a codec learns of each column from the values that come, and how values become arrays.

The rule: a kind is learnt from the first value and never narrowed. Whole numbers become floats
when a fraction comes; nothing else changes a kind, a value that does not fit is refused. So what
is accepted depends on the rows that came before, never on how they were cut into batches.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import MISSING, Array, Column, Dictionary, Strings
from edgestream.codecs.literals import number
from edgestream.schema import ColumnKind
from edgestream.textcodes import Words

Declared: TypeAlias = Literal["float", "int", "bool", "string"]
"""What a user may say a column is."""
Kind: TypeAlias = Literal["float", "int", "bool", "string", "array"]
"""What a column is learnt to be; an array is kept as its JSON text."""

MAX_TEXTS = 1_048_576
MAX_TEXT_CHARACTERS = 64 * 1024 * 1024
TEXT_BYTES = 152
"""What a text is reckoned at beside its characters: an object, and its places in a dictionary and
in the table that stands for it where there are many."""
LOWEST, HIGHEST = -(2**63), 2**63 - 1

_WORDS: Mapping[str | None, str] = {
    None: "a value",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "string": "text",
    "array": "a list",
}


class Texts:
    """The dictionary of a text column, begun anew when it holds too many texts."""

    def __init__(self) -> None:
        """Begin with no texts."""
        self.dictionary = Dictionary()
        self._characters = 0

    def encode(self, texts: Sequence[str | None]) -> NDArray[np.int32]:
        """The codes of ``texts``; None is missing."""
        return self._counted(len(self.dictionary), self.dictionary.encode(texts))

    def encode_words(self, words: Words) -> NDArray[np.int32]:
        """The codes of texts that are rows of words; see `textcodes`."""
        return self._counted(len(self.dictionary), self.dictionary.encode_words(words))

    def _counted(self, known: int, codes: NDArray[np.int32]) -> NDArray[np.int32]:
        if len(self.dictionary) > known:
            self._characters += sum(map(len, self.dictionary.values[known:]))
        return codes

    @property
    def nbytes(self) -> int:
        """The bytes held, reckoned."""
        return self._characters + TEXT_BYTES * len(self.dictionary)

    def renew(self) -> None:
        """Forget all texts if there are too many; call it between batches only."""
        if len(self.dictionary) > MAX_TEXTS or self._characters > MAX_TEXT_CHARACTERS:
            self.forget()

    def forget(self) -> None:
        """Forget all texts; call it between batches only."""
        self.dictionary = Dictionary()
        self._characters = 0


@dataclass(slots=True)
class Learnt:
    """One column: what it holds as far as it is known.

    ``fixed`` kinds were declared or demanded and never change; a ``numeric`` column was demanded
    to be a number of some kind, and takes true and false as 1 and 0. A column is ``nullable``
    once a value was missing: it can then no longer be int64 or bool. ``whole`` is only how floats
    are best read: until a value is missing among others, for as long as the process lives.
    """

    name: str
    kind: Kind | None = None
    fixed: bool = False
    numeric: bool = False
    nullable: bool = False
    whole: bool = True
    texts: Texts = field(default_factory=Texts)


def start(name: str, declared: Declared | None, demanded: ColumnKind) -> Learnt:
    """A column before any value came."""
    if declared is not None:
        return Learnt(name, declared, fixed=True)
    if demanded == "float":
        return Learnt(name, numeric=True)
    if demanded in ("int", "bool", "string"):
        return Learnt(name, demanded, fixed=True)
    return Learnt(name)


def fit(column: Learnt, kind: Kind | None, value: Any) -> Kind | None:
    """The kind after ``value`` came to a column of ``kind``; ValueError says why it cannot."""
    if value is None:
        return kind
    came = _kind_of(value)
    if came is None:
        raise unfit(column, kind, value)
    if came == "float" and not math.isfinite(value):
        raise ValueError(f"{column.name}: the number is out of range")
    if came == "int" and not LOWEST <= value <= HIGHEST:
        return _large(column, kind, value)
    if came == kind:
        return kind
    if kind is None:
        return _first(column, came, value)
    if kind == "float" and (came == "int" or (came == "bool" and column.numeric)):
        return kind
    if kind == "int" and came == "float" and not column.fixed:
        return "float"
    if kind == "int" and came == "bool" and column.numeric:
        return "float"
    if kind == "int" and came == "float" and value.is_integer() and abs(value) < HIGHEST:
        return kind
    raise unfit(column, kind, value)


def _first(column: Learnt, came: Kind, value: Any) -> Kind:
    if not column.numeric:
        return came
    if came == "bool":
        return "float"
    if came in ("int", "float"):
        return came
    raise unfit(column, "float", value)


def _large(column: Learnt, kind: Kind | None, value: int) -> Kind:
    """A whole number beyond 64 bits: a float where floats are, else refused."""
    if kind in (None, "float"):
        try:
            float(value)
        except OverflowError:
            raise ValueError(f"{column.name}: the number is out of range") from None
        return "float"
    if kind == "int":
        raise ValueError(f"{column.name}: the whole number does not fit in 64 bits")
    raise unfit(column, kind, value)


def _kind_of(value: Any) -> Kind | None:
    for kind, types in _TYPES:
        if isinstance(value, types):
            return kind
    return None


_TYPES: tuple[tuple[Kind, type], ...] = (
    ("bool", bool),
    ("int", int),
    ("float", float),
    ("string", str),
    ("array", list),
)


def unfit(column: Learnt, kind: Kind | None, value: Any) -> ValueError:
    """Why ``value`` cannot be in the column, with what would help."""
    text = f"{column.name}: expected {_WORDS[kind]}, got {show(value)}"
    if isinstance(value, dict) and value:
        text += f"; name one of its fields, such as {column.name}.{next(iter(value))}"
    elif column.numeric and isinstance(value, str) and number(value) is not None:
        text += f"; number({column.name}) reads numbers that are written as text"
    elif kind is not None and not column.fixed and not column.numeric:
        text += "; that is what came before, declare the column if it is wrong"
    return ValueError(text)


def show(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 40 else shown[:39] + "…"


def piece(column: Learnt, values: Sequence[Any]) -> Array:
    """Values that fit the column as an array, None for missing; text as codes."""
    if column.kind in ("string", "array"):
        return column.texts.encode(values)
    if column.kind in ("int", "bool") and not column.nullable:
        # Unlike bool, int8 refuses None instead of taking it for false.
        try:
            if column.kind == "int":
                return np.fromiter(values, np.int64, len(values))
            return np.fromiter(values, np.int8, len(values)).view(np.bool_)
        except TypeError:
            column.nullable = True
    if column.kind == "float" and column.whole:
        made = np.empty(len(values))
        try:
            # Half the time that numpy takes, which asks each number what it is.
            struct.pack_into(f"{len(values)}d", made.data, 0, *values)
        except struct.error:  # there is None among them
            column.whole = False
        else:
            return made
    return np.fromiter(values, np.float64, len(values))


def join(column: Learnt, pieces: Iterable[tuple[int, Array | None]]) -> Column:
    """The column made of pieces, each with its number of rows; None is all missing."""
    parts = [(count, part) for count, part in pieces if count]
    column.nullable = column.nullable or any(part is None for _, part in parts)
    dtype, gap = _dtype(column)
    arrays = [np.full(count, gap, dtype) if part is None else part for count, part in parts]
    whole: Array = arrays[0].astype(dtype, copy=False) if arrays else np.zeros(0, dtype)
    if len(arrays) > 1:
        whole = np.concatenate([array.astype(dtype, copy=False) for array in arrays])
    if column.kind in ("string", "array"):
        return Strings(whole, column.texts.dictionary)
    return whole


def _dtype(column: Learnt) -> tuple[type, float]:
    """The type of the arrays of a column, and what stands for missing."""
    if column.kind in ("string", "array"):
        return np.int32, MISSING
    if column.kind == "int" and not column.nullable:
        return np.int64, 0
    if column.kind == "bool" and not column.nullable:
        return np.bool_, 0
    return np.float64, math.nan


def to_meta(columns: Iterable[Learnt]) -> dict[str, Any]:
    """What was learnt, as JSON values."""
    return {
        column.name: {"kind": column.kind, "nullable": column.nullable}
        for column in columns
        if column.kind is not None or column.nullable
    }


def from_meta(column: Learnt, meta: Mapping[str, Any]) -> None:
    """Go on with what was learnt of a column, unless its kind is fixed now."""
    known = meta.get(column.name)
    if known is None:
        return
    column.nullable = known["nullable"]
    fits = known["kind"] in ("int", "float") or not column.numeric
    if not column.fixed and fits:
        column.kind = known["kind"]
