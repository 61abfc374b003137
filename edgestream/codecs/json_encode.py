"""From a batch to JSON objects, one payload a row."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, cast

import msgspec
import numpy as np

from edgestream.batch import Array, Batch, Column, Strings
from edgestream.codecs.json_spots import unusable

_SECOND = 1_000_000
"""In microseconds."""


def encode(batch: Batch) -> list[bytes]:
    """One compact object a row: missing is null, times are RFC 3339 in UTC."""
    if not len(batch):
        return []
    if not batch.columns:
        return [b"{}"] * len(batch)
    lists = [plain(column) for column in batch.columns.values()]
    rows = map(row_maker(tuple(batch.columns)), *lists)
    return msgspec.json.Encoder().encode_lines(rows).split(b"\n")[:-1]


def plain(column: Column) -> list[Any]:
    """The values as msgspec writes them: NaN it writes as null."""
    if isinstance(column, Strings):
        return column.to_list()
    if column.dtype.kind == "M":
        return rfc3339(column)
    return cast("list[Any]", column.tolist())


def rfc3339(column: Array) -> list[str | None]:
    """Times as text in UTC with no, three or six decimals: as few as the value needs.

    What else is in the batch plays no part: a row that is written again is the same text.
    """
    micros = column.astype("datetime64[us]")
    below = micros[~np.isnat(micros)].astype(np.int64) % _SECOND
    unit: Literal["s", "ms", "us"] = "us"
    if not below.any():
        unit = "s"
    elif not (below % 1000).any():
        unit = "ms"
    texts = np.datetime_as_string(micros, unit=unit, timezone="UTC", casting="unsafe").tolist()
    if unit != "s":
        step = _SECOND if unit == "ms" else 1000
        for row in np.flatnonzero(micros.astype(np.int64) % step == 0).tolist():
            texts[row] = _shortened(texts[row])
    return [None if text == "NaT" else text for text in texts]


def _shortened(text: str) -> str:
    """Without decimals that say nothing."""
    for zeros in (".000000Z", ".000Z", "000Z"):
        if text.endswith(zeros):
            return f"{text[: -len(zeros)]}Z"
    return text


@functools.lru_cache(maxsize=64)
def row_maker(names: tuple[str, ...]) -> Callable[..., Any]:
    """What makes a row of its values: a struct is written three times as fast as a dict.

    Kept, as making one costs as much as using it for a hundred rows.
    """
    if any(map(unusable, names)):
        return lambda *values: dict(zip(names, values, strict=True))
    fields = [f"f{index}" for index in range(len(names))]
    rename = dict(zip(fields, names, strict=True))
    return msgspec.defstruct("Row", fields, rename=rename, gc=False)
