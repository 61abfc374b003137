"""What is not exact stays within the error that is written down, however the values come."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest

from edgestream.aggregate import Aggregate
from edgestream.aggregate.cells import Cells
from edgestream.batch import Batch, Strings, to_python

SHARES = (0.0, 0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 1.0)
RNG = np.random.default_rng(7)
N = 20_000
SHAPES = {
    "uniform": RNG.uniform(-20, 40, N),
    "normal at 1e9": 1e9 + RNG.normal(0, 3, N),
    "heavy tail": RNG.lognormal(0, 3, N),
    "few values": RNG.integers(0, 5, N).astype(float),
    "spikes": np.where(RNG.random(N) < 0.01, 1e30, RNG.normal(20, 1, N)),
    "both signs": RNG.standard_cauchy(N),
    "tiny": RNG.uniform(0, 1e-300, N),
}
ORDERS = {
    "as they come": lambda x: x,
    "rising": np.sort,
    "falling": lambda x: np.sort(x)[::-1],
    "from both ends": lambda x: np.ravel(
        np.column_stack([np.sort(x)[: N // 2], np.sort(x)[: N // 2 - 1 : -1]])
    ),
}


def made(texts, size=1):
    aggregates = {text: Aggregate.from_config(text) for text in texts}
    return Cells(aggregates, size)


def taken(cells, column, at=None, step=4096):
    for begin in range(0, len(column), step):
        part = column[begin : begin + step]
        where = np.zeros(len(part), np.intp) if at is None else at[begin : begin + step]
        cells.update(where, Batch({"x": part}, np.arange(begin, begin + len(part))))
    return cells


def result(cells):
    return {name: to_python(column)[0] for name, column in cells.finish().items()}


def off(values, share, found):
    """How far the rank of what was found is from the wanted one, as a share of all values."""
    low = np.searchsorted(values, found, "left") / len(values)
    high = np.searchsorted(values, found, "right") / len(values)
    return max(low - share, share - high, 0.0)


def allowed(share):
    """Less than half of two bins of 96."""
    return math.pi * math.sqrt(share * (1 - share)) / 96 + 1 / N


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ORDERS)
def test_quantiles_are_near_in_rank(shape, order):
    values = np.ascontiguousarray(ORDERS[order](SHAPES[shape]))
    found = result(taken(made([f"quantile(x, {share})" for share in SHARES]), values))
    ascending = np.sort(values)
    for share, value in zip(SHARES, found.values(), strict=True):
        assert off(ascending, share, value) <= allowed(share), share


def test_quantiles_of_merged_layers_are_near_in_rank():
    values = SHAPES["heavy tail"]
    at = (np.arange(N) // 100) % 7
    cells = taken(made([f"quantile(x, {share})" for share in SHARES], 7), values, at)
    merged = result(cells.take(np.arange(7)[:, None]).merge())
    for share, value in zip(SHARES, merged.values(), strict=True):
        assert off(np.sort(values), share, value) <= allowed(share), share


@pytest.mark.parametrize("count", [1, 2, 127, 128])
def test_few_values_have_exact_quantiles(count):
    values = RNG.normal(1e9, 1, count)
    found = result(taken(made([f"quantile(x, {share})" for share in SHARES]), values))
    assert list(found.values()) == pytest.approx(list(np.quantile(values, SHARES)), rel=1e-15)


def test_equal_values_are_their_own_quantiles():
    found = result(taken(made(["p50(x)", "p99(x)"]), np.full(5000, 0.1)))
    assert found == {"p50(x)": 0.1, "p99(x)": 0.1}


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_digest_does_not_tell_how_values_were_cut(step):
    values = SHAPES["normal at 1e9"][:3000]
    texts = ["median(x)", "p99(x)"]
    assert result(taken(made(texts), values, step=step)) == result(taken(made(texts), values))


@pytest.mark.parametrize("share_of_infinities", [0.0005, 0.3])
def test_infinities_are_below_and_above_all(share_of_infinities):
    values = SHAPES["uniform"].copy()
    lot = RNG.random(N)
    values[lot < share_of_infinities] = -np.inf
    values[lot > 1 - share_of_infinities] = np.inf
    found = result(taken(made(["quantile(x, 0)", "median(x)", "quantile(x, 1)"]), values))
    assert found["quantile(x, 0)"] == -math.inf
    assert found["quantile(x, 1)"] == math.inf
    assert off(np.sort(values), 0.5, found["median(x)"]) <= allowed(0.5)


@pytest.mark.parametrize("distinct", [1, 2, 5, 30, 200, 1000, 5000, 30_000])
def test_distinct_values_are_counted_within_four_deviations(distinct):
    errors = []
    for lot in range(8):
        column = (np.arange(2 * distinct) % distinct) * 7 + lot * 1_000_003
        errors.append(result(taken(made(["count_distinct(x)"]), column))["count_distinct(x)"])
    for found in errors:
        assert abs(found - distinct) <= max(1, 4 * 0.023 * distinct)
    spread = math.sqrt(sum((found - distinct) ** 2 for found in errors) / len(errors))
    assert spread <= max(1, 1.7 * 0.023 * distinct)


def test_distinct_of_merged_layers_is_that_of_all():
    column = RNG.integers(0, 3000, N)
    at = np.arange(N) % 5
    layers = taken(made(["count_distinct(x)"], 5), column, at)
    whole = taken(made(["count_distinct(x)"]), column)
    assert result(layers.take(np.arange(5)[:, None]).merge()) == result(whole)


def test_whole_numbers_and_equal_floats_are_one_value_and_text_another():
    cells = made(["count_distinct(x)"])
    for column in (np.array([1, 2]), np.array([1.0, 2.0, -0.0, 0.0]), np.array([True, False])):
        taken(cells, column)
    assert result(cells) == {"count_distinct(x)": 3}
    cells.update(np.zeros(2, np.intp), Batch({"x": Strings.of(["1", "b"])}, np.arange(2)))
    assert result(cells) == {"count_distinct(x)": 5}


def test_large_integers_that_no_float_tells_apart_are_counted_apart():
    column = 2**60 + np.arange(50)
    found = result(taken(made(["count_distinct(x)"]), column))["count_distinct(x)"]
    assert abs(found - 50) <= 3


@pytest.mark.parametrize("layers", [1, 4])
@pytest.mark.parametrize("step", [64, 4096])
def test_frequent_values_are_known_and_never_counted_too_high(layers, step):
    often = np.where(RNG.random(N) < 0.3, RNG.integers(0, 4, N), RNG.integers(10, 5000, N))
    cells = taken(made(["top_k(x, 5)", "mode(x)"], layers), often, np.arange(N) % layers, step)
    found = result(cells.take(np.arange(layers)[:, None]).merge())
    real = Counter(often.tolist())
    assert found["mode(x)"] in range(4)
    counts = dict(json.loads(found["top_k(x, 5)"]))
    assert set(range(4)) <= set(counts)
    for value, count in counts.items():
        assert real[value] - N / 33 <= count <= real[value]


def test_as_many_values_as_there_are_counters_are_counted_exactly():
    values = np.repeat(np.arange(32), np.arange(1, 33))
    RNG.shuffle(values)
    found = result(taken(made(["top_k(x, 3)", "mode(x)"]), values, step=50))
    assert found == {"top_k(x, 3)": "[[31, 32], [30, 31], [29, 30]]", "mode(x)": 31}


def test_the_strongest_frequency_of_a_noisy_signal():
    seconds = np.arange(256) / 100
    values = 1e6 + 3 * np.sin(2 * np.pi * 12.5 * seconds) + RNG.normal(0, 0.3, 256)
    cells = made(["fft_peak(x)", "fft_amplitude(x)"])
    times = np.rint(seconds * 1e9).astype(np.int64)
    cells.update(np.zeros(256, np.intp), Batch({"x": values}, times))
    found = result(cells)
    assert found["fft_peak(x)"] == pytest.approx(12.5, abs=0.5 / 2.55)
    assert 3 * 0.84 <= found["fft_amplitude(x)"] <= 3 * 1.05
