"""The answers of RIoTBench in plain Python, reading by reading."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.suites.case import Row, Rows
from benchmarks.suites.riotbench.data import BOUNDS, Reading, make

_HERE = Path(__file__).parent
_MINUTE = 60_000
_GAP = 10 * _MINUTE
_HALF_HOUR = 30 * _MINUTE
_Point = tuple[int, dict[str, float | None]]


def answers(names: Sequence[str], folder: Path) -> Mapping[str, Rows]:
    """What each application must give over the readings in ``folder``."""
    with (folder / "city.ndjson").open("rb") as file:
        readings = list(_once(make(sum(1 for _ in file))))
    return {name: list(_ANSWERS[name](readings)) for name in names}


def unpacked(rows: Rows) -> Rows:
    """Rows with the measurements of their SenML pack as columns."""
    made: Rows = []
    for row in rows:
        records = json.loads(row["senml"])
        head = {key: value for record in records for key, value in record.items()}
        values = {record["n"]: record["v"] for record in records}
        same = head["bn"] == row["station"] and _iso(head["bt"] * 1000) == row["time"]
        made.append({**dict.fromkeys(BOUNDS), **row, **values, "same": same})
    return made


def _once(readings: Iterator[Reading]) -> Iterator[Reading]:
    seen: set[tuple[str, int]] = set()
    for reading in readings:
        if (reading.station, reading.time) not in seen:
            seen.add((reading.station, reading.time))
            yield reading


def _iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _possible(reading: Reading) -> dict[str, float | None]:
    values = {}
    for name, (low, high) in BOUNDS.items():
        value = reading.values[name]
        values[name] = value if value is not None and low <= value <= high else None
    return values


def _by_station(readings: list[Reading]) -> dict[str, list[_Point]]:
    found: dict[str, list[_Point]] = defaultdict(list)
    for reading in sorted(readings, key=lambda reading: reading.time):
        found[reading.station].append((reading.time, _possible(reading)))
    return found


def _etl(readings: list[Reading]) -> Iterator[Row]:
    with (_HERE / "stations.csv").open(encoding="utf-8", newline="") as lines:
        known = {row["station"]: row for row in csv.DictReader(lines)}
    for station, points in _by_station(readings).items():
        if station not in known:
            continue
        about = known[station]
        for time, values in _held(list(_even(points))):
            temperature = values["temperature"]
            yield {
                **values,
                "station": station,
                "time": _iso(time),
                "city": about["city"],
                "place": about["place"],
                "latitude": float(about["latitude"]),
                "longitude": float(about["longitude"]),
                "fahrenheit": None if temperature is None else temperature * 9 / 5 + 32,
                "same": True,
            }


def _even(points: list[_Point]) -> Iterator[_Point]:
    """The values at whole minutes, on lines between readings; an empty reading is none."""
    points = [point for point in points if any(value is not None for value in point[1].values())]
    for at, (time, values) in enumerate(points):
        if at and time - points[at - 1][0] <= _GAP:
            before, earlier = points[at - 1]
            for minute in range((before // _MINUTE + 1) * _MINUTE, time, _MINUTE):
                share = (minute - before) / (time - before)
                yield (
                    minute,
                    {name: _between(earlier[name], values[name], share) for name in BOUNDS},
                )
        if time % _MINUTE == 0:
            yield time, values


def _between(low: float | None, high: float | None, share: float) -> float | None:
    return None if low is None or high is None else low + (high - low) * share


def _held(points: list[_Point]) -> Iterator[_Point]:
    """Missing values replaced by the last, as long as that is not older than ten minutes."""
    last: dict[str, tuple[int, float]] = {}
    for time, values in points:
        whole = dict(values)
        for name, value in values.items():
            if value is not None:
                last[name] = time, value
            elif name in last and time - last[name][0] <= _GAP:
                whole[name] = last[name][1]
        yield time, whole


def _stats(readings: list[Reading]) -> Iterator[Row]:
    yield from _averages(readings)
    yield from _trends(readings)
    levels: dict[int, Counter[float]] = defaultdict(Counter)
    stations: dict[int, set[str]] = defaultdict(set)
    for reading in readings:
        hour = reading.time // (60 * _MINUTE)
        stations[hour].add(reading.station)
        dust = reading.values["dust"]
        if dust is not None and dust >= 0:
            levels[hour][dust // 100] += 1
    hour = 60 * _MINUTE
    for at, counts in levels.items():
        moment = sum(count * count for count in counts.values())
        yield _said("moment", None, at * hour, moment)
    for at, names in stations.items():
        yield _said("stations", None, at * hour, len(names))


def _said(what: str, station: str | None, at: int, value: float | None) -> Row:
    return {"what": what, "station": station, "at": _iso(at), "value": value}


def _averages(readings: list[Reading]) -> Iterator[Row]:
    for station, points in _by_station(readings).items():
        found = [
            (time, humidity)
            for time, values in points
            if (humidity := values["humidity"]) is not None
        ]
        for first in range(0, len(found), 10):
            ten = found[first : first + 10]
            mean = math.fsum(humidity for _, humidity in ten) / len(ten)
            yield _said("average", station, ten[0][0], mean)


def _trends(readings: list[Reading]) -> Iterator[Row]:
    for station, points in _by_station(readings).items():
        found = list(_smoothed(points))
        first = 0
        for at, (time, _) in enumerate(found):
            while found[first][0] <= time - _HALF_HOUR:
                first += 1
            slope = None
            if at > first:
                # from the first reading on: hours since 1970 would cost the last digits
                times = [then - found[first][0] for then, _ in found[first : at + 1]]
                hours = np.array(times) / (60 * _MINUTE)
                levels = np.array([level for _, level in found[first : at + 1]])
                hours -= hours.mean()
                slope = float((hours * (levels - levels.mean())).sum() / (hours * hours).sum())
            yield _said("trend", station, time, slope)


def _smoothed(points: list[_Point]) -> Iterator[tuple[int, float]]:
    """The temperatures after a Kalman filter."""
    level = spread = math.nan
    for time, values in points:
        value = values["temperature"]
        if value is None:
            continue
        if math.isnan(level):
            level, spread = value, 0.25
        else:
            spread += 0.01
            gain = spread / (spread + 0.25)
            level, spread = level + gain * (value - level), (1 - gain) * spread
        yield time, level


def _pred(readings: list[Reading]) -> Iterator[Row]:
    good = [reading for reading in readings if None not in _possible(reading).values()]
    windows: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for reading in good:
        windows[reading.station][reading.time // _GAP].append(_number(reading, "airquality"))
    for reading in good:
        humidity, dust = _number(reading, "humidity"), _number(reading, "dust")
        predicted = (
            24.5
            + 0.3 * _number(reading, "temperature")
            - 0.1 * humidity
            + 0.002 * _number(reading, "light")
            + 0.05 * dust
        )
        if dust < 300:
            label = "good" if humidity < 70 else "fair"
        else:
            label = "fair" if dust < 600 else "bad"
        error = None
        # a mean is as old as the end of its window, and forgotten after 20 minutes
        for back in (1, 2, 3):
            start = reading.time // _GAP - back
            found = windows[reading.station].get(start)
            if found is not None:
                if reading.time - (start + 1) * _GAP < 2 * _GAP:
                    mean = math.fsum(found) / len(found)
                    error = abs(predicted - mean) / mean
                break
        yield {
            "station": reading.station,
            "time": _iso(reading.time),
            "class": label,
            "predicted": predicted,
            "error": error,
        }


def _number(reading: Reading, name: str) -> float:
    value = reading.values[name]
    assert value is not None
    return value


_ANSWERS: Mapping[str, Callable[[list[Reading]], Iterator[Row]]] = {
    "etl": _etl,
    "stats": _stats,
    "pred": _pred,
}
