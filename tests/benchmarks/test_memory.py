"""Tiny versions of the cases in memory: every engine that needs no peer gives the right windows."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.answers import Work, compare, truth
from benchmarks.data import Data, make
from benchmarks.memory import Bench
from benchmarks.runs import OURS

TUMBLING = Work("tumbling", 10_000, 10_000)
HOPPING = Work("hopping", 60_000, 5_000)
SESSIONS = Work("session", 5_000, 5_000)


def readings(work: Work) -> Data:
    pauses = work.kind == "session"
    return make(3_000, 20, 50, jitter=work.delay, pauses=pauses)


def naive(data: Data, work: Work) -> dict[tuple[int, int], list[float]]:
    """Windows by the definition, one reading at a time."""
    found = defaultdict(list)
    rows = zip(data.device.tolist(), data.ts.tolist(), data.temperature.tolist(), strict=True)
    if work.kind == "session":
        last: dict[int, tuple[int, int]] = {}
        for device, ts, value in sorted(rows):
            start, before = last.get(device, (ts, ts))
            start = ts if ts - before >= work.size else start
            last[device] = (start, ts)
            found[device, start].append(value)
        return found
    for device, ts, value in rows:
        start = ts // work.every * work.every
        while start > ts - work.size:
            found[device, start].append(value)
            start -= work.every
    return found


@pytest.mark.parametrize("work", [TUMBLING, HOPPING, SESSIONS], ids=lambda work: work.kind)
def test_the_truth_is_true(work):
    data = readings(work)
    expected = naive(data, work)
    found = truth(data, work)
    assert len(found) == len(expected)
    for at, key in enumerate(zip(found.device.tolist(), found.start.tolist(), strict=True)):
        values = expected[key]
        assert found.n[at] == len(values)
        assert found.mean[at] == pytest.approx(sum(values) / len(values))
        assert (found.min[at], found.max[at]) == (min(values), max(values))
        spread = np.std(values, ddof=1) if len(values) > 1 else math.nan
        assert found.stddev[at] == pytest.approx(spread, nan_ok=True)


@pytest.mark.parametrize("work", [TUMBLING, HOPPING, SESSIONS], ids=lambda work: work.kind)
@pytest.mark.parametrize("engine", [OURS, "python"])
def test_an_engine_gives_every_window(tmp_path, engine, work):
    run = Bench(tmp_path, readings(work), work).run(engine)
    assert run.failed == ""
    assert run.figures["windows"] > 20
    assert run.figures["wrong"] == 0


def test_an_engine_that_fails_says_why(tmp_path):
    work = replace(TUMBLING, kind="unheard of")
    run = Bench(tmp_path, readings(TUMBLING), work).run(OURS)
    assert "unheard of" in run.failed


def test_what_is_missing_too_much_or_different_is_counted():
    right = truth(readings(TUMBLING), TUMBLING)
    whole = len(right)
    parts = {name: getattr(right, name)[:-1] for name in right.__slots__}
    assert compare(right, right) == 0
    assert compare(right, replace(right, **parts)) == 1
    assert compare(replace(right, **parts), right) == 1
    assert compare(right, replace(right, mean=right.mean + 0.01)) == whole
    assert compare(right, replace(right, start=right.start + 1)) == 2 * whole
    twice = {name: np.concatenate([getattr(right, name)] * 2) for name in right.__slots__}
    assert compare(right, replace(right, **twice)) == whole
