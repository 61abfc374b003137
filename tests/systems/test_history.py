"""History that is read at once gives the rows that it gave when it was live.

Rows come in any order within the delay, one device has a clock that is an hour ahead, and the live
worker is restarted; what is read a day later, in blocks of any size, must come out alike.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from edgestream.read import read_text
from edgestream.scenario import Row, Scenario
from edgestream.testing.scenarios.play import play

START = 1_767_225_600
STEPS = {
    "tumbling": "[{window: {tumbling: 7s, by: d, aggregate: {n: count(), i: integral(v)}}}]",
    "hopping": "[{window: {hopping: 12s, every: 5s, by: d, aggregate: {m: mean(v), s: slope(v)}}}]",
    "session": "[{window: {session: 4s, max: 15s, by: d, aggregate: {n: count(), l: last(v)}}}]",
    "count": "[{window: {count: 4, every: 3, by: d, aggregate: {n: count(), r: rate(v)}}}]",
    "silent": "[{window: {tumbling: 3s, by: d, emit_empty: true, forget: 12s, "
    "aggregate: {m: mean(v)}}}, {fill: {columns: m, by: d, how: linear, max_age: 9s}}, "
    "{window: {tumbling: 9s, aggregate: {n: count(), m: max(m)}}}]",
    "sorted": "[sort: 2s, {lag: {column: v, by: d}}, "
    "{window: {tumbling: 5s, aggregate: {n: count(previous)}}}]",
    "absent": "[{absent: {for: 9s, by: d}}]",
}


def pipeline(steps: str, by: str) -> str:
    time = f"{{field: ts, delay: 5s, idle: 1h, max_future: 5m, received: at{by}}}"
    return (
        f"name: x\nsource: {{mqtt: {{url: 'mqtt://localhost:1883', topics: [t]}}, time: {time}}}\n"
        f"steps: {steps}\nsink: stdout\n"
    )


def rows(chance: random.Random) -> list[dict[str, Any]]:
    """Rows in the order in which they came, `at` seconds after the start."""
    found = []
    for _ in range(50):
        second, device = chance.randint(0, 900) / 10, chance.choice(["a", "b", "ahead"])
        value = chance.choice([None, round(chance.uniform(-3, 3), 2)])
        at = round(second + chance.uniform(0, 4.8), 3)
        ahead = 3600 if device == "ahead" else 0
        found.append({"d": device, "v": value, "ts": START + second + ahead, "at": START + at})
    return sorted(found, key=lambda row: row["at"])


def left(text: str, given: Sequence[dict[str, Any]], **more: Any) -> list[Row]:
    test = Scenario.from_config({"name": "t", "given": list(given), "end": True, **more})
    return sorted(play(read_text(text.encode(), "x.yaml"), test).rows["sink"], key=named)


def named(row: Row) -> str:
    return repr([(n, v) for n, v in sorted(row.items()) if not isinstance(v, float)])


def alike(one: Row, other: Row) -> bool:
    return one.keys() == other.keys() and all(
        math.isclose(value, other[name], rel_tol=1e-9, abs_tol=1e-9)
        if isinstance(value, float) and isinstance(other[name], float)
        else value == other[name]
        for name, value in one.items()
    )


@pytest.mark.parametrize("by", ["", ", by: d"], ids=["one watermark", "by device"])
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("seed", range(2))
def test_history_read_at_once_gives_the_rows_it_gave_live(name: str, seed: int, by: str) -> None:
    given, text = rows(random.Random(seed)), pipeline(STEPS[name], by)
    live = [{"at": f"{(row['at'] - START) * 1000:.0f}ms", "payloads": [row]} for row in given]
    then = left(text, live, restart_at=["20s", "50s"])
    for block in (1, 7, 50):
        cut = [given[begin : begin + block] for begin in range(0, 50, block)]
        now = left(text, [{"at": "1d", "payloads": rows} for rows in cut])
        assert len(then) == len(now) > 0
        assert all(map(alike, then, now))
