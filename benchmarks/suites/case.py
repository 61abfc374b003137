"""What a suite is: data made from a seed, and queries with the answers that must come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = list[Row]


class Missing(Exception):
    """Why an answer cannot be recomputed here."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query: ``exact`` and ``close`` name the columns that are compared, close ones to 1e-9.

    Its pipeline is ``NAME.yaml`` or ``NAME.py`` in the folder of the suite. ``fold`` makes of the
    rows that left those that an upserting sink would hold at last, or what else can be compared.
    """

    name: str
    title: str
    exact: tuple[str, ...]
    close: tuple[str, ...] = ()
    fold: Callable[[Rows], Rows] | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """Queries over the same data.

    ``generate`` writes so many rows into a folder; ``answers`` recomputes queries from that folder
    and raises `Missing` where it cannot; ``by`` says what does. ``small`` is how many rows show
    every case.
    """

    name: str
    folder: Path
    small: int
    large: int
    generate: Callable[[int, Path], None]
    answers: Callable[[Sequence[str], Path], Mapping[str, Rows]]
    queries: Sequence[Query]
    by: str

    def pipeline(self, query: Query) -> Path:
        """The pipeline file of a query; in Python, with a function ``pipeline``, if it must."""
        written = self.folder / f"{query.name}.yaml"
        return written if written.exists() else written.with_suffix(".py")

    def query(self, name: str) -> Query:
        """The query of that name."""
        return next(query for query in self.queries if query.name == name)


def last(*keys: str) -> Callable[[Rows], Rows]:
    """Of rows with the same keys the last that left, as an upserting sink keeps it."""

    def fold(rows: Rows) -> Rows:
        return list({tuple(row[key] for key in keys): row for row in rows}.values())

    return fold
