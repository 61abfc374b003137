"""Every aggregate in every kind of window against the plain reference.

Any batches, any order, restarts anywhere. Those that follow rows in the order of time are given
rows in any order within the delay: none is behind the watermark.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgestream.aggregate import Aggregate
from edgestream.aggregate.functions import FUNCTIONS
from edgestream.batch import Batch, Dictionary, Strings, to_python
from edgestream.operators import window_kinds
from edgestream.operators.window import Window
from edgestream.packing import decode_state, encode_state
from tests.aggregate import reference as ref
from tests.window.reference import ALIGNED, SECOND, Result, Row, SessionReference
from tests.window.reference_kinds import (
    BetweenReference,
    CountReference,
    GlobalReference,
    GridReference,
    RecountReference,
    SlidingReference,
    calendar,
    even,
)

HOUR = 3600 * SECOND
SHARED = ["count", "sum", "mean", "min", "max", "stddev", "first", "last"]
"""Those that tests/window/test_properties.py holds to its own reference."""


def column(rows: Sequence[Row], name: str) -> list[Any]:
    return [value for _, value in ref.values(rows, name)]


Case = tuple[str, Callable[[Sequence[Row]], Any], str]
FREE: list[Case] = [
    ("count_if(x > 0)", lambda rows: sum((r.values["x"] or 0) > 0 for r in rows), "same"),
    ("any(x > 0)", lambda rows: _truth(any, rows), "same"),
    ("all(x > 0)", lambda rows: _truth(all, rows), "same"),
    ("count_distinct(s)", lambda rows: len(set(column(rows, "s"))), "distinct"),
    ("count_distinct(x)", lambda rows: len(set(column(rows, "x"))), "distinct"),
    ("variance(x)", ref.of("variance"), "square"),
    ("rms(x)", ref.of("rms"), "close"),
    ("median(x)", lambda rows: ref.quantile(column(rows, "x"), 0.5), "close"),
    ("quantile(x, 0.3)", lambda rows: ref.quantile(column(rows, "x"), 0.3), "close"),
    ("quantile(x, 0)", lambda rows: ref.quantile(column(rows, "x"), 0), "close"),
    ("p50(x)", lambda rows: ref.quantile(column(rows, "x"), 0.5), "close"),
    ("p90(x)", lambda rows: ref.quantile(column(rows, "x"), 0.9), "close"),
    ("p95(x)", lambda rows: ref.quantile(column(rows, "x"), 0.95), "close"),
    ("p99(x)", lambda rows: ref.quantile(column(rows, "x"), 0.99), "close"),
    ("histogram(x, -5, 5, 4)", lambda rows: ref.histogram(column(rows, "x"), -5, 5, 4), "same"),
    ("mode(k)", lambda rows: (ref.ranking(column(rows, "k")) or [(None, 0)])[0][0], "same"),
    ("mode(s)", lambda rows: (ref.ranking(column(rows, "s")) or [(None, 0)])[0][0], "same"),
    ("top_k(k, 3)", lambda rows: ref.top_k(column(rows, "k"), 3), "same"),
    ("top_k(s, 2)", lambda rows: ref.top_k(column(rows, "s"), 2), "same"),
    ("argmin(s, x)", lambda rows: ref.chosen(rows, "s", "x", 1), "same"),
    ("argmax(x, k)", lambda rows: ref.chosen(rows, "x", "k", -1), "same"),
    ("delta(x)", lambda rows: _delta(column(rows, "x")), "close"),
    ("ewma(x, 3s)", lambda rows: ref.ewma(ref.values(rows, "x"), 3 * SECOND), "close"),
    ("slope(x)", ref.over_time("slope"), "close"),
    ("intercept(x)", ref.over_time("intercept"), "close"),
    (
        "correlation(x, k)",
        lambda rows: ref.correlation([(x, k) for _, x, k in ref.values(rows, "x", "k")]),
        "close",
    ),
]
ORDERED: list[Case] = [
    ("rate(x)", ref.over_time("rate"), "close"),
    ("integral(x)", ref.over_time("integral"), "close"),
    ("time_weighted_mean(x)", ref.over_time("time_weighted_mean"), "close"),
    ("zero_crossings(x)", ref.over_time("zero_crossings"), "same"),
    ("collect(x, 3)", lambda rows: ref.collect(column(rows, "x"), 3), "same"),
    ("collect(s, 5)", lambda rows: ref.collect(column(rows, "s"), 5), "same"),
    ("fft_peak(x, 8)", lambda rows: ref.spectrum(ref.values(rows, "x")[:8]), "peak"),
    ("fft_amplitude(x, 8)", lambda rows: ref.spectrum(ref.values(rows, "x")[:8]), "height"),
]


def _truth(of: Callable[[Iterable[bool]], bool], rows: list[Row]) -> bool | None:
    """Of a window without rows nothing is known."""
    return of((row.values["x"] or 0) > 0 for row in rows) if rows else None


def _delta(xs: list[float]) -> float | None:
    if not xs or math.isnan(xs[-1] - xs[0]):
        return None
    return xs[-1] - xs[0]


seconds = st.integers(-30, 60)
times = st.one_of(seconds, seconds, seconds, seconds.map(lambda s: s + 31_536_000)).map(
    lambda s: s * SECOND
)
numbers = st.one_of(
    st.none(),
    st.integers(-5, 5).map(float),
    st.floats(-1e3, 1e3).map(lambda x: round(1e9 + x, 3)),
    st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
)
odd_numbers = st.one_of(numbers, st.sampled_from([math.inf, -math.inf]))
rows = st.builds(
    lambda time, key, x, k, s: Row(time, key, {"x": x, "k": k, "s": s}),
    times,
    st.sampled_from(["a", "b", None]),
    odd_numbers,
    st.sampled_from([None, -1.0, 0.0, 2.5, 7.0]),
    st.sampled_from([None, "on", "off", ""]),
)
tame = st.builds(
    lambda time, x, k, s: Row(time, "a", {"x": x, "k": k, "s": s}),
    seconds.map(lambda s: s * SECOND),
    numbers,
    st.sampled_from([None, -1.0, 0.0, 2.5, 7.0]),
    st.sampled_from([None, "on", "off", ""]),
)
steps = st.lists(
    st.one_of(
        st.lists(rows, max_size=8),
        st.lists(tame, max_size=8),
        st.integers(-30, 70).map(lambda s: s * SECOND),
        st.just("restart"),
    ),
    max_size=14,
)
KINDS: dict[str, tuple[dict[str, str], Callable[[int], Any]]] = {
    **ALIGNED,
    "session": ({"session": "5s"}, lambda late: SessionReference(5 * SECOND, 0, late)),
    "calendar": (
        {"calendar": "hour", "zone": "Europe/Madrid"},
        lambda late: GridReference(calendar("hour", "Europe/Madrid"), late),
    ),
    "calendar, empty": (
        {"calendar": "hour", "zone": "Europe/Madrid", "emit_empty": True, "forget": "1h"},
        lambda late: GridReference(
            calendar("hour", "Europe/Madrid"), late, forget=HOUR, apart=HOUR
        ),
    ),
    "empty": (
        {"tumbling": "10s", "emit_empty": True, "forget": "40s"},
        lambda late: GridReference(even(10 * SECOND, 10 * SECOND), late, forget=40 * SECOND),
    ),
    "hopping, empty": (
        {"hopping": "10s", "every": "4s", "emit_empty": True, "forget": "20s"},
        lambda late: GridReference(even(10 * SECOND, 4 * SECOND), late, forget=20 * SECOND),
    ),
    "cut": (
        {"session": "5s", "max": "12s"},
        lambda late: SessionReference(5 * SECOND, 12 * SECOND, late),
    ),
}
IN_TIME: dict[str, tuple[dict[str, Any], Callable[[], Any]]] = {
    "sliding": ({"sliding": "10s"}, lambda: SlidingReference(10 * SECOND)),
    "count": ({"count": 5}, lambda: CountReference(5)),
    "recount": ({"count": 6, "every": 4}, lambda: RecountReference(6, 4, 2)),
    "between": (
        {"opens": "s == 'on'", "closes": "s == 'off'"},
        lambda: BetweenReference(
            lambda row: row.values["s"] == "on", lambda row: row.values["s"] == "off"
        ),
    ),
    "global": ({"global_": True, "emit_every": "10s"}, lambda: GlobalReference(10 * SECOND)),
    "early": (
        {"hopping": "10s", "every": "4s", "emit_every": "3s"},
        lambda: GridReference(even(10 * SECOND, 4 * SECOND), 0, 3 * SECOND),
    ),
}
"""Kinds that take rows in the order of time whatever the aggregates."""


def to_batch(given_rows: Sequence[Row], dictionary: Dictionary) -> Batch:
    def floats(name: str) -> np.ndarray:
        return np.array([math.nan if (v := r.values[name]) is None else v for r in given_rows])

    return Batch(
        {
            "key": Strings(dictionary.encode([row.key for row in given_rows]), dictionary),
            "x": floats("x"),
            "k": floats("k"),
            "s": Strings.of([row.values["s"] for row in given_rows]),
        },
        np.array([row.time for row in given_rows], np.int64),
    )


Window_ = tuple[int, int, Any]
"""Start, end and key."""


def emitted(outputs: Any, names: Sequence[str]) -> dict[Window_, list[list[Any]]]:
    """The results of each window, in the order in which it left."""
    found: dict[Window_, list[list[Any]]] = {}
    for _, batch in outputs:
        starts, ends = (
            (batch[name].astype(np.int64) * 1000).tolist()
            for name in ("window_start", "window_end")
        )
        columns = [to_python(batch[name]) for name in names]
        for at, window in enumerate(zip(starts, ends, batch["key"].to_list(), strict=True)):
            found.setdefault(window, []).append([column[at] for column in columns])
    return found


def check(got: dict[Any, Any], expected: Sequence[Result], cases: Sequence[Case]) -> None:
    wanted: dict[Window_, list[Result]] = {}
    for result in expected:
        wanted.setdefault((result.start, result.end, result.key), []).append(result)
    assert {w: len(left) for w, left in got.items()} == {w: len(r) for w, r in wanted.items()}
    for window, results in wanted.items():
        for values, result in zip(got[window], results, strict=True):
            scale = max([1.0, *(abs(x) for x in column(result.rows, "x") if math.isfinite(x))])
            for mine, (text, of, how) in zip(values, cases, strict=True):
                compare(mine, of(result.rows), how, scale, text)


def compare(mine: Any, wanted: Any, how: str, scale: float, text: str) -> None:
    if wanted is None or how == "same":
        assert mine == wanted, (text, mine, wanted)
    elif how == "close":
        assert mine == pytest.approx(wanted, rel=1e-9, abs=1e-11 * scale), text
    elif how == "square":
        assert mine == pytest.approx(wanted, rel=1e-9, abs=1e-14 * scale**2), text
    elif how == "distinct":
        assert abs(mine - wanted) <= 1 + 0.1 * wanted, text
    else:
        frequencies, heights = wanted
        close = {"abs": 1e-11 * scale, "rel": 1e-9}
        if how == "height":
            assert mine == pytest.approx(max(heights), **close), text
        elif mine is not None:
            at = min(range(len(heights)), key=lambda k: abs(frequencies[k] - mine))
            assert mine == pytest.approx(frequencies[at]), text
            assert heights[at] == pytest.approx(max(heights), **close), text
        else:
            assert max(heights) <= 1e-11 * scale


def run(config: Any, reference: Any, steps: Sequence[Any], cases: Sequence[Case]) -> None:
    names = [f"c{at}" for at in range(len(cases))]
    texts = [text for text, _, _ in cases]
    config = {**config, "by": ["key"], "aggregate": dict(zip(names, texts, strict=True))}
    operator, steady = Window(**config), Window(**config)
    dictionary = Dictionary()
    for step in [*steps, 2**63 - 1]:
        if step == "restart":
            saved = operator.snapshot()
            json.dumps(saved.meta)
            operator = Window(**config)
            operator.restore(decode_state(encode_state(saved)))
        elif isinstance(step, int):
            out, plain = operator.advance(step), steady.advance(step)
            check(emitted(out, names), reference.advance(step), cases)
            if "session" not in config:
                assert repr([b.rows() for _, b in out]) == repr([b.rows() for _, b in plain])
        else:
            for row in step:
                reference.process(row)
            operator.process(to_batch(step, dictionary))
            steady.process(to_batch(step, dictionary))


def in_time(steps: Sequence[Any]) -> list[Any]:
    """Without the rows that are behind the watermark."""
    watermark, kept = -(2**63), []
    for step in steps:
        if isinstance(step, int):
            watermark = max(watermark, step)
        kept.append([r for r in step if r.time >= watermark] if isinstance(step, list) else step)
    return kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late", [0, 7])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps)
def test_any_stream_gives_what_the_reference_gives(kind, late, steps):
    fields, make = KINDS[kind]
    run({**fields, "late": f"{late}s"}, make(late * SECOND), steps, FREE)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps)
def test_rows_in_any_order_within_the_delay_are_followed_in_time(kind, steps):
    fields, make = KINDS[kind]
    run(fields, make(0), in_time(steps), [*ORDERED, *FREE[:3]])


@pytest.mark.parametrize("kind", IN_TIME)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps)
def test_kinds_that_take_rows_in_time_give_what_the_reference_gives(kind, steps):
    fields, make = IN_TIME[kind]
    run(fields, make(), in_time(steps), [*FREE, *ORDERED])


def test_every_aggregate_has_a_reference():
    tested = {Aggregate.from_config(text).name for text, _, _ in (*FREE, *ORDERED)}
    assert tested | set(SHARED) == set(FUNCTIONS)


def test_every_kind_of_window_has_all_aggregates():
    tested = {
        name.rstrip("_") for fields, _ in (*KINDS.values(), *IN_TIME.values()) for name in fields
    }
    assert tested >= set(window_kinds.KINDS)


def test_those_that_follow_time_say_so():
    for cases, ordered in ((FREE, False), (ORDERED, True)):
        assert {Aggregate.from_config(text).ordered for text, _, _ in cases} == {ordered}
