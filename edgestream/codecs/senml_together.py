"""SenML packs in JSON of the usual fields, resolved together: `resolve` for a whole block at once.

The rule: what is taken here is what `resolve` would take, with the same values. A pack that holds
any other field, or anything that is not quite right, is left to it, and it says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgestream.codecs.senml_records import MAX_NAME, MAX_RECORDS, NAME, RELATIVE, VERSION

T = TypeVar("T")

# What is not there is None; null is refused.
_PLAIN = msgspec.defstruct(
    "Plain",
    [
        ("bver", Annotated[int, msgspec.Meta(ge=1, le=VERSION)], None),
        *((name, str, None) for name in ("bn", "bu", "n", "u", "vs")),
        *((name, float, None) for name in ("bt", "t", "v")),
        ("vb", bool, None),
    ],
    forbid_unknown_fields=True,
    gc=False,
)
_DECODER = msgspec.json.Decoder(list[_PLAIN])  # type: ignore[valid-type]
_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_NAMES = re.compile(rf"(?:[A-Za-z0-9][A-Za-z0-9\-:./_]{{0,{MAX_NAME - 1}}}\n)*")
_EXACT = 9_000_000_000
"""Below so many seconds whole µs are exact as floats, as they are as whole numbers."""


@dataclass(frozen=True, slots=True)
class Together:
    """The rows of packs: which pack each is of, and the columns that any of them has."""

    packs: NDArray[np.int64]
    times: NDArray[np.int64]
    relative: NDArray[np.bool_]
    columns: Mapping[str, list[Any] | NDArray[np.float64]]

    def column(self, name: str) -> list[Any] | NDArray[np.float64]:
        """Its values; what none of them can have is missing."""
        found = self.columns.get(name)
        return [None] * len(self.packs) if found is None else found


def plain(payload: bytes) -> list[Any] | None:
    """The records of a pack of usual fields, else None."""
    try:
        records = _DECODER.decode(payload)
    except _REFUSALS:
        return None
    return records if len(records) <= MAX_RECORDS else None


def together(packs: Sequence[list[Any]]) -> Together:
    """The rows of those packs in which all is right; there are none of the others."""
    counts = list(map(len, packs))
    origin = np.repeat(np.arange(len(packs)), counts)
    records = [record for pack in packs for record in pack]
    own = [record.n for record in records]
    units = [record.u for record in records]
    texts = [record.vs for record in records]
    times = _numbers([record.t for record in records])
    values = _numbers([record.v for record in records])
    flags = _numbers([record.vb for record in records])
    given = ~np.isnan(values) + (~np.isnan(flags)).astype(np.int64) + _there(texts)
    # A record without a value says what holds for those after it, and no more.
    rows = (given > 0) | _there(own) | _there(units) | ~np.isnan(times)
    bad = rows & (given != 1)
    seconds, inexact = _seconds(times, _held([record.bt for record in records], counts, 0.0))
    if (held := _held([record.bu for record in records], counts, None)) is not None:
        units = [base if unit is None else unit for base, unit in zip(held, units, strict=True)]
    names, too_long = _names(own, _held([record.bn for record in records], counts, ""))
    bad |= inexact | too_long | (rows & ~_are_names(names, rows))
    good = np.ones(len(packs), np.bool_)
    good[origin[bad]] = False
    rows &= good[origin]
    kept = None if rows.all() else np.flatnonzero(rows).tolist()
    columns: dict[str, list[Any] | NDArray[np.float64]] = {
        "name": _of(names, kept),
        "unit": _of(units, kept),
        "text": _of(texts, kept),
        "value": values[rows] + 0.0,  # zero has no sign
        "flag": flags[rows],
    }
    micros = np.rint(seconds[rows] * 1_000_000).astype(np.int64)
    return Together(origin[rows], micros, seconds[rows] < RELATIVE, columns)


def _numbers(values: list[Any]) -> NDArray[np.float64]:
    return np.fromiter(values, np.float64, len(values))


def _there(values: list[Any]) -> NDArray[np.bool_]:
    missing = values.count(None)
    if missing in (0, len(values)):
        return np.full(len(values), missing == 0)
    return np.fromiter((value is not None for value in values), np.bool_, len(values))


def _held(values: list[Any], counts: list[int], nothing: Any) -> list[Any] | None:
    """For each record what was said last in its pack; None where it is never said."""
    if values.count(None) == len(values):
        return None
    made = []
    left = iter(values)
    for count in counts:
        here = nothing
        for value in islice(left, count):
            here = here if value is None else value
            made.append(here)
    return made


def _seconds(
    times: NDArray[np.float64], bases: list[float] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Times with their bases, and which of them may not be exact."""
    own = np.nan_to_num(times)
    base = np.zeros(len(own)) if bases is None else _numbers(bases)
    with np.errstate(over="ignore"):
        seconds = base + own
    largest = np.maximum(np.maximum(np.abs(base), np.abs(own)), np.abs(seconds))
    return seconds, largest > _EXACT


def _names(
    own: list[str | None], bases: list[str] | None
) -> tuple[list[str], NDArray[np.bool_] | bool]:
    """Whole names, and which bases are too long: they are not put before all the others."""
    names = [name or "" for name in own]
    if bases is None:
        return names, False
    long = np.fromiter(map(len, bases), np.int64, len(bases)) > MAX_NAME
    if long.any():
        bases = ["" if too else base for base, too in zip(bases, long.tolist(), strict=True)]
    return [base + name for base, name in zip(bases, names, strict=True)], long


def _are_names(names: list[str], rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which are names, where ``rows`` are to have one."""
    asked = names if rows.all() else [names[row] for row in np.flatnonzero(rows).tolist()]
    joined = "\n".join([*asked, ""])
    if joined.count("\n") == len(asked) and _NAMES.fullmatch(joined):
        return np.ones(len(names), np.bool_)
    fitting = (len(name) <= MAX_NAME and NAME.fullmatch(name) for name in names)
    return np.fromiter(map(bool, fitting), np.bool_, len(names))


def _of(values: list[T], kept: list[int] | None) -> list[T]:
    return values if kept is None else [values[row] for row in kept]
