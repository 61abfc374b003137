"""Intervals parted at gaps: rows and sessions of keys in one, into what becomes one session each.

With a bound, groups are parted again where they have become that long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgestream.window.chains import NEVER
from edgestream.window.kind import Mask, Times
from edgestream.window.lookup import Numbers


@dataclass(slots=True)
class Groups:
    """What belongs together, by slot and start."""

    slots: Numbers
    starts: Times
    lasts: Times
    of: Numbers
    """The group of each interval."""


def parted(owners: Numbers, starts: Times, lasts: Times, gap: int, most: int) -> Groups:
    """Part the intervals of each slot where nothing is for ``gap``, and ``most`` after a start."""
    scale = _Scale(owners, starts, lasts)
    order = np.argsort(scale.pack(owners, starts), kind="stable")
    owners, starts = owners[order], starts[order]
    # The latest row so far within each slot: packed values of later slots are all larger.
    packed = np.maximum.accumulate(scale.pack(owners, lasts[order]))
    latest = scale.times(packed)
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (owners[1:] != owners[:-1]) | (starts[1:] - latest[:-1] >= gap)
    if most != NEVER:
        _part_long(begins, owners, starts, packed, scale, most)
    of = np.empty(len(order), np.intp)
    of[order] = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(order)) - 1
    return Groups(owners[first], starts[first], latest[last], of)


def _part_long(
    begins: Mask, owners: Numbers, starts: Times, packed: Times, scale: _Scale, most: int
) -> None:
    """Part groups again where they have become ``most`` long: all first pieces, then second."""
    heads = np.flatnonzero(begins)
    ends = np.append(heads[1:], len(begins))
    while len(heads):
        limit = scale.pack(owners[heads], starts[heads] + most)
        following = np.maximum(np.searchsorted(packed, limit), heads + 1)
        inside = following < ends
        heads, ends = following[inside], ends[inside]
        begins[heads] = True


class _Scale:
    """(slot, time) pairs as single numbers that sort alike."""

    def __init__(self, slots: Numbers, starts: Times, lasts: Times) -> None:
        self._low = int(starts.min())
        span = int(lasts.max()) - self._low + 1
        self._bits = span.bit_length()
        self._ranks: Times | None = None
        if self._bits + int(slots.max()).bit_length() > 62:
            self._ranks = np.unique(np.concatenate([starts, lasts]))
            self._bits = len(self._ranks).bit_length()

    def pack(self, slots: Numbers, times: Times) -> Times:
        """One number a pair; a time beyond the last one stands for any such."""
        if self._ranks is not None:
            return (slots << self._bits) | np.searchsorted(self._ranks, times)
        beyond = (1 << self._bits) - 1
        return (slots << self._bits) | np.minimum(times - self._low, beyond)

    def times(self, packed: Times) -> Times:
        """The times of pairs."""
        low = packed & ((1 << self._bits) - 1)
        return low + self._low if self._ranks is None else self._ranks[low]
