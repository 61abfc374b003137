"""Arrow arrays as the parts of columns, each as its type says, without a loop over its values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array, Dictionary
from edgestream.codecs.arrow_texts import words_of
from edgestream.codecs.columns import HIGHEST, Kind, Learnt
from edgestream.codecs.packages import missing

_FEW = 65_536
"""The positions of so many texts take little memory at their full width."""


@dataclass(slots=True)
class Part:
    """One column of one record batch: an array, its kind (None is a time), and if it has gaps."""

    kind: Kind | None
    values: Array
    gaps: bool


class Arrays:
    """What turns arrays into parts; it remembers the last dictionary of each column."""

    def __init__(self) -> None:
        """Import pyarrow; raises `Fatal` where it is not there."""
        self.pa = pyarrow()
        self._known: dict[str, tuple[Any, Dictionary, NDArray[np.int32]]] = {}

    def part(self, column: Learnt, array: Any) -> Part | None:
        """An array that was validated as part of a column; None where all of it is missing."""
        types, kind = self.pa.types, array.type
        gaps = array.null_count > 0
        if types.is_null(kind):
            return None
        if types.is_dictionary(kind) or _is_text(types, kind):
            return Part("string", self._codes(column, array), gaps)
        if types.is_boolean(kind):
            if gaps:
                return Part("bool", _floats(array.cast("uint8")), gaps)
            return Part("bool", array.to_numpy(zero_copy_only=False), gaps)
        if types.is_integer(kind):
            return Part("int", _floats(array) if gaps else _whole(column, array), gaps)
        if types.is_floating(kind):
            values = _floats(array)
            if np.isinf(values).any():
                raise ValueError(f"{column.name}: the number is out of range")
            return Part("float", values, gaps)
        if types.is_timestamp(kind) or types.is_date(kind):
            stamp = types.is_timestamp(kind)
            unit = self.pa.timestamp("us", kind.tz if stamp else None)
            micros = array.cast(unit, safe=not stamp or kind.unit != "ns")
            values = micros.to_numpy(zero_copy_only=False)
            return Part(None, np.array(values, "datetime64[us]"), gaps)
        raise ValueError(f"{column.name}: the type {kind} is not read")

    def _codes(self, column: Learnt, array: Any) -> NDArray[np.int32]:
        """The codes of texts; a dictionary that comes again is not looked at again."""
        pa, texts = self.pa, column.texts
        if not pa.types.is_dictionary(array.type):
            packed = words_of(pa.types, array)
            if packed is not None:
                return texts.encode_words(packed)
            array = array.cast(pa.large_string()).dictionary_encode()
        if not _is_text(pa.types, array.type.value_type):
            raise ValueError(f"{column.name}: the type {array.type} is not read")
        known = self._known.get(column.name)
        words = array.dictionary
        if known is None or known[1] is not texts.dictionary or not known[0].equals(words):
            codes = texts.encode([*words.to_pylist(), None])
            known = self._known[column.name] = (words, texts.dictionary, codes)
        indices = array.indices
        if indices.null_count:
            indices = indices.cast("int64").fill_null(len(words))
        at: NDArray[np.integer] = indices.to_numpy(zero_copy_only=False)
        if len(at) <= _FEW:
            # Half the time; of very many positions the memory counts.
            at = at.astype(np.intp)
        found: NDArray[np.int32] = known[2][at]
        return found


def pyarrow() -> Any:
    """The package, or `Fatal` with what to install."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - it takes 40 MiB, and only pipelines that read Arrow need it
        import pyarrow.ipc  # noqa: PLC0415
    except ImportError as error:
        raise missing("arrow", error) from error
    return pa


def _is_text(types: Any, kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view")


def _whole(column: Learnt, array: Any) -> NDArray[np.int64]:
    values: Array = array.to_numpy()
    if values.dtype == np.uint64 and (values > HIGHEST).any():
        raise ValueError(f"{column.name}: the whole number does not fit in 64 bits")
    return values.astype(np.int64)


def _floats(array: Any) -> NDArray[np.float64]:
    """As numbers, NaN for gaps."""
    made = np.array(array.to_numpy(zero_copy_only=False), np.float64)
    if array.null_count:
        made[np.array(array.is_null().to_numpy(zero_copy_only=False))] = math.nan
    return made
