"""Parts of times, in UTC."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from edgestream.batch import Array
from edgestream.expr.values import whole

_MICROS_AN_HOUR = 3_600_000_000
_MICROS_A_MINUTE = 60_000_000


def part(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """A whole number for each time; missing where the time is."""

    def run(times: Array) -> Array:
        gaps = np.isnat(times)
        return whole(function(np.where(gaps, np.datetime64(0, "us"), times)), gaps)

    return run


def hour(times: Array) -> Array:
    """0 to 23."""
    return times.astype(np.int64) // _MICROS_AN_HOUR % 24


def minute(times: Array) -> Array:
    """0 to 59."""
    return times.astype(np.int64) // _MICROS_A_MINUTE % 60


def weekday(times: Array) -> Array:
    """0 for Monday to 6 for Sunday."""
    return (times.astype("datetime64[D]").astype(np.int64) + 3) % 7


def day(times: Array) -> Array:
    """The day of the month, from 1."""
    first = times.astype("datetime64[M]").astype("datetime64[D]")
    return cast("Array", (times.astype("datetime64[D]") - first).astype(np.int64) + 1)


def month(times: Array) -> Array:
    """1 to 12."""
    return times.astype("datetime64[M]").astype(np.int64) % 12 + 1


def year(times: Array) -> Array:
    """Such as 2026."""
    return times.astype("datetime64[Y]").astype(np.int64) + 1970
