"""``mode`` and ``top_k``: the values that come most often, from a bounded number of counters.

As long as a cell has seen no more different values than it has counters, counts are exact. Then,
as in Misra and Gries' summary, the counters of the most frequent values stay, less the count of the
first that does not: of n values with c counters no count is too high, none too low by more than
n / (c + 1), and a value that is more frequent than that is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.constants import Constant
from edgestream.aggregate.function import ALL_KINDS, Function
from edgestream.aggregate.groups import grouped
from edgestream.aggregate.hashes import of_texts
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values, blank, to_column
from edgestream.aggregate.written import plain, text
from edgestream.batch import Array, Column, Strings
from edgestream.schema import ColumnKind

COUNTERS = 32
_PER_VALUE = 4
"""Counters for each value of a long list."""
_AT_ONCE = 1024
"""How many cells are merged together."""
_ONE = np.uint64(1)
"""The least hash there is: 0 is that of a counter that counts nothing."""


@dataclass(frozen=True)
class Frequent(Part):
    """Counters: the hash of a value, how often it came, and the value."""

    counters: int

    def initial(self, kind: ColumnKind) -> Fields:
        """None counts anything."""
        return {
            "hash": np.zeros(self.counters, np.uint64),
            "times": np.zeros(self.counters, np.int64),
            "value": np.full(self.counters, blank(kind)),
        }

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Count values that have a counter; find counters for the others."""
        hashes = np.maximum(values.hashes(state["value"]), _ONE)
        match = np.flatnonzero(np.take(state["hash"], cells, axis=0) == hashes[:, None])
        known, counters = np.divmod(match, self.counters)
        np.add.at(state["times"].reshape(-1), cells[known] * self.counters + counters, 1)
        if len(known) < len(cells):
            rows = np.delete(np.arange(len(cells)), known)
            self._count_new(state, cells[rows], hashes[rows], Values(values.column[rows]))

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """The counts of all layers, one layer after the other."""
        merged = {name: array[0].copy() for name, array in state.items()}
        cells = merged["times"].shape[0]
        for layer in range(1, len(state["times"])):
            for begin in range(0, cells, _AT_ONCE):
                some = slice(begin, begin + _AT_ONCE)
                mine = {name: array[some] for name, array in merged.items()}
                theirs = {name: array[layer, some] for name, array in state.items()}
                for name, array in _folded(*_matched(mine, theirs)).items():
                    merged[name][some] = array
        return merged

    def filled(self, state: Fields, counts: Counts) -> NDArray[np.bool_]:
        """Counters that count something."""
        filled: NDArray[np.bool_] = state["times"] > 0
        return filled

    def widen(
        self, state: Fields, counts: Counts, old: ColumnKind, new: ColumnKind
    ) -> dict[str, Array]:
        """Numbers that become text have the hash of that text from now on."""
        wide = super().widen(state, counts, old, new)
        if new == "string" and old != "string":
            held = self.filled(state, counts)
            wide["hash"] = wide["hash"].copy()
            wide["hash"][held] = np.maximum(of_texts(wide["value"][held].tolist()), _ONE)
        return wide

    def _count_new(
        self, state: Fields, cells: Cells, hashes: NDArray[np.uint64], values: Values
    ) -> None:
        """Count values that have no counter, in the order in which they came first."""
        order = np.lexsort((hashes, cells))
        other = (np.diff(cells[order]) != 0) | (np.diff(hashes[order]) != 0)
        starts = np.flatnonzero(np.append(True, other))
        firsts, often = order[starts], np.diff(np.append(starts, len(order)))
        came = np.argsort(firsts)
        firsts, often = firsts[came], often[came]
        groups = grouped(cells[firsts])
        firsts, often = firsts[groups.order], often[groups.order]
        new = {"hash": hashes[firsts], "times": often}
        new["value"] = Values(values.column[firsts]).kept_like(state["value"])
        at, places, counts = groups.cells, groups.ranks, groups.tails - groups.heads + 1
        # Counters in use stand first, so the free ones begin after them.
        used = np.count_nonzero(state["times"][at[groups.heads]], axis=1)
        room = np.repeat(used + counts <= self.counters, counts)
        free = (at * self.counters + np.repeat(used, counts) + places)[room]
        for name, array in new.items():
            state[name].reshape(-1)[free] = array[room]
        self._compete(state, at[~room], places[~room], {n: a[~room] for n, a in new.items()})

    def _compete(self, state: Fields, at: Cells, places: Cells, new: Fields) -> None:
        """Let new values compete for counters, as many a cell at once as there are of these."""
        turns, places = np.divmod(places, self.counters)
        for turn in range(int(turns.max(initial=-1)) + 1):
            now = np.flatnonzero(turns == turn)
            touched, rows = np.unique(at[now], return_inverse=True)
            more = {n: np.zeros((len(touched), self.counters), a.dtype) for n, a in state.items()}
            for name, array in new.items():
                more[name][rows, places[now]] = array[now]
            mine = {name: array[touched] for name, array in state.items()}
            for name, array in _folded(mine, more).items():
                state[name][touched] = array


def _matched(mine: dict[str, Array], theirs: dict[str, Array]) -> tuple[Fields, Fields]:
    """Both, after what is counted in both has been added to the first."""
    same = mine["hash"][:, :, None] == theirs["hash"][:, None, :]
    same &= (theirs["times"] > 0)[:, None, :]
    more = (same * theirs["times"][:, None, :]).sum(axis=2)
    rest = np.where(same.any(axis=1), 0, theirs["times"])
    return {**mine, "times": mine["times"] + more}, {**theirs, "times": rest}


def _folded(mine: Fields, theirs: Fields) -> Fields:
    """The highest of the counters of both, less the first that finds no place."""
    counters = mine["times"].shape[1]
    times = np.concatenate([mine["times"], theirs["times"]], axis=1)
    order = np.argsort(-times, axis=1, kind="stable")
    lost = np.take_along_axis(times, order[:, counters : counters + 1], 1)
    order = order[:, :counters]
    both = {name: np.concatenate([mine[name], theirs[name]], axis=1) for name in mine}
    kept = {name: np.take_along_axis(array, order, 1) for name, array in both.items()}
    left = np.maximum(kept["times"] - lost, 0)
    return {**kept, "times": left, "hash": np.where(left > 0, kept["hash"], 0)}


class TopK(Function):
    """The most frequent values."""

    name = "top_k"
    help = (
        "The k most frequent values with their counts, as JSON text: "
        '`[["open", 12], ["shut", 7]]`; of equal counts the lesser value first.'
    )
    error = (
        "exact up to 32 different values (4 k of them, if that is more); then a count is too low "
        "by at most 3 % of the number of values (1 / 4 k)"
    )
    constants: ClassVar[tuple[Constant, ...]] = (Constant("k", "whole", 5, 1, 100),)
    takes = ALL_KINDS
    reads_text = True

    def __init__(self, *given: float) -> None:
        """Take the length of the list."""
        super().__init__(*given)
        self.part = Frequent(max(COUNTERS, _PER_VALUE * self.most))

    @property
    def most(self) -> int:
        """How many values are given."""
        return int(self.given[0])

    def result(self, kind: ColumnKind) -> ColumnKind:
        """JSON text."""
        return "string"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """One list a cell, missing where there is nothing."""
        order = _ranking(state)[:, : self.most]
        often = np.take_along_axis(state["times"], order, 1)
        kept = np.take_along_axis(state["value"], order, 1)
        texts: list[str | None] = []
        for row, times in zip(kept, often, strict=True):
            held = times > 0
            pairs = zip(plain(row[held], kind), times[held].tolist(), strict=True)
            texts.append(text([list(pair) for pair in pairs]) if held.any() else None)
        return Strings.of(texts)


class Mode(TopK):
    """The most frequent value."""

    name = "mode"
    help = "The most frequent value; of equally frequent ones the least."
    error = (
        "exact up to 32 different values; then a value that makes up more than 3 % of all is known"
    )
    constants = ()

    @property
    def most(self) -> int:
        """One."""
        return 1

    def result(self, kind: ColumnKind) -> ColumnKind:
        """The same kind."""
        return kind

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The first of the ranking, where there is one."""
        first = np.arange(len(counts)), _ranking(state)[:, 0]
        return to_column(state["value"][first], kind, state["times"][first] > 0)


def _ranking(state: Fields) -> NDArray[np.intp]:
    """The counters of each cell by count, the highest first, then by value."""
    value, times = state["value"], state["times"]
    if value.dtype == object:
        ranks = np.zeros(value.shape, np.int64)
        held = times > 0
        ranks[held] = np.unique(value[held], return_inverse=True)[1]
        value = ranks
    order: NDArray[np.intp] = np.lexsort((value, -times), axis=1)
    return order
