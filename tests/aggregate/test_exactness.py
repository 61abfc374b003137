"""Digits that must survive: values near 1e9, times of today in ns, held to exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

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
