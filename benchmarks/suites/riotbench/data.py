"""Readings of stations in a city, made from a seed, with all that goes wrong on the way.

Ten stations report every minute, up to 30 s late. A part of the values is missing or impossible,
some readings come twice, and some come from a station that nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

START = 1_767_225_600_000
"""2026-01-01T00:00:00Z in ms."""
STATIONS = 10
EVERY = 60_000
JITTER = 30_000
BOUNDS = {
    "temperature": (-30.0, 50.0),
    "humidity": (0.0, 100.0),
    "light": (0.0, 5_000.0),
    "dust": (0.0, 2_000.0),
    "airquality": (0.0, 500.0),
}
"""What is possible."""
UNITS = {"temperature": "Cel", "humidity": "%RH", "light": "lx", "dust": "kg/m3", "airquality": "/"}
_MISSING, _WRONG, _TWICE, _UNKNOWN = 0.02, 0.01, 0.02, 0.01


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading as it comes, ``station`` a base name of SenML; a value may be missing."""

    station: str
    time: int
    values: dict[str, float | None]


def make(count: int, seed: int = 1) -> Iterator[Reading]:
    """``count`` readings in the order in which they come."""
    rng = np.random.default_rng(seed)
    index = np.arange(count)
    station = index % STATIONS
    times = START + index * (EVERY // STATIONS) - rng.integers(0, JITTER, count)
    daily = np.sin((times % 86_400_000) / 86_400_000 * 2 * np.pi)
    columns = [
        _spoilt(rng, 15 + 8 * daily + station + rng.normal(0, 0.5, count), 1e4),
        _spoilt(rng, 60 - 20 * daily + rng.normal(0, 3, count), -40.0),
        _spoilt(rng, 400 + 380 * daily + rng.random(count) * 20, 1e6),
        _spoilt(rng, rng.gamma(2, 150, count) % 1_900, -1.0),
        _spoilt(rng, 20 + rng.gamma(2, 10, count) % 400, 9_999.0),
    ]
    stranger = rng.random(count) < _UNKNOWN
    # what came 20 readings before comes once more
    again = (rng.random(count) < _TWICE) & (index >= 20)
    rows = np.where(again, index - 20, index)
    for row in rows.tolist():
        name = f"city:{99 if stranger[row] else station[row]:02d}:"
        found = [float(column[row]) for column in columns]
        values = [None if value != value else value for value in found]
        yield Reading(name, int(times[row]), dict(zip(BOUNDS, values, strict=True)))


def _spoilt(
    rng: np.random.Generator, values: NDArray[np.float64], impossible: float
) -> NDArray[np.float64]:
    """Two digits, some values missing, some impossible."""
    chance = rng.random(len(values))
    rounded = np.round(values, 2)
    rounded[chance < _WRONG] = impossible
    rounded[chance > 1 - _MISSING] = np.nan
    return rounded


def write(count: int, folder: Path) -> None:
    """``count`` readings into ``city.ndjson``, each a SenML pack (RFC 8428) on a line."""
    lines = [json.dumps(_pack(reading)) for reading in make(count)]
    (folder / "city.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _pack(reading: Reading) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = [
        {"n": name, "u": UNITS[name], "v": value}
        for name, value in reading.values.items()
        if value is not None
    ]
    base = {"bn": reading.station, "bt": reading.time / 1000}
    return [{**base, **records[0]}, *records[1:]] if records else []
