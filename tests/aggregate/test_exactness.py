"""Digits that must survive: values near 1e9, times of today in ns, held to exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.aggregate import Aggregate
from edgestream.aggregate.cells import Cells
from edgestream.batch import Batch, to_python
from tests.aggregate import reference as ref
from tests.window.reference import SECOND

NOW = 1_795_000_000 * SECOND
N = 400
RNG = np.random.default_rng(3)
TIMES = NOW + np.sort(RNG.integers(0, 600 * SECOND, N))
SMALL = RNG.integers(-4096, 4096, N) / 1024
OTHER = 0.5 * SMALL + RNG.integers(-1024, 1024, N) / 1024
TEXTS = [
    "variance(x)", "rms(x)", "delta(x)", "rate(x)", "integral(x)", "time_weighted_mean(x)",
    "ewma(x, 45s)", "slope(x)", "intercept(x)", "correlation(x, y)",
]  # fmt: skip


def found(offset, layers=1):
    cells = Cells({text: Aggregate.from_config(text) for text in TEXTS}, layers)
    batch = Batch({"x": offset + SMALL, "y": offset + OTHER}, TIMES)
    cells.update(np.arange(N) * layers // N, batch)
    merged = cells.take(np.arange(layers)[:, None]).merge()
    return {name: to_python(column)[0] for name, column in merged.finish().items()}


def exact(offset):
    pairs = list(zip(TIMES.tolist(), (offset + SMALL).tolist(), strict=True))
    xs = [x for _, x in pairs]
    return {
        "variance(x)": ref.variance(xs),
        "rms(x)": ref.rms(xs),
        "delta(x)": float(Fraction(xs[-1]) - Fraction(xs[0])),
        "rate(x)": ref.rate(pairs),
        "integral(x)": ref.integral(pairs),
        "time_weighted_mean(x)": ref.time_weighted_mean(pairs),
        "ewma(x, 45s)": ref.ewma(pairs, 45 * SECOND),
        "slope(x)": ref.slope(pairs),
        "intercept(x)": ref.intercept(pairs),
        "correlation(x, y)": ref.correlation(list(zip(xs, (offset + OTHER).tolist(), strict=True))),
    }


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e9, 2.0**40])
@pytest.mark.parametrize("layers", [1, 5])
def test_an_offset_costs_no_digits(offset, layers):
    mine, wanted = found(offset, layers), exact(offset)
    for name in ("variance(x)", "delta(x)", "slope(x)", "correlation(x, y)"):
        assert mine[name] == pytest.approx(wanted[name], rel=1e-11, abs=1e-13), name
    for name in ("rms(x)", "rate(x)", "integral(x)", "intercept(x)"):
        assert mine[name] == pytest.approx(wanted[name], rel=1e-13, abs=1e-11), name
    for name in ("time_weighted_mean(x)", "ewma(x, 45s)"):
        near = mine[name] - offset
        assert near == pytest.approx(wanted[name] - offset, abs=1e-12 + 3e-16 * abs(offset)), name


def test_a_weight_of_long_ago_is_nothing():
    cells = Cells({"e": Aggregate.from_config("ewma(x, 1ms)")}, 1)
    batch = Batch({"x": np.array([1e6, 5.0, 7.0])}, np.array([0, 10**18, 10**18]))
    cells.update(np.zeros(3, np.intp), batch)
    assert to_python(cells.finish()["e"]) == [6.0]


WHOLE = ["delta(x)", "argmin(x, by)", "argmax(x, by)", "min(x)", "max(x)", "first(x)", "last(x)"]
NEAR = st.sampled_from([0, 2**53, -(2**53), 2**62, -(2**62)]).flatmap(
    lambda middle: st.integers(middle - 3, middle + 3)
)
EDGES = st.sampled_from([-(2**63), -(2**63) + 1, 2**63 - 1, 2**63 - 2])
BATCH = st.lists(st.tuples(st.integers(0, 4), NEAR | EDGES, NEAR | EDGES), min_size=1, max_size=6)


def whole(batches, layers, restart):
    """The results for one cell of rows (time, x, by), each batch in one of some layers."""
    made = {text: Aggregate.from_config(text) for text in WHOLE}
    cells = Cells(made, layers)
    for at, rows in enumerate(batches):
        times, xs, bys = (np.array(column, np.int64) for column in zip(*rows, strict=True))
        cells.update(np.full(len(rows), at % layers), Batch({"x": xs, "by": bys}, times))
        if at == restart:
            saved, cells = cells.save(), Cells(made, layers)
            cells.load(*saved)
    merged = cells.take(np.arange(layers)[:, None]).merge()
    return {name: to_python(column)[0] for name, column in merged.finish().items()}


@settings(deadline=None, max_examples=150)
@given(st.lists(BATCH, min_size=1, max_size=5), st.integers(1, 3), st.integers(0, 5))
def test_whole_numbers_keep_all_their_digits(batches, layers, restart):
    # by time, then in the order of layers and arrival
    layered = [row for layer in range(layers) for batch in batches[layer::layers] for row in batch]
    in_time = sorted(layered, key=lambda row: row[0])
    found = whole(batches, layers, restart)
    if layers == 1:
        layered = [row for batch in batches for row in batch]
    rise = in_time[-1][1] - in_time[0][1]
    fits = -(2**63) <= rise < 2**63
    assert found == {
        "delta(x)": rise if fits else float(in_time[-1][1]) - float(in_time[0][1]),
        "argmin(x, by)": min(layered, key=lambda row: (row[2], row[0]))[1],
        "argmax(x, by)": min(layered, key=lambda row: (-row[2], row[0]))[1],
        "min(x)": min(row[1] for row in layered),
        "max(x)": max(row[1] for row in layered),
        "first(x)": in_time[0][1],
        "last(x)": in_time[-1][1],
    }
    assert isinstance(found["delta(x)"], int) == fits


def test_whole_numbers_and_others_are_compared_as_what_they_are():
    made = {text: Aggregate.from_config(text) for text in ("argmin(x, by)", "argmax(x, by)")}
    cells = Cells(made, 1)
    for at, by in enumerate([np.array([2**53 + 1, 2**53]), np.array([2.0**53 + 2, 2.0**53])]):
        x = np.array([10 * at, 10 * at + 1])
        cells.update(np.zeros(2, np.intp), Batch({"x": x, "by": by}, np.array([at, at])))
    assert {name: to_python(column)[0] for name, column in cells.finish().items()} == {
        "argmin(x, by)": 1,
        "argmax(x, by)": 10,
    }


def test_a_difference_is_whole_until_a_fraction_comes():
    cells = Cells({"d": Aggregate.from_config("delta(x)")}, 3)
    cells.update(
        np.array([0, 0, 1]), Batch({"x": np.array([5, 2**53 + 8, 7])}, np.array([0, 1, 0]))
    )
    assert to_python(cells.take(np.array([0, 1])).finish()["d"]) == [2**53 + 3, 0]
    assert to_python(cells.finish()["d"]) == [float(2**53 + 3), 0.0, None]
    cells.update(np.array([1]), Batch({"x": np.array([7.5])}, np.array([1])))
    assert to_python(cells.finish()["d"]) == [float(2**53 + 3), 0.5, None]
    truths = Cells({"d": Aggregate.from_config("delta(x)")}, 1)
    truths.update(np.zeros(2, np.intp), Batch({"x": np.array([True, False])}, np.array([0, 1])))
    assert to_python(truths.finish()["d"]) == [-1]


def test_state_with_other_arrays_is_told():
    cells = Cells({"a": Aggregate.from_config("argmin(x, by)")}, 1)
    meta, arrays = cells.save()
    meta["tracks"][0]["arrays"] -= 1
    with pytest.raises(ValueError, match="x has 3 arrays, not 4: an earlier version"):
        cells.load(meta, arrays)
