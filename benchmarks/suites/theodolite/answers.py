"""The answers of Theodolite by numpy, from the same readings as arrays."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.suites.case import Rows
from benchmarks.suites.theodolite.data import Readings, make

_HERE = Path(__file__).parent
_HOUR = 3_600_000
_DAY = 24 * _HOUR
_DAYS = 30


def answers(names: Sequence[str], folder: Path) -> Mapping[str, Rows]:
    """What each task must give over the readings in ``folder``."""
    with (folder / "power.ndjson").open("rb") as file:
        readings = make(sum(1 for _ in file))
    return {name: _ANSWERS[name](readings) for name in names}


def _name(sensor: int) -> str:
    return f"sensor-{sensor:02d}"


def _iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _stored(readings: Readings) -> Rows:
    columns = readings.sensor, readings.time, readings.milliwatts / 1000
    return [
        {"identifier": _name(sensor), "timestamp": time, "valueInW": power}
        for sensor, time, power in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _groups(*keys: NDArray[np.int64]) -> list[tuple[list[int], NDArray[np.int64]]]:
    """For each combination of keys its rows, in the order in which they came."""
    order = np.lexsort(keys[::-1])
    table = np.stack([key[order] for key in keys])
    starts = np.flatnonzero(np.any(np.diff(table, axis=1, prepend=-1), axis=0))
    parts = np.split(order, starts[1:])
    return [(table[:, at].tolist(), np.sort(part)) for at, part in zip(starts, parts, strict=True)]


def _hourly(readings: Readings) -> Rows:
    rows: Rows = []
    for (sensor, hour), part in _groups(readings.sensor, readings.time // _HOUR):
        power = readings.milliwatts[part] / 1000
        rows.append(
            {
                "identifier": _name(sensor),
                "window_start": _iso(hour * _HOUR),
                "n": len(part),
                "mean": power.mean(),
                "deviation": power.std(ddof=1) if len(part) > 1 else None,
                "lowest": power.min(),
                "highest": power.max(),
            }
        )
    return rows


def _course(readings: Readings) -> Rows:
    sums: dict[tuple[int, int, int], list[Any]] = defaultdict(lambda: [0, 0.0])
    days, hours = readings.time // _DAY, readings.time // _HOUR % 24
    for (sensor, hour, day), part in _groups(readings.sensor, hours, days):
        for start in range(day - _DAYS + 1, day + 1):
            held = sums[sensor, hour, start]
            held[0] += len(part)
            held[1] += (readings.milliwatts[part] / 1000).sum()
    return [
        {
            "identifier": _name(sensor),
            "hour": hour,
            "window_start": _iso(start * _DAY),
            "n": n,
            "mean": total / n,
        }
        for (sensor, hour, start), (n, total) in sums.items()
    ]


def _summed(readings: Readings) -> Rows:
    above = {**_members("sensors.csv", "identifier"), **_members("groups.csv", "group")}
    sums: dict[tuple[str, int], list[Any]] = defaultdict(lambda: [0, 0.0])
    for (sensor, hour), part in _groups(readings.sensor, readings.time // _HOUR):
        times = readings.time[part]
        last = part[len(part) - 1 - np.argmax(times[::-1])]
        _add(sums, above[_name(sensor)], hour, readings.milliwatts[last] / 1000)
    for (group, hour), (_, power) in list(sums.items()):
        _add(sums, above.get(group, []), hour, power)
    return [
        {"group": group, "window_start": _iso(hour * _HOUR), "members": members, "power": power}
        for (group, hour), (members, power) in sums.items()
    ]


def _add(sums: dict[tuple[str, int], list[Any]], groups: list[str], hour: int, power: Any) -> None:
    for group in groups:
        held = sums[group, hour]
        held[0] += 1
        held[1] += power


def _members(file: str, key: str) -> dict[str, list[str]]:
    with (_HERE / file).open(encoding="utf-8", newline="") as lines:
        return {row[key]: json.loads(row["groups"]) for row in csv.DictReader(lines)}


_ANSWERS: Mapping[str, Callable[[Readings], Rows]] = {
    "uc1": _stored,
    "uc2": _hourly,
    "uc3": _course,
    "uc4": _summed,
}
