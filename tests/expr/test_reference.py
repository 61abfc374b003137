"""Random expressions on random rows: numpy by column must mean what Python means by row."""

import math
from datetime import UTC, datetime

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgestream.batch import from_rows, to_python
from edgestream.expr import Expr
from edgestream.schema import Schema
from tests.expr.reference import evaluate

KINDS = {
    "i": "int",
    "j": "int",
    "x": "float",
    "y": "float",
    "s": "string",
    "u": "string",
    "flag": "bool",
    "t": "time",
}
WORDS = st.sampled_from(["", "a", "B", "Ab", "ß", "42", "-1.5", "on", "zzz"])
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
FLOATS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 0.5, 1.5, 2.5, -7.25, math.inf, -math.inf]),
    st.floats(-1e6, 1e6, allow_nan=False),
)
ROWS = st.fixed_dictionaries(
    {
        "i": st.integers(-20, 20),
        "j": st.integers(-1000, 1000),
        "x": FLOATS,
        "y": FLOATS,
        "s": st.none() | WORDS,
        "u": WORDS,
        "flag": st.booleans(),
        "t": st.none() | MOMENTS,
    }
)


def _join(template, *parts):
    return st.tuples(*parts).map(lambda made: template.format(*made))


def _constants(numbers):
    return numbers.map(repr)


def _expressions(depth):
    numbers = st.one_of(
        st.sampled_from(["i", "j", "x", "y", "null"]),
        _constants(st.integers(0, 12)),
        _constants(st.sampled_from([0.0, 0.5, 2.0, 3.75, 1e3])),
    )
    texts = st.one_of(st.sampled_from(["s", "u"]), WORDS.map(lambda word: f"'{word}'"))
    flags = st.sampled_from(["flag", "true", "false"])
    for _ in range(depth):
        numbers, texts, flags = (
            _numbers(numbers, texts, flags),
            _texts(numbers, texts, flags),
            _flags(numbers, texts, flags),
        )
    return st.one_of(numbers, texts, flags)


def _numbers(numbers, texts, flags):
    binary = st.sampled_from(["+", "-", "*", "/", "//", "%"])
    unary = st.sampled_from(["-", "+", "abs", "sign", "floor", "ceil", "round", "sqrt", "number"])
    parts = st.sampled_from(["hour", "minute", "weekday", "day", "month", "year", "seconds"])
    return st.one_of(
        numbers,
        _join("({} {} {})", numbers, binary, numbers),
        _join("{}({})", unary, numbers),
        _join("round({}, {})", numbers, st.integers(-2, 3)),
        _join("{}({}, {}, {})", st.sampled_from(["min", "max", "clamp"]), *[numbers] * 3),
        _join("if({}, {}, {})", flags, numbers, numbers),
        _join("coalesce({}, {})", numbers, numbers),
        _join("({}(t) + 0.0)", parts),
        _join("(length({}) + 0.5)", texts),
    )


def _texts(numbers, texts, flags):
    return st.one_of(
        texts,
        _join("{}({})", st.sampled_from(["lower", "upper"]), texts),
        _join("concat({}, {}, {})", texts, texts, numbers),
        _join("text({})", st.one_of(numbers, texts, flags, st.just("t"))),
        _join("if({}, {}, {})", flags, texts, st.one_of(texts, st.just("null"))),
        _join("coalesce({}, {})", texts, texts),
    )


def _flags(numbers, texts, flags):
    compare = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    belongs = st.sampled_from(["in", "not in"])
    tests = st.sampled_from(["contains", "starts_with", "ends_with"])
    anything = st.one_of(numbers, texts, flags, st.just("t"))
    return st.one_of(
        flags,
        _join("(0.0 + {} {} 0.0 + {})", numbers, compare, numbers),
        _join("(upper({}) {} {})", texts, compare, texts),
        _join("({} {} {})", flags, st.sampled_from(["and", "or"]), flags),
        _join("(not {})", flags),
        _join("(({}) {} (1, 2.5, -3))", numbers, belongs),
        _join("({} {} ('a', 'B', 'none'))", texts, belongs),
        _join("({} {})", anything, st.sampled_from(["is missing", "is not missing"])),
        _join("{}({}, {})", tests, texts, texts),
        _join("is_finite({})", numbers),
    )


def _same(mine, theirs):
    if isinstance(mine, float) and isinstance(theirs, int | float):
        return mine == theirs or math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-12)
    return mine == theirs and isinstance(mine, bool) == isinstance(theirs, bool)


@settings(max_examples=600, deadline=None)
@given(_expressions(3), st.lists(ROWS, min_size=1, max_size=8))
def test_columns_mean_what_rows_mean(text, rows):
    assume(len(text) <= 500)
    expr = Expr(text)
    batch = from_rows(rows).with_columns(
        x=[math.nan if row["x"] is None else row["x"] for row in rows],
        y=[math.nan if row["y"] is None else row["y"] for row in rows],
    )
    kind = expr.check(Schema.of_kinds(KINDS))
    mine = to_python(expr.evaluate(batch))
    theirs = [evaluate(expr.tree, row, KINDS) for row in rows]
    assert len(mine) == len(rows)
    assert all(map(_same, mine, theirs)), (mine, theirs, kind)
