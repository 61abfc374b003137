"""Every kind of window against the plain reference: any batches, any order, restarts anywhere."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgestream.batch import Batch, Dictionary, Strings, to_python
from edgestream.operators.window import Window
from edgestream.packing import decode_state, encode_state
from edgestream.window import running
from tests.window.reference import (
    ALIGNED,
    SECOND,
    Result,
    Row,
    SessionReference,
    aggregates,
    hopping,
    scale,
)

AGGREGATES = {
    "n": "count()",
    "n_x": "count(x)",
    "sum": "sum(x)",
    "mean": "mean(x)",
    "min": "min(x)",
    "max": "max(x)",
    "stddev": "stddev(x)",
    "first": "first(x)",
    "last": "last(x)",
    "first_s": "first(s)",
    "last_s": "last(s)",
}
CLOSE = {"sum", "mean", "stddev"}
YEAR = 365 * 86_400

KINDS: dict[str, tuple[dict[str, str], Any]] = {
    **ALIGNED,
    "many panes, uneven": hopping(17, 3),
    "session": ({"session": "5s"}, lambda late: SessionReference(5 * SECOND, 0, late)),
}

seconds = st.integers(-30, 60)
times = st.one_of(seconds, seconds, seconds, seconds.map(lambda s: s + YEAR)).map(
    lambda s: s * SECOND
)
numbers = st.one_of(
    st.none(),
    st.integers(-5, 5).map(float),
    st.floats(-1e3, 1e3).map(lambda x: 1e9 + x),
    st.floats(-1e12, 1e12),
    st.sampled_from([math.inf, -math.inf]),
)
texts = st.sampled_from([None, "on", "off", ""])
rows = st.builds(
    lambda time, key, x, s: Row(time, key, {"x": x, "s": s}),
    times,
    st.sampled_from(["a", "b", None]),
    numbers,
    texts,
)
batches = st.lists(rows, max_size=12)
steps = st.lists(
    st.one_of(
        batches,
        batches,
        st.integers(-30, 70).map(lambda s: s * SECOND),
        st.just("restart"),
    ),
    max_size=14,
)


def to_batch(given_rows: list[Row], dictionary: Dictionary) -> Batch:
    return Batch(
        {
            "key": Strings(dictionary.encode([row.key for row in given_rows]), dictionary),
            "x": np.array(
                [math.nan if r.values["x"] is None else r.values["x"] for r in given_rows]
            ),
            "s": Strings.of([row.values["s"] for row in given_rows]),
        },
        np.array([row.time for row in given_rows], np.int64),
    )


def nanos(moment: Any) -> int:
    return int(moment.astype("datetime64[us]").astype(np.int64)) * 1000


def emitted(batch: Batch, since: int = -(2**63)) -> dict[tuple[int, int, Any], dict[str, Any]]:
    keys = batch["key"].to_list()
    starts = [nanos(moment) for moment in batch["window_start"]]
    ends = [nanos(moment) for moment in batch["window_end"]]
    assert batch.keys == ("key", "window_start")
    assert batch.times.tolist() == [max(end - 1, since) for end in ends]
    assert starts == sorted(starts)
    columns = {name: to_python(batch[name]) for name in AGGREGATES}
    found = {}
    for at, window in enumerate(zip(starts, ends, keys, strict=True)):
        assert window not in found, "a window left twice at once"
        found[window] = {name: columns[name][at] for name in AGGREGATES}
    return found


def check(got: dict[Any, dict[str, Any]], expected: list[Result]) -> None:
    assert set(got) == {(result.start, result.end, result.key) for result in expected}
    for result in expected:
        mine = got[result.start, result.end, result.key]
        wanted = aggregates(result.rows)
        error = 1e-9 * scale(result.rows)
        for name, value in wanted.items():
            if name in CLOSE and value is not None and math.isfinite(value):
                if name == "stddev":
                    # Distances between values of 1e12 have 1e-4 between them: exact until then.
                    assert mine[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
                else:
                    assert mine[name] == pytest.approx(value, abs=error), name
            else:
                assert mine[name] == value, (name, mine[name], value)


def restarted(operator: Window, config: dict[str, Any]) -> Window:
    saved = operator.snapshot()
    json.dumps(saved.meta)
    stored = encode_state(saved)
    fresh = Window(**config)
    fresh.restore(decode_state(stored))
    return fresh


def run(config: dict[str, Any], reference: Any, given_steps: list[Any]) -> None:
    mark = -(2**63)
    operator, steady = Window(**config), Window(**config)
    dictionary = Dictionary()
    for step in given_steps:
        if step == "restart":
            operator = restarted(operator, config)
        elif isinstance(step, int):
            mark = max(mark, step)
            out, plain = operator.advance(step), steady.advance(step)
            check(_all(out), reference.advance(step))
            assert repr([_exact(b) for _, b in out]) == repr([_exact(b) for _, b in plain])
        else:
            batch = to_batch(step, dictionary)
            late = [row for row in step if not reference.process(row)]
            got = [row for port, b in operator.process(batch) for row in b.rows() if port == "late"]
            steady.process(batch)
            assert got == to_batch(late, dictionary).rows()
    out = operator.advance(2**63 - 1)
    # What was corrected late is not late for the next step: its rows take the time that it is.
    ordered = "max" in config
    check(_all(out, mark if ordered else -(2**63)), reference.advance(2**63 - 1))
    assert operator.advance(2**63 - 1) == ()


def _all(outputs: Any, since: int = -(2**63)) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for port, batch in outputs:
        assert port == ""
        more = emitted(batch, since)
        assert not found.keys() & more.keys()
        found |= more
    return found


def _exact(batch: Batch) -> Any:
    return [(name, to_python(column)) for name, column in batch.columns.items()]


@pytest.fixture(params=[1, 4096], ids=["placed at once", "placed together"])
def together(request, monkeypatch):
    """How many rows are taken together: whatever comes may find rows placed or waiting."""
    monkeypatch.setattr(running, "_ENOUGH", request.param)


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late", [0, 7, 1000])
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_steps=steps)
def test_any_stream_gives_what_the_reference_gives(kind, late, given_steps):
    fields, make = KINDS[kind]
    config = {**fields, "by": ["key"], "aggregate": AGGREGATES, "late": f"{late}s"}
    run(config, make(late * SECOND), given_steps)


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("late", [0, 7])
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_steps=steps)
def test_sessions_are_cut_the_same_way_in_any_order(late, given_steps):
    config = {
        "session": "5s",
        "max": "12s",
        "by": ["key"],
        "aggregate": AGGREGATES,
        "late": f"{late}s",
    }
    run(config, SessionReference(5 * SECOND, 12 * SECOND, late * SECOND), given_steps)


near = st.builds(
    lambda second, key: Row(second * SECOND, key, {"x": 1.0, "s": None}),
    st.integers(0, 40),
    st.sampled_from(["a", "b"]),
)


@pytest.mark.parametrize("late", [0, 7, 100])
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    given_steps=st.lists(
        st.one_of(st.lists(near, min_size=1, max_size=8), st.integers(0, 45).map(SECOND.__mul__)),
        max_size=25,
    )
)
def test_late_rows_of_bounded_sessions_are_taken_one_by_one(late, given_steps):
    """Many of one key, within reach of several sessions, and at the start of one."""
    config = {"session": "5s", "max": "12s", "by": ["key"], "aggregate": AGGREGATES}
    reference = SessionReference(5 * SECOND, 12 * SECOND, late * SECOND)
    run({**config, "late": f"{late}s"}, reference, given_steps)


@pytest.mark.parametrize("apart", [True, False])
def test_a_late_row_at_the_start_of_a_session_belongs_to_it(apart):
    """[0 to 1] and [5 to 12] would be as long as 12 s together; a row at 5 could go into both."""
    window = Window(session="5s", max="12s", late="1h", by="key", aggregate={"n": "count()"})
    reference = SessionReference(5 * SECOND, 12 * SECOND, 3600 * SECOND)
    seconds = [0, 5, 8, 12, 1, 5]
    rows = [Row(second * SECOND, "a", {"x": None, "s": None}) for second in seconds]
    window.advance(13 * SECOND), reference.advance(13 * SECOND)
    for part in [[row] for row in rows] if apart else [rows]:
        window.process(to_batch(part, Dictionary()))
        for row in part:
            reference.process(row)
    found = [row["n"] for _, batch in window.advance(2**62) for row in batch.rows()]
    assert found == [len(result.rows) for result in reference.advance(2**62)] == [2, 4]
