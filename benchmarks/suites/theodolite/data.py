"""Readings of power sensors, made from a seed, and the groups that the sensors belong to.

Each of 20 sensors reports about every ten minutes; a reading comes up to five minutes late. Power
is whole milliwatts written as watts, so that the text and the number agree to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

START = 1_767_225_600_000
"""2026-01-01T00:00:00Z in ms."""
SENSORS = 20
EVERY = 600_000
JITTER = 300_000


@dataclass(frozen=True, slots=True)
class Readings:
    """In the order in which they come: the number of the sensor, ms since 1970, milliwatts."""

    sensor: NDArray[np.int64]
    time: NDArray[np.int64]
    milliwatts: NDArray[np.int64]


def make(count: int, seed: int = 1) -> Readings:
    """``count`` readings: a daily rhythm, a level of each sensor, and noise."""
    rng = np.random.default_rng(seed)
    index = np.arange(count)
    sensor = index % SENSORS
    sent = START + index * (EVERY // SENSORS)
    time = sent - rng.integers(0, JITTER, count)
    daily = 1 + np.sin((time % 86_400_000) / 86_400_000 * 2 * np.pi)
    power = 50_000 * (1 + sensor) * daily + rng.normal(0, 10_000, count)
    return Readings(sensor, time, np.rint(np.maximum(power, 0)).astype(np.int64))


def write(count: int, folder: Path) -> None:
    """``count`` readings into ``power.ndjson``, one a line."""
    readings = make(count)
    form = b'{"identifier":"sensor-%02d","timestamp":%d,"valueInW":%.3f}'
    columns = readings.sensor, readings.time, readings.milliwatts / 1000
    rows = zip(*(column.tolist() for column in columns), strict=True)
    (folder / "power.ndjson").write_bytes(b"\n".join(form % row for row in rows) + b"\n")
