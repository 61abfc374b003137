"""What aggregates must give, in plain Python: every row kept, exact numbers where they can be."""

from __future__ import annotations

import cmath
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.window.reference import SECOND, Row

Pairs = list[tuple[int, float]]
Result = Any


def values(rows: Sequence[Row], *names: str) -> list[tuple[Any, ...]]:
    """(time, value, …) of the rows in which all of these are there, by time, then by arrival."""
    found = [(row.time, *(row.values[name] for name in names)) for row in rows]
    return sorted((one for one in found if None not in one), key=lambda one: one[0])


def variance(xs: list[float]) -> float | None:
    if len(xs) < 2 or not all(map(math.isfinite, xs)):
        return None
    mean = sum(map(Fraction, xs)) / len(xs)
    return float(sum((Fraction(x) - mean) ** 2 for x in xs) / (len(xs) - 1))


def rms(xs: list[float]) -> float | None:
    if not xs or not all(map(math.isfinite, xs)):
        return math.inf if xs else None
    return math.sqrt(sum(Fraction(x) ** 2 for x in xs) / len(xs))


def quantile(xs: list[float], share: float) -> float | None:
    if not xs:
        return None
    xs = sorted(xs)
    rank = share * (len(xs) - 1)
    below = math.floor(rank)
    one, other = xs[below], xs[min(below + 1, len(xs) - 1)]
    if one == other or rank == below:
        return one
    between = one + (other - one) * (rank - below)
    if math.isinf(one) and math.isinf(other):
        return None
    return one if math.isinf(one) else between


def finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def all_finite(pairs: Pairs) -> bool:
    return all(math.isfinite(x) for _, x in pairs)


def area(pairs: Pairs) -> Fraction:
    return sum(
        (
            (Fraction(x) + Fraction(y)) / 2 * Fraction(u - t, SECOND)
            for (t, x), (u, y) in pairwise(pairs)
        ),
        Fraction(0),
    )


def integral(pairs: Pairs) -> float | None:
    return float(area(pairs)) if pairs and all_finite(pairs) else None


def time_weighted_mean(pairs: Pairs) -> float | None:
    if not pairs or not all_finite(pairs):
        return None
    length = Fraction(pairs[-1][0] - pairs[0][0], SECOND)
    return float(area(pairs) / length) if length else pairs[-1][1]


def rate(pairs: Pairs) -> float | None:
    if not pairs or not all_finite(pairs) or pairs[0][0] == pairs[-1][0]:
        return None
    grown = Fraction(0)
    for (_, x), (_, y) in pairwise(pairs):
        grown += Fraction(y) - Fraction(x) if y >= x else Fraction(y)
    return float(grown / Fraction(pairs[-1][0] - pairs[0][0], SECOND))


def zero_crossings(pairs: Pairs) -> int | None:
    signs = [x < 0 for _, x in pairs if x != 0]
    return sum(a != b for a, b in pairwise(signs)) if pairs else None


def ewma(pairs: Pairs, half_life: int) -> float | None:
    if not pairs or not all_finite(pairs):
        return None
    latest = pairs[-1][0]
    weights = [2.0 ** -((latest - t) / half_life) for t, _ in pairs]
    shift = pairs[0][1]
    total = math.fsum(w * (x - shift) for w, (_, x) in zip(weights, pairs, strict=True))
    return shift + total / math.fsum(weights)


def line(pairs: Sequence[tuple[Fraction, Fraction]]) -> tuple[Fraction, Fraction, Fraction]:
    """The spread of a, of both, and of b."""
    n = len(pairs)
    a_mean, b_mean = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    return (
        sum(((a - a_mean) ** 2 for a, _ in pairs), Fraction(0)),
        sum(((a - a_mean) * (b - b_mean) for a, b in pairs), Fraction(0)),
        sum(((b - b_mean) ** 2 for _, b in pairs), Fraction(0)),
    )


def slope(pairs: Pairs) -> float | None:
    if not pairs or not all_finite(pairs):
        return None
    exact = [(Fraction(t, SECOND), Fraction(x)) for t, x in pairs]
    over_time, both, _ = line(exact)
    return float(both / over_time) if over_time else None


def intercept(pairs: Pairs) -> float | None:
    if slope(pairs) is None:
        return None
    exact = [(Fraction(t - pairs[0][0], SECOND), Fraction(x)) for t, x in pairs]
    over_time, both, _ = line(exact)
    times, heights = sum(a for a, _ in exact), sum(b for _, b in exact)
    return float((heights - both / over_time * times) / len(pairs))


def correlation(pairs: list[tuple[float, float]]) -> float | None:
    if not pairs or not all(math.isfinite(a) and math.isfinite(b) for a, b in pairs):
        return None
    one, both, other = line([(Fraction(a), Fraction(b)) for a, b in pairs])
    if not one or not other:
        return None
    return float(both) / math.sqrt(float(one)) / math.sqrt(float(other))


def ranking(xs: list[Any]) -> list[tuple[Any, int]]:
    return sorted(Counter(xs).items(), key=lambda pair: (-pair[1], pair[0]))


def top_k(xs: list[Any], k: int) -> str | None:
    return json.dumps([list(p) for p in ranking(xs)[:k]], ensure_ascii=False) if xs else None


def histogram(xs: list[float], low: float, high: float, bins: int) -> str | None:
    if not xs:
        return None
    counts = [0] * bins
    for x in xs:
        if low <= x < high:
            counts[math.floor((x - low) / (high - low) * bins)] += 1
    below, above = sum(x < low for x in xs), sum(x >= high for x in xs)
    return json.dumps({"below": below, "counts": counts, "above": above})


def chosen(rows: Sequence[Row], x: str, by: str, sign: int) -> Any:
    found = [row for row in rows if row.values[x] is not None and row.values[by] is not None]
    if not found:
        return None
    return min(found, key=lambda row: (sign * row.values[by], row.time)).values[x]


def collect(xs: list[Any], most: int) -> str | None:
    listed = [str(x) if isinstance(x, float) and math.isinf(x) else x for x in xs[:most]]
    return json.dumps(listed, ensure_ascii=False) if xs else None


def spectrum(pairs: Pairs) -> tuple[list[float], list[float]] | None:
    """Frequencies and amplitudes, without the mean."""
    n = len(pairs)
    if n < 4 or pairs[0][0] == pairs[-1][0] or not all_finite(pairs):
        return None
    length = (pairs[-1][0] - pairs[0][0]) / SECOND
    times = [(t - pairs[0][0]) / SECOND for t, _ in pairs]
    even = []
    for step in range(n):
        at = length * step / (n - 1)
        right = next((i for i, t in enumerate(times) if t > at), n)
        left = right - 1
        height = pairs[left][1] - pairs[0][1]
        if right < n and times[left] < at:
            share = (at - times[left]) / (times[right] - times[left])
            height += (pairs[right][1] - pairs[left][1]) * share
        even.append(height)
    mean = math.fsum(even) / n
    window = [0.5 - 0.5 * math.cos(2 * math.pi * (i + 1) / (n + 1)) for i in range(n)]
    strength = []
    for k in range(1, n // 2 + 1):
        turned = (
            (e - mean) * w * cmath.exp(-2j * math.pi * k * i / n)
            for i, (e, w) in enumerate(zip(even, window, strict=True))
        )
        strength.append(abs(sum(turned)) * (1 if 2 * k == n else 2) / sum(window))
    frequencies = [k * (n - 1) / (n * length) for k in range(1, n // 2 + 1)]
    return frequencies, strength


def of(name: str) -> Callable[[Sequence[Row]], Any]:
    """A function of the x alone."""
    function: Callable[[list[float]], Any] = globals()[name]
    return lambda rows: function([x for _, x in values(rows, "x")])


def over_time(name: str) -> Callable[[Sequence[Row]], Any]:
    """A function of times and x."""
    function: Callable[[Any], Any] = globals()[name]
    return lambda rows: function(values(rows, "x"))
