"""Aggregates: state as columns, updated, merged and read in numpy.

``mean("temperature")`` in Python is ``mean(temperature)`` in YAML; both make an `Aggregate`. Some
are named like functions of Python: import the module, or only what is needed.
"""

from __future__ import annotations

from typing import TypeAlias

from edgestream.aggregate.aggregate import Aggregate
from edgestream.config.values import Duration
from edgestream.expr import Expr

Value: TypeAlias = Expr | str
"""An expression, or its text."""

__all__ = [
    "Aggregate",
    "all",
    "any",
    "argmax",
    "argmin",
    "collect",
    "correlation",
    "count",
    "count_distinct",
    "count_if",
    "delta",
    "ewma",
    "fft_amplitude",
    "fft_peak",
    "first",
    "histogram",
    "integral",
    "intercept",
    "last",
    "max",
    "mean",
    "median",
    "min",
    "mode",
    "p50",
    "p90",
    "p95",
    "p99",
    "quantile",
    "rate",
    "rms",
    "slope",
    "stddev",
    "sum",
    "time_weighted_mean",
    "top_k",
    "variance",
    "zero_crossings",
]


def count(expression: Value | None = None) -> Aggregate:
    """The number of rows, or of rows where an expression is not missing."""
    return Aggregate.of("count") if expression is None else Aggregate.of("count", expression)


def count_if(condition: Value) -> Aggregate:
    """The number of rows for which a condition holds."""
    return Aggregate.of("count_if", condition)


def count_distinct(expression: Value) -> Aggregate:
    """How many different values there are, within 2.3 % (one standard deviation)."""
    return Aggregate.of("count_distinct", expression)


def any(condition: Value) -> Aggregate:  # noqa: A001 - the word of the language
    """Whether a condition holds for at least one row."""
    return Aggregate.of("any", condition)


def all(condition: Value) -> Aggregate:  # noqa: A001 - the word of the language
    """Whether a condition holds for every row."""
    return Aggregate.of("all", condition)


def sum(expression: Value) -> Aggregate:  # noqa: A001 - the word of the language
    """The sum, as float; missing where there is no value."""
    return Aggregate.of("sum", expression)


def mean(expression: Value) -> Aggregate:
    """The arithmetic mean."""
    return Aggregate.of("mean", expression)


def min(expression: Value) -> Aggregate:  # noqa: A001 - the word of the language
    """The lowest value."""
    return Aggregate.of("min", expression)


def max(expression: Value) -> Aggregate:  # noqa: A001 - the word of the language
    """The highest value."""
    return Aggregate.of("max", expression)


def stddev(expression: Value) -> Aggregate:
    """The standard deviation of the values as a sample (n − 1); missing for a single value."""
    return Aggregate.of("stddev", expression)


def variance(expression: Value) -> Aggregate:
    """The variance of the values as a sample (n − 1); missing for a single value."""
    return Aggregate.of("variance", expression)


def rms(expression: Value) -> Aggregate:
    """The root mean square."""
    return Aggregate.of("rms", expression)


def first(expression: Value) -> Aggregate:
    """The value of the earliest row."""
    return Aggregate.of("first", expression)


def last(expression: Value) -> Aggregate:
    """The value of the latest row."""
    return Aggregate.of("last", expression)


def quantile(expression: Value, q: float) -> Aggregate:
    """The value below which a share ``q`` of the values lies."""
    return Aggregate.of("quantile", expression, q)


def median(expression: Value) -> Aggregate:
    """The value in the middle."""
    return Aggregate.of("median", expression)


def p50(expression: Value) -> Aggregate:
    """The median."""
    return Aggregate.of("p50", expression)


def p90(expression: Value) -> Aggregate:
    """The value below which 90 % of the values lie."""
    return Aggregate.of("p90", expression)


def p95(expression: Value) -> Aggregate:
    """The value below which 95 % of the values lie."""
    return Aggregate.of("p95", expression)


def p99(expression: Value) -> Aggregate:
    """The value below which 99 % of the values lie."""
    return Aggregate.of("p99", expression)


def histogram(expression: Value, lo: float, hi: float, bins: int) -> Aggregate:
    """Counts of ``bins`` bins of equal width from ``lo`` to ``hi``, as JSON text."""
    return Aggregate.of("histogram", expression, lo, hi, bins)


def mode(expression: Value) -> Aggregate:
    """The most frequent value."""
    return Aggregate.of("mode", expression)


def top_k(expression: Value, k: int) -> Aggregate:
    """The ``k`` most frequent values with their counts, as JSON text."""
    return Aggregate.of("top_k", expression, k)


def argmin(expression: Value, by: Value) -> Aggregate:
    """The value of an expression in the row where ``by`` is least."""
    return Aggregate.of("argmin", expression, by)


def argmax(expression: Value, by: Value) -> Aggregate:
    """The value of an expression in the row where ``by`` is greatest."""
    return Aggregate.of("argmax", expression, by)


def collect(expression: Value, max: int = 100) -> Aggregate:  # noqa: A002 - the word of the language
    """The first ``max`` values in the order of time, as a JSON list."""
    return Aggregate.of("collect", expression, max)


def delta(expression: Value) -> Aggregate:
    """The last value minus the first."""
    return Aggregate.of("delta", expression)


def rate(expression: Value) -> Aggregate:
    """How much a counter grows a second, however often it begins again at 0."""
    return Aggregate.of("rate", expression)


def integral(expression: Value) -> Aggregate:
    """The area under the values over time in seconds."""
    return Aggregate.of("integral", expression)


def time_weighted_mean(expression: Value) -> Aggregate:
    """The integral over the time from the first to the last value."""
    return Aggregate.of("time_weighted_mean", expression)


def ewma(expression: Value, half_life: Duration) -> Aggregate:
    """The mean with weights that halve with every ``half_life`` of age."""
    return Aggregate.of("ewma", expression, half_life)


def slope(expression: Value) -> Aggregate:
    """How much the values rise a second, by least squares."""
    return Aggregate.of("slope", expression)


def intercept(expression: Value) -> Aggregate:
    """The height of the line of `slope` at the time of the earliest value."""
    return Aggregate.of("intercept", expression)


def correlation(expression: Value, other: Value) -> Aggregate:
    """How far two values rise and fall together, from −1 to 1."""
    return Aggregate.of("correlation", expression, other)


def zero_crossings(expression: Value) -> Aggregate:
    """How often the sign of the values changes."""
    return Aggregate.of("zero_crossings", expression)


def fft_peak(expression: Value, max: int = 256) -> Aggregate:  # noqa: A002 - the word of the language
    """The strongest frequency in Hz in the first ``max`` values."""
    return Aggregate.of("fft_peak", expression, max)


def fft_amplitude(expression: Value, max: int = 256) -> Aggregate:  # noqa: A002 - the word of the language
    """The amplitude of the strongest frequency."""
    return Aggregate.of("fft_amplitude", expression, max)
