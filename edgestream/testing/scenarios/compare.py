"""Which of the rows that arrived are those expected, and what the others look most like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgestream.scenario import Row
from edgestream.testing.scenarios.cells import Cells

E = TypeVar("E")
G = TypeVar("G")


@dataclass(frozen=True, slots=True)
class Pair:
    """A row that was expected, the row that came in its place, and the columns that differ."""

    expected: Row
    got: Row
    wrong: frozenset[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """How the rows at one place differ from those expected."""

    place: str
    equal: int
    pairs: tuple[Pair, ...] = ()
    missing: tuple[Row, ...] = ()
    unexpected: tuple[Row, ...] = ()
    note: str = ""


def compare(
    place: str,
    expected: Sequence[Row],
    got: Sequence[Row],
    cells: Cells,
    keys: Sequence[str] = (),
    *,
    in_order: bool = False,
) -> Difference | None:
    """The difference of rows, or None; a row is compared on the columns that are expected of it.

    Rows whose ``keys`` differ are never shown as one and the same.
    """

    def wrong(mine: Row, other: Row) -> frozenset[str]:
        return frozenset(
            name for name, value in mine.items() if not cells.same(name, value, other.get(name))
        )

    if in_order:
        found = {
            index: index
            for index, (mine, other) in enumerate(zip(expected, got, strict=False))
            if not wrong(mine, other)
        }
    else:
        found = matched(expected, got, lambda mine, other: not wrong(mine, other))
    if len(found) == len(expected) == len(got):
        return None
    mine = [row for index, row in enumerate(expected) if index not in found]
    other = [row for index, row in enumerate(got) if index not in set(found.values())]
    near = _in_order(mine, other) if in_order else _nearest(mine, other, wrong, keys)
    return Difference(
        place,
        len(found),
        tuple(Pair(mine[i], other[j], wrong(mine[i], other[j])) for i, j in sorted(near.items())),
        tuple(row for index, row in enumerate(mine) if index not in near),
        tuple(row for index, row in enumerate(other) if index not in set(near.values())),
    )


def matched(
    expected: Sequence[E], got: Sequence[G], same: Callable[[E, G], bool]
) -> dict[int, int]:
    """Expected → got, for as many as can be matched one to one."""
    fits = [[j for j, other in enumerate(got) if same(mine, other)] for mine in expected]
    taken: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j in fits[i]:
            if j not in tried:
                tried.add(j)
                if j not in taken or place(taken[j], tried):
                    taken[j] = i
                    return True
        return False

    for i in range(len(expected)):
        place(i, set())
    return {i: j for j, i in taken.items()}


def _in_order(mine: Sequence[Row], other: Sequence[Row]) -> dict[int, int]:
    return {index: index for index in range(min(len(mine), len(other)))}


def _nearest(
    mine: Sequence[Row],
    other: Sequence[Row],
    wrong: Callable[[Row, Row], frozenset[str]],
    keys: Sequence[str],
) -> dict[int, int]:
    """Pairs with the same keys of which half the cells agree at least, the most alike first."""
    alike: list[tuple[float, int, int]] = []
    for i, row in enumerate(mine):
        for j, candidate in enumerate(other):
            bad = wrong(row, candidate)
            part = len(bad) / max(1, len(row))
            alone = len(mine) == len(other) == 1
            if bad.isdisjoint(keys) and (keys or part <= 0.5 or alone):
                alike.append((part, i, j))
    near: dict[int, int] = {}
    for _, i, j in sorted(alike):
        if i not in near and j not in near.values():
            near[i] = j
    return near
