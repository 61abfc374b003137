"""Everything that can be applied: what it wants, what it gives, and what it runs.

A want is the kind an argument is read as: ``number``, ``string``, ``truth`` (missing is false),
``time``, ``digits`` (a constant whole number), ``any`` (as it is), ``alike`` (all of one kind, any
kind) or ``alike text`` (the same, and text where kinds are mixed).
A function gives a kind, or ``number`` (int where all arguments are), ``divided`` (the same where
the divisor is a constant) or ``alike`` (the kind its arguments share).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from edgestream.expr import arithmetic, choose, compare, texts, times, values
from edgestream.schema import ColumnKind

Want: TypeAlias = Literal[
    "number", "string", "truth", "time", "digits", "any", "alike", "alike text"
]
Gives: TypeAlias = ColumnKind | Literal["number", "divided", "alike"]

AGGREGATES = frozenset(
    {
        "all",
        "any",
        "argmax",
        "argmin",
        "avg",
        "collect",
        "correlation",
        "count",
        "count_distinct",
        "count_if",
        "delta",
        "distinct",
        "entropy",
        "ewma",
        "fft_amplitude",
        "fft_peak",
        "first",
        "histogram",
        "integral",
        "intercept",
        "iqr",
        "kurtosis",
        "last",
        "mad",
        "max",
        "mean",
        "median",
        "min",
        "mode",
        "p50",
        "p90",
        "p95",
        "p99",
        "percentile",
        "quantile",
        "range",
        "rate",
        "rms",
        "skew",
        "slope",
        "std",
        "stddev",
        "sum",
        "time_weighted_mean",
        "top_k",
        "var",
        "variance",
        "zero_crossings",
    }
)
"""Names people know from aggregates; beside `FUNCTIONS` they get an error of their own."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function or operator; the last ``optional`` arguments may be left out."""

    usage: str
    help: str
    wants: tuple[Want, ...]
    gives: Gives
    run: Callable[..., Any]
    optional: int = 0
    many: bool = False

    def takes(self, count: int) -> bool:
        """Whether it can be given so many arguments."""
        if self.many:
            return count >= len(self.wants)
        return len(self.wants) - self.optional <= count <= len(self.wants)

    def want(self, index: int) -> Want:
        """What it wants of an argument; of many, the last want stands for the rest."""
        return self.wants[min(index, len(self.wants) - 1)]


def _numeric(usage: str, text: str, run: Callable[..., Any], gives: Gives = "float") -> Function:
    number: Want = "number"
    return Function(usage, text, (number,) * (usage.count(",") + 1), gives, run)


def _of_time(name: str, text: str, run: Callable[..., Any]) -> Function:
    return Function(f"{name}(t)", text, ("time",), "int", times.part(run))


def _test(usage: str, text: str, run: Callable[[str, str], bool]) -> Function:
    return Function(usage, text, ("string", "string"), "bool", texts.tested(run))


_NUMBERS = (
    _numeric("abs(x)", "The distance from zero.", arithmetic.absolute, "number"),
    Function(
        "round(x, digits)",
        "Rounded half to even; without digits to a whole number.",
        ("number", "digits"),
        "number",
        arithmetic.rounded,
        optional=1,
    ),
    _numeric("floor(x)", "Rounded down.", arithmetic.keeping_whole(np.floor), "number"),
    _numeric("ceil(x)", "Rounded up.", arithmetic.keeping_whole(np.ceil), "number"),
    _numeric("sign(x)", "−1, 0 or 1.", np.sign, "number"),
    _numeric("sqrt(x)", "The square root.", arithmetic.floating(np.sqrt)),
    _numeric("exp(x)", "e to the power of x.", arithmetic.floating(np.exp)),
    _numeric("log(x)", "The natural logarithm.", arithmetic.floating(np.log)),
    _numeric("log10(x)", "The logarithm to base 10.", arithmetic.floating(np.log10)),
    _numeric("sin(x)", "The sine of an angle in radians.", arithmetic.floating(np.sin)),
    _numeric("cos(x)", "The cosine of an angle in radians.", arithmetic.floating(np.cos)),
    _numeric("tan(x)", "The tangent of an angle in radians.", arithmetic.floating(np.tan)),
    _numeric("atan2(y, x)", "The angle of a point in radians.", arithmetic.floating(np.arctan2)),
    Function(
        "min(a, b, …)",
        "The least of two or more values of a row.",
        ("number", "number"),
        "number",
        arithmetic.smallest,
        many=True,
    ),
    Function(
        "max(a, b, …)",
        "The greatest of two or more values of a row.",
        ("number", "number"),
        "number",
        arithmetic.largest,
        many=True,
    ),
    _numeric("clamp(x, low, high)", "Held between two bounds.", arithmetic.clamp, "number"),
    _numeric("is_finite(x)", "Neither missing nor infinite.", arithmetic.is_finite, "bool"),
    Function(
        "number(x)",
        "The number a text holds; missing where it holds none.",
        ("any",),
        "float",
        values.floats,
    ),
)
_TEXTS = (
    Function("lower(text)", "In small letters.", ("string",), "string", texts.lower),
    Function("upper(text)", "In capitals.", ("string",), "string", texts.upper),
    Function("length(text)", "How many characters.", ("string",), "int", texts.length),
    _test("contains(text, part)", "Whether a text holds another.", str.__contains__),
    _test("starts_with(text, start)", "Whether a text begins with another.", str.startswith),
    _test("ends_with(text, end)", "Whether a text ends with another.", str.endswith),
    Function(
        "concat(a, b, …)",
        "Joined as text; missing where one is.",
        ("any", "any"),
        "string",
        lambda *given: texts.concat(*map(values.text, given)),
        many=True,
    ),
    Function("text(x)", "As text; times as ISO 8601.", ("any",), "string", values.text),
)
_TIMES = (
    _of_time("hour", "The hour of a time, 0 to 23, in UTC.", times.hour),
    _of_time("minute", "The minute of a time, 0 to 59.", times.minute),
    _of_time("weekday", "The day of the week in UTC, 0 for Monday to 6 for Sunday.", times.weekday),
    _of_time("day", "The day of the month in UTC, from 1.", times.day),
    _of_time("month", "The month in UTC, 1 to 12.", times.month),
    _of_time("year", "The year in UTC.", times.year),
    Function(
        "seconds(t)",
        "A time as seconds since 1970.",
        ("time",),
        "float",
        values.seconds,
    ),
)
_CHOICES = (
    Function(
        "if(condition, a, b)",
        "a where the condition is true, else b.",
        ("truth", "alike text", "alike text"),
        "alike",
        choose.select,
    ),
    Function(
        "coalesce(a, b, …)",
        "The first value that is not missing.",
        ("alike text", "alike text"),
        "alike",
        choose.coalesce,
        many=True,
    ),
)
FUNCTIONS: Mapping[str, Function] = {
    function.usage.partition("(")[0]: function
    for function in (*_NUMBERS, *_TEXTS, *_TIMES, *_CHOICES)
}
"""What is called by name."""


def _operator(
    symbol: str, want: Want, gives: Gives, run: Callable[..., Any], many: bool = False
) -> Function:
    usage = f"a {symbol} b"
    return Function(usage, "", (want, want), gives, run, many=many)


_ONE = {
    "-x": Function("-x", "", ("number",), "number", arithmetic.negative),
    "+x": Function("+x", "", ("number",), "number", np.positive),
    "not": Function("not x", "", ("truth",), "bool", np.logical_not),
    "is missing": Function("x is missing", "", ("any",), "bool", values.missing),
    "is not missing": Function("x is not missing", "", ("any",), "bool", compare.present),
}
OPERATORS: Mapping[str, Function] = {
    **_ONE,
    "+": _operator("+", "number", "number", arithmetic.add),
    "-": _operator("-", "number", "number", arithmetic.subtract),
    "*": _operator("*", "number", "number", arithmetic.multiply),
    "/": _operator("/", "number", "float", arithmetic.divide),
    "//": _operator("//", "number", "divided", arithmetic.floor_divide),
    "%": _operator("%", "number", "divided", arithmetic.remainder),
    "**": _operator("**", "number", "float", arithmetic.power),
    "and": _operator("and", "truth", "bool", np.bitwise_and),
    "or": _operator("or", "truth", "bool", np.bitwise_or),
    **{
        symbol: _operator(symbol, "alike", "bool", compare.comparison(symbol))
        for symbol in ("<", "<=", ">", ">=", "==", "!=")
    },
    "in": _operator("in", "alike", "bool", compare.within, many=True),
    "not in": _operator("not in", "alike", "bool", compare.outside, many=True),
}
"""What is written between or before its arguments."""


def applied(name: str) -> Function:
    """The function or operator of a node."""
    return OPERATORS[name] if name in OPERATORS else FUNCTIONS[name]
