"""Aggregates: state as columns, updated, merged and read in numpy.

``mean("temperature")`` in Python is ``mean(temperature)`` in YAML; both make an `Aggregate`.
"""

from __future__ import annotations

from edgestream.aggregate.aggregate import Aggregate
from edgestream.expr import Expr

__all__ = ["Aggregate", "count", "first", "last", "max", "mean", "min", "stddev", "sum"]


def count(expression: Expr | str | None = None) -> Aggregate:
    """The number of rows, or of rows where an expression is not missing."""
    return _make("count", expression)


def sum(expression: Expr | str) -> Aggregate:  # noqa: A001 - the word of the language
    """The sum, as float; missing where there is no value."""
    return _make("sum", expression)


def mean(expression: Expr | str) -> Aggregate:
    """The arithmetic mean."""
    return _make("mean", expression)


def min(expression: Expr | str) -> Aggregate:  # noqa: A001 - the word of the language
    """The lowest value."""
    return _make("min", expression)


def max(expression: Expr | str) -> Aggregate:  # noqa: A001 - the word of the language
    """The highest value."""
    return _make("max", expression)


def stddev(expression: Expr | str) -> Aggregate:
    """The standard deviation of the values as a sample (n − 1); missing for a single value."""
    return _make("stddev", expression)


def first(expression: Expr | str) -> Aggregate:
    """The value of the earliest row."""
    return _make("first", expression)


def last(expression: Expr | str) -> Aggregate:
    """The value of the latest row."""
    return _make("last", expression)


def _make(name: str, expression: Expr | str | None) -> Aggregate:
    if isinstance(expression, str):
        expression = Expr.from_config(expression)
    return Aggregate(name, expression)
