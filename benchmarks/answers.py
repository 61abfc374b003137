"""What every window must hold, computed another way than any engine does, and the comparison.

The engines go through the readings in order and keep a state; here the whole data set is sorted
once and cut into groups. `compare` counts windows that are missing, too many or different.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Data

Kind = Literal["tumbling", "hopping", "session"]
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True)
class Work:
    """Which windows by device: of ``size`` ms every ``every``, or sessions with such gaps."""

    kind: Kind
    size: int
    every: int
    delay: int = 2_000


@dataclass(frozen=True, slots=True)
class Windows:
    """One entry a window: device, start in ms, and the aggregates of temperature."""

    device: NDArray[np.int64]
    start: NDArray[np.int64]
    n: NDArray[np.int64]
    mean: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    stddev: NDArray[np.float64]

    def __len__(self) -> int:
        """How many."""
        return len(self.start)

    def save(self, path: Path) -> None:
        """Write all columns to a file of numpy's."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Windows:
        """Read what `save` wrote."""
        with np.load(path) as found:
            return cls(**{field.name: found[field.name] for field in fields(cls)})


def truth(data: Data, work: Work) -> Windows:
    """All windows over the data."""
    if work.kind == "session":
        order = np.lexsort((data.ts, data.device))
        device, ts = data.device[order], data.ts[order]
        opens = (np.diff(device, prepend=-1) != 0) | (np.diff(ts, prepend=ts[:1]) >= work.size)
        return _groups(device, ts, data.temperature[order], opens)
    # hopping windows are several tilings, each shifted by one hop
    tilings = [
        _tumbling(data, work.size, shift * work.every) for shift in range(work.size // work.every)
    ]
    return _joined(tilings)


def _tumbling(data: Data, size: int, shift: int) -> Windows:
    start = (data.ts - shift) // size * size + shift
    order = np.lexsort((start, data.device))
    device, begins = data.device[order], start[order]
    opens = (np.diff(device, prepend=-1) != 0) | (np.diff(begins, prepend=-1) != 0)
    return _groups(device, begins, data.temperature[order], opens)


def _groups(
    device: NDArray[np.int64],
    start: NDArray[np.int64],
    value: NDArray[np.float64],
    opens: NDArray[np.bool_],
) -> Windows:
    first = np.flatnonzero(opens)
    n = np.diff(first, append=len(value))
    mean = np.add.reduceat(value, first) / n
    squares = np.add.reduceat((value - np.repeat(mean, n)) ** 2, first)
    with np.errstate(invalid="ignore", divide="ignore"):
        stddev = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
    low, high = np.minimum.reduceat(value, first), np.maximum.reduceat(value, first)
    return Windows(device[first], start[first], n, mean, low, high, stddev)


def _joined(parts: list[Windows]) -> Windows:
    return Windows(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Windows)
        )
    )


def compare(expected: Windows, found: Windows) -> int:
    """How many windows are missing, too many, or hold something else."""
    wanted, got = _sorted(expected), _sorted(found)
    keys = [list(zip(w.device.tolist(), w.start.tolist(), strict=True)) for w in (wanted, got)]
    if keys[0] != keys[1]:
        return _differences(wanted, got, keys)
    return int((~_same(wanted, got)).sum())


def _differences(wanted: Windows, got: Windows, keys: list[list[tuple[int, int]]]) -> int:
    places = {key: at for at, key in enumerate(keys[0])}
    pairs = [(places[key], at) for at, key in enumerate(keys[1]) if key in places]
    once = dict(pairs)
    left, right = np.array(list(once), np.int64), np.array(list(once.values()), np.int64)
    same = int(_same(_take(wanted, left), _take(got, right)).sum())
    return len(wanted) - same + len(got) - len(once)


def _same(left: Windows, right: Windows) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = left.n == right.n
    for name in ("mean", "min", "max", "stddev"):
        close = np.isclose(
            getattr(left, name), getattr(right, name), rtol=_CLOSE, atol=_CLOSE, equal_nan=True
        )
        same = same & close
    return same


def _sorted(windows: Windows) -> Windows:
    return _take(windows, np.lexsort((windows.start, windows.device)))


def _take(windows: Windows, places: NDArray[np.int64]) -> Windows:
    return Windows(*(getattr(windows, field.name)[places] for field in fields(Windows)))
