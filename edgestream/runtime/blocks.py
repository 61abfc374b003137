"""Reads of a source as blocks of a good size: small ones that wait are joined, large ones sliced.

A block of 2,000 rows costs far less a row than ten of 200, and one of a million would take all the
memory. Rule: order is kept, a block's position and index are those of the last read in it, and
each payload keeps its own arrival and, for dead letters, its own place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Batch, Strings
from edgestream.component import Payloads
from edgestream.pieces import Pieces
from edgestream.runtime.inbox import Item, Part

ENOUGH_ROWS = 4_096
ENOUGH_BYTES = 1 << 20
"""Reads are joined up to so much."""
MOST_ROWS = 16_384
MOST_BYTES = 8 << 20
"""A read of more is processed in slices."""


def joined(items: Iterable[Item]) -> Iterator[Item]:
    """The same payloads in fewer items; ``items`` are of one source, in order."""
    group: list[Item] = []
    for item in items:
        if group and not _alike(group[0].data, item.data):
            yield _join(group)
            group = []
        group.append(item)
    if group:
        yield _join(group)


def slices(item: Item) -> Iterator[Item]:
    """An item in pieces that are not too large; each has the position of the whole."""
    data = item.data
    if (
        isinstance(data, Batch)
        or data.refused
        or (len(data) <= MOST_ROWS and item.size <= MOST_BYTES)
    ):
        yield item
        return
    begin = 0
    while begin < len(data):
        end, size = begin, 0
        while end < len(data) and end - begin < MOST_ROWS and (size < MOST_BYTES or end == begin):
            size += len(data.payloads[end])
            end += 1
        columns = {name: values[begin:end] for name, values in data.columns.items()}
        piece = Payloads(data.payloads[begin:end], columns, data.received)
        part = Part(0, begin, item.position, data.received)
        yield replace(item, data=piece, size=size, parts=(part,))
        begin = end


def rows(batch: Batch) -> Iterator[Batch]:
    """Rows in batches that are not too large."""
    if len(batch) <= MOST_ROWS:
        yield batch
        return
    for begin in range(0, len(batch), MOST_ROWS):
        yield batch.take(slice(begin, begin + MOST_ROWS))


def received(item: Item, now: int) -> int | NDArray[np.int64]:
    """When the payloads of an item arrived: at once, or each at its own time."""
    if len(item.parts) < 2:
        return (item.data.received if isinstance(item.data, Payloads) else 0) or now
    bounds = [*(part.at for part in item.parts), len(item.data)]
    return np.repeat([part.received or now for part in item.parts], np.diff(bounds))


def origin(item: Item, row: int) -> Mapping[str, Any]:
    """Where a payload was in what the source gave."""
    for part in reversed(item.parts):
        if row >= part.at:
            return {**part.position, "row": row - part.at + part.row}
    return {**item.position, "row": row}


def _join(items: Sequence[Item]) -> Item:
    last = items[-1]
    if len(items) == 1:
        return last
    blocks = [item.data for item in items if isinstance(item.data, Payloads)]
    parts, at = [], 0
    for item, block in zip(items, blocks, strict=True):
        parts.append(Part(at, 0, item.position, block.received))
        at += len(block)
    payloads = Pieces.together([block.payloads for block in blocks])
    columns = {
        name: _values([block.columns[name] for block in blocks]) for name in blocks[0].columns
    }
    size = sum(item.size for item in items)
    data = Payloads(payloads, columns, blocks[-1].received)
    return replace(last, data=data, size=size, parts=tuple(parts))


def _alike(one: Payloads | Batch, other: Payloads | Batch) -> bool:
    if isinstance(one, Batch) or isinstance(other, Batch) or one.refused or other.refused:
        return False
    pairs = [(one.columns[n], other.columns[n]) for n in one.columns if n in other.columns]
    same = len(pairs) == len(one.columns) == len(other.columns)
    return same and all(_same_kind(mine, theirs) for mine, theirs in pairs)


def _same_kind(one: Any, other: Any) -> bool:
    if isinstance(one, Strings):
        return isinstance(other, Strings) and one.dictionary is other.dictionary
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype
    return isinstance(one, list) and isinstance(other, list)


def _values(parts: Sequence[Any]) -> Any:
    first = parts[0]
    if isinstance(first, Strings):
        return Strings(np.concatenate([part.codes for part in parts]), first.dictionary)
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    return [value for part in parts for value in part]
