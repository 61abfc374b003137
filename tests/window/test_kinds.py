"""The other kinds of window, and what leaves early or empty, against the plain references."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import typing
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import edgestream.window
from edgestream.aggregate.pool import Pool
from edgestream.batch import Batch, Dictionary, to_python
from edgestream.operators import window_kinds
from edgestream.operators.window import Window
from edgestream.window.calendar import Unit
from edgestream.window.kind import Kind
from tests.window import test_properties
from tests.window.reference import SECOND, Result, aggregates, scale
from tests.window.reference_kinds import (
    BetweenReference,
    CountReference,
    EarlySessions,
    GlobalReference,
    GridReference,
    RecountReference,
    SlidingReference,
    calendar,
    even,
)
from tests.window.test_properties import AGGREGATES, CLOSE, nanos, restarted, steps, to_batch

S = SECOND
HOUR = 3600 * S
SPRING = 1_774_747_800 * S
"""2026-03-29 01:30 UTC: at 01:00 the clocks of Madrid went from 02:00 to 03:00."""


def opens(row: Any) -> bool:
    return row.values["s"] == "on"


def closes(row: Any) -> bool:
    return row.values["s"] == "off"


def positive(row: Any) -> bool:
    return row.values["x"] is not None and row.values["x"] > 0


ON, OFF = "s == 'on'", "s == 'off'"
KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    "sliding": ({"sliding": "10s"}, lambda: SlidingReference(10 * S)),
    "sliding far": ({"sliding": "1h"}, lambda: SlidingReference(HOUR)),
    "sliding near": ({"sliding": "1s"}, lambda: SlidingReference(S)),
    "count": ({"count": 3}, lambda: CountReference(3)),
    "count one": ({"count": 1}, lambda: CountReference(1)),
    "count or time": ({"count": 3, "max": "5s"}, lambda: CountReference(3, 5 * S)),
    "count early": ({"count": 4, "emit_every": "4s"}, lambda: CountReference(4, 0, 4 * S)),
    "count or time early": (
        {"count": 4, "max": "9s", "emit_every": "4s"},
        lambda: CountReference(4, 9 * S, 4 * S),
    ),
    "recount": ({"count": 4, "every": 2}, lambda: RecountReference(4, 2, 2)),
    "recount each": ({"count": 3, "every": 1}, lambda: RecountReference(3, 1, 1)),
    "recount uneven": ({"count": 5, "every": 3}, lambda: RecountReference(5, 3, 1)),
    "recount whole": ({"count": 3, "every": 3}, lambda: RecountReference(3, 3, 3)),
    "between": ({"opens": ON, "closes": OFF}, lambda: BetweenReference(opens, closes)),
    "between, at once": (
        {"opens": ON, "closes": "x > 0"},
        lambda: BetweenReference(opens, positive),
    ),
    "from": ({"opens": ON}, lambda: BetweenReference(opens, None)),
    "until": ({"closes": OFF}, lambda: BetweenReference(None, closes)),
    "between, bounded": (
        {"opens": ON, "closes": OFF, "max": "7s"},
        lambda: BetweenReference(opens, closes, 7 * S),
    ),
    "from, bounded": ({"opens": ON, "max": "7s"}, lambda: BetweenReference(opens, None, 7 * S)),
    "until, bounded": ({"closes": OFF, "max": "7s"}, lambda: BetweenReference(None, closes, 7 * S)),
    "between, early": (
        {"opens": ON, "closes": OFF, "emit_every": "3s"},
        lambda: BetweenReference(opens, closes, 0, 3 * S),
    ),
    "until, bounded, early": (
        {"closes": OFF, "max": "7s", "emit_every": "3s"},
        lambda: BetweenReference(None, closes, 7 * S, 3 * S),
    ),
    "session early": (
        {"session": "5s", "emit_every": "3s"},
        lambda: EarlySessions(5 * S, 3 * S),
    ),
    "global": ({"global_": True, "emit_every": "10s"}, lambda: GlobalReference(10 * S)),
    "tumbling early": (
        {"tumbling": "10s", "emit_every": "3s"},
        lambda: GridReference(even(10 * S, 10 * S), 0, 3 * S),
    ),
    "tumbling early, late": (
        {"tumbling": "10s", "emit_every": "5s", "late": "7s"},
        lambda: GridReference(even(10 * S, 10 * S), 7 * S, 5 * S),
    ),
    "hopping early": (
        {"hopping": "10s", "every": "4s", "emit_every": "3s"},
        lambda: GridReference(even(10 * S, 4 * S), 0, 3 * S),
    ),
    "hopping of many panes, early": (
        {"hopping": "20s", "every": "1s", "emit_every": "3s", "late": "6s"},
        lambda: GridReference(even(20 * S, 1 * S), 6 * S, 3 * S),
    ),
    "tumbling empty": (
        {"tumbling": "10s", "emit_empty": True, "forget": "40s"},
        lambda: GridReference(even(10 * S, 10 * S), forget=40 * S),
    ),
    "tumbling empty, late": (
        {"tumbling": "5s", "emit_empty": True, "forget": "10s", "late": "8s"},
        lambda: GridReference(even(5 * S, 5 * S), 8 * S, forget=10 * S),
    ),
    "hopping empty": (
        {"hopping": "10s", "every": "4s", "emit_empty": True, "forget": "20s"},
        lambda: GridReference(even(10 * S, 4 * S), forget=20 * S),
    ),
    "hopping of many panes, empty": (
        {"hopping": "18s", "every": "1s", "emit_empty": True, "forget": "20s"},
        lambda: GridReference(even(18 * S, 1 * S), forget=20 * S),
    ),
    "tumbling empty, early": (
        {"tumbling": "10s", "emit_empty": True, "forget": "20s", "emit_every": "4s"},
        lambda: GridReference(even(10 * S, 10 * S), 0, 4 * S, 20 * S),
    ),
    "calendar early": (
        {"calendar": "hour", "zone": "Europe/Madrid", "emit_every": "4s"},
        lambda: GridReference(calendar("hour", "Europe/Madrid"), 0, 4 * S),
    ),
    "calendar empty": (
        {"calendar": "hour", "zone": "Europe/Madrid", "emit_empty": True, "forget": "3h"},
        lambda: GridReference(calendar("hour", "Europe/Madrid"), forget=3 * HOUR, apart=HOUR),
    ),
    "minute of a calendar": (
        {"calendar": "hour", "zone": "Europe/Madrid", "late": "1h"},
        lambda: GridReference(calendar("hour", "Europe/Madrid"), HOUR),
    ),
}


def run(config: dict[str, Any], reference: Any, given_steps: list[Any], shift: int = 0) -> None:
    operator, steady = Window(**config), Window(**config)
    dictionary = Dictionary()
    for step in [*given_steps, 2**63 - 1]:
        if step == "restart":
            operator = restarted(operator, config)
        elif isinstance(step, int):
            moment = step if step == 2**63 - 1 else step + shift
            out, plain = operator.advance(moment), steady.advance(moment)
            assert repr([_exact(b) for _, b in out]) == repr([_exact(b) for _, b in plain])
            compare(out, reference.advance(moment))
        else:
            batch = to_batch(step, dictionary)
            batch = Batch(batch.columns, batch.times + shift)
            rows = [type(row)(row.time + shift, row.key, row.values) for row in step]
            late = [at for at, row in enumerate(rows) if not reference.process(row)]
            got = [row for port, b in operator.process(batch) for row in b.rows() if port == "late"]
            steady.process(batch)
            assert got == batch.take(np.array(late, np.intp)).rows()
    assert operator.advance(2**63 - 1) == ()


def compare(out: Any, expected: list[Result]) -> None:
    """Rows by key and window, those of one window in the order in which they left."""
    got: dict[Any, list[dict[str, Any]]] = {}
    for port, batch in out:
        assert port == ""
        starts = [nanos(moment) for moment in batch["window_start"]]
        ends = [nanos(moment) for moment in batch["window_end"]]
        assert starts == sorted(starts)
        columns = {name: to_python(batch[name]) for name in AGGREGATES}
        for at, window in enumerate(zip(starts, ends, batch["key"].to_list(), strict=True)):
            values = {name: columns[name][at] for name in AGGREGATES}
            got.setdefault(window, []).append(values)
    wanted: dict[Any, list[Any]] = {}
    for result in expected:
        wanted.setdefault((result.start, result.end, result.key), []).append(result.rows)
    assert got.keys() == wanted.keys()
    for window, rows in wanted.items():
        assert len(got[window]) == len(rows), window
        for mine, of in zip(got[window], rows, strict=True):
            same(mine, of)


def same(mine: dict[str, Any], rows: list[Any]) -> None:
    error = 1e-9 * scale(rows)
    for name, value in aggregates(rows).items():
        if name in CLOSE and value is not None and math.isfinite(value):
            if name == "stddev":
                assert mine[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
            else:
                assert mine[name] == pytest.approx(value, abs=error), name
        else:
            assert mine[name] == value, (name, mine[name], value)


def _exact(batch: Batch) -> Any:
    return [(name, to_python(column)) for name, column in batch.columns.items()]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_steps=steps)
def test_any_stream_gives_what_the_reference_gives(kind, given_steps):
    fields, make = KINDS[kind]
    run({**fields, "by": ["key"], "aggregate": AGGREGATES}, make(), given_steps)


ALL = [fields for fields, _ in (*test_properties.KINDS.values(), *KINDS.values())]
CUT = {"session": "5s", "max": "12s"}
"""Held to a reference in `test_properties`, as are all of its own with ``late``."""


def test_every_kind_has_a_reference():
    assert {name.rstrip("_") for fields in ALL for name in fields} >= set(window_kinds.KINDS)


def test_every_setting_of_a_kind_has_a_reference():
    late = [{**fields, "late": "7s"} for fields, _ in test_properties.KINDS.values()]
    tested = [{name.rstrip("_") for name in fields} for fields in (*ALL, *late, CUT)]
    for name, owners in window_kinds.SETTINGS.items():
        for kind in owners:
            assert any({name, kind} <= fields for fields in tested), f"{name} with {kind}"


def test_every_class_of_windows_is_held_to_a_reference():
    for module in pkgutil.iter_modules(edgestream.window.__path__, "edgestream.window."):
        importlib.import_module(module.name)
    pool = Pool({})
    classes = {
        type(window_kinds.maker(Window(**fields, aggregate={"n": "count()"}), by_key)(pool))
        for fields in ALL
        for by_key in (False, True)
    }
    assert classes == {one for one in _below(Kind) if not inspect.isabstract(one)}


def _below(one: type) -> set[type]:
    return set(one.__subclasses__()).union(*map(_below, one.__subclasses__()))


@pytest.mark.parametrize("unit", typing.get_args(Unit))
@pytest.mark.parametrize("late", [0, 7200])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_steps=steps)
def test_calendars_across_a_change_of_the_clocks(unit, late, given_steps):
    spread = [
        [type(r)(r.time * 1200, r.key, r.values) if abs(r.time) < HOUR else r for r in step]
        if isinstance(step, list)
        else step * 1200
        if isinstance(step, int)
        else step
        for step in given_steps
    ]
    zone = "Europe/Madrid"
    config = {"calendar": unit, "zone": zone, "late": f"{late}s", "by": ["key"]}
    reference = GridReference(calendar(unit, zone), late * S)
    run({**config, "aggregate": AGGREGATES}, reference, spread, SPRING)
