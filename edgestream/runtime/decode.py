"""From what a source gave to rows with times; what cannot be read is set apart with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array, Batch, Column, as_column
from edgestream.component import Payloads
from edgestream.graph import Entry


@dataclass(frozen=True, slots=True)
class Read:
    """The good rows, and for each bad one its position in the block and why."""

    batch: Batch
    rejected: Mapping[int, str]


def read(entry: Entry, data: Payloads | Batch, received: int | NDArray[np.int64]) -> Read:
    """Decode a block and give every row its event time.

    ``received`` is the wall clock in ns at which it came, or that of each payload.
    """
    if isinstance(data, Batch):
        return _timed(entry, dict(data.columns), data.times, None, {})
    decoded = entry.codec.decode(data.payloads)
    columns: dict[str, Column] = dict(decoded.columns)
    # As integers, because an empty list of positions would be an array of floats.
    good = None if decoded.good is None else np.asarray(decoded.good, np.int64)
    times = np.empty(decoded.count, np.int64)
    each = isinstance(received, np.ndarray) and good is not None
    times[:] = received[good] if each else received  # type: ignore[index]
    for name, rows in decoded.from_arrival.items():
        moment = (times // 1_000).view("timedelta64[us]")
        distance = cast("Array", columns[name])
        columns[name] = np.where(rows, distance + moment, distance)
    for name, values in data.columns.items():
        column = as_column(values)
        columns[name] = column if good is None else column[good]
    return _timed(entry, columns, times, good, decoded.rejected)


def _timed(
    entry: Entry,
    columns: dict[str, Column],
    arrival: NDArray[np.int64],
    good: Array | None,
    rejected: Mapping[int, str],
) -> Read:
    if entry.time is None:
        return Read(Batch(columns, arrival), rejected)
    times, reasons = entry.time.read(columns.get(entry.time.field), len(arrival))
    if not reasons:
        return Read(Batch(columns, times), rejected)
    places = {row if good is None else int(good[row]): why for row, why in reasons.items()}
    # A payload of many rows goes whole: sent again, none of its rows may come a second time.
    keep = ~np.isin(np.arange(len(times)) if good is None else good, list(places))
    kept = {name: column[keep] for name, column in columns.items()}
    return Read(Batch(kept, times[keep]), {**rejected, **places})
