"""From what a source gave to rows with times; what cannot be read is set apart with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array, Batch, Column, as_column
from edgestream.component import Payloads
from edgestream.entry import Entry


@dataclass(frozen=True, slots=True)
class Read:
    """The good rows, and for each bad one its position in the block and why.

    ``untimed`` are those of the bad ones that could be decoded but have no event time.
    """

    batch: Batch
    rejected: Mapping[int, str]
    untimed: frozenset[int] = frozenset()


def read(
    entry: Entry,
    data: Payloads | Batch,
    received: int | NDArray[np.int64],
    *,
    again: bool = False,
) -> Read:
    """Decode a block and give every row its event time.

    ``received`` is the wall clock in ns at which it came, or that of each payload. What is read
    ``again`` is not asked for its ids: they were seen when it came first, and it counted for
    nothing then.
    """
    if again:
        entry = replace(entry, event_id=None, ids={})
    if isinstance(data, Payloads) and data.refused:
        return Read(Batch({}, np.empty(0, np.int64)), data.refused)
    if isinstance(data, Batch):
        return _timed(entry, dict(data.columns), data.times, None, {}, received)
    if "payload" in entry.ids:
        return _first_payloads(entry, data, received)
    return _decoded(entry, data, received)


def _first_payloads(entry: Entry, data: Payloads, received: int | NDArray[np.int64]) -> Read:
    """The same without payloads that came before, by the name that the source gives each."""
    named = entry.component.payload_ids()
    columns = dict(data.columns)
    names = columns.pop(named.column, None) if named is not None else None
    if names is None:
        return _decoded(entry, data, received)
    ids = {named.column: as_column(names)} if named is not None else {}
    first = entry.ids["payload"].first(ids, len(data), _latest(received))
    if first is None:
        return _decoded(entry, replace(data, columns=columns), received)
    kept = np.flatnonzero(first)
    payloads = [data.payloads[row] for row in kept.tolist()]
    columns = {name: as_column(values)[kept] for name, values in columns.items()}
    if isinstance(received, np.ndarray):
        received = received[kept]
    got = _decoded(entry, Payloads(payloads, columns, data.received), received)
    rejected = {int(kept[row]): why for row, why in got.rejected.items()}
    return Read(got.batch, rejected, frozenset(int(kept[row]) for row in got.untimed))


def _decoded(entry: Entry, data: Payloads, received: int | NDArray[np.int64]) -> Read:
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
    return _timed(entry, columns, times, good, decoded.rejected, received)


def _timed(
    entry: Entry,
    columns: dict[str, Column],
    arrival: NDArray[np.int64],
    good: Array | None,
    rejected: Mapping[int, str],
    received: int | NDArray[np.int64],
) -> Read:
    if entry.event_id is not None:
        first = _first_rows(entry, columns, arrival, received)
        if first is not None:
            columns = {name: column[first] for name, column in columns.items()}
            arrival, good = arrival[first], np.flatnonzero(first) if good is None else good[first]
    if entry.time is None:
        return Read(Batch(columns, arrival), rejected)
    times, reasons = entry.time.read(columns.get(entry.time.field), len(arrival))
    if not reasons:
        return Read(Batch(columns, times), rejected)
    places = {row if good is None else int(good[row]): why for row, why in reasons.items()}
    # A payload of many rows goes whole: sent again, none of its rows may come a second time.
    keep = ~np.isin(np.arange(len(times)) if good is None else good, list(places))
    kept = {name: column[keep] for name, column in columns.items()}
    return Read(Batch(kept, times[keep]), {**rejected, **places}, frozenset(places))


def _first_rows(
    entry: Entry,
    columns: Mapping[str, Column],
    arrival: NDArray[np.int64],
    received: int | NDArray[np.int64],
) -> NDArray[np.bool_] | None:
    """Which rows come for the first time, by their event id; None: all of them."""
    assert entry.event_id is not None
    batch = Batch(columns, arrival)
    ids = {
        text: made.evaluate(batch)
        for text, made in zip(entry.event_id.by, entry.event_id.expressions(), strict=True)
    }
    return entry.ids["row"].first(ids, len(arrival), _latest(received))


def _latest(received: int | NDArray[np.int64]) -> int:
    if isinstance(received, np.ndarray):
        return int(received[-1]) if len(received) else 0
    return received
