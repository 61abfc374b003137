"""What every window must hold, recomputed from the readings, and how far a table is off."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from edgestream.cli.simulate import readings
from edgestream.sources.signals import Fleet

Key: TypeAlias = tuple[str, int]
Window: TypeAlias = tuple[int, float, float, float]
"""(count, mean, min, max)"""
_CHUNK = 50_000


def expected(fleet: Fleet, rows: int, window: int) -> dict[Key, Window]:
    """Tumbling windows (``window`` in ns) of the first ``rows`` readings, by device and start."""
    found: dict[Key, list[np.ndarray]] = {}
    for first in range(0, rows, _CHUNK):
        batch = readings(fleet.rows(first, min(_CHUNK, rows - first)))
        starts = (batch["ts"] * 1_000_000) // window * window
        codes = batch["device"].codes
        names = batch["device"].dictionary.values
        order = np.lexsort((starts, codes))
        edges = np.flatnonzero(
            (np.diff(codes[order], prepend=-1) != 0) | (np.diff(starts[order], prepend=-1) != 0)
        )
        for group in np.split(order, edges[1:]):
            key = (names[codes[group[0]]], int(starts[group[0]]))
            found.setdefault(key, []).append(batch["temperature"][group])
    return {
        key: (len(x), float(x.mean()), float(x.min()), float(x.max()))
        for key, parts in found.items()
        if len(x := np.concatenate(parts))
    }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Messages lost and counted twice, windows that are missing, extra or wrong."""

    windows: int
    lost: int
    duplicated: int
    wrong: int

    @property
    def clean(self) -> bool:
        return self.lost == self.duplicated == self.wrong == 0


def judge(truth: Mapping[Key, Window], rows: Iterable[tuple[Key, Window]]) -> Verdict:
    """Compare a table with the truth; a key that is there twice counts twice."""
    got: dict[Key, Window] = {}
    lost = duplicated = wrong = 0
    for key, has in rows:
        if key in got:
            duplicated += has[0]
            wrong += 1
        got[key] = has
    for key in truth.keys() | got.keys():
        should, has = truth.get(key, (0, 0.0, 0.0, 0.0)), got.get(key, (0, 0.0, 0.0, 0.0))
        lost += max(0, should[0] - has[0])
        duplicated += max(0, has[0] - should[0])
        same = all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(should, has, strict=True))
        wrong += not same
    return Verdict(len(truth), lost, duplicated, wrong)
