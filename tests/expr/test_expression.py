import math

import numpy as np
import pytest

from edgestream.batch import Batch, Strings, empty, from_rows, to_python
from edgestream.config.convert import convert
from edgestream.errors import ConfigError
from edgestream.expr import Expr, expression

NAT = np.datetime64("NaT", "us")


def values(text, **columns):
    """What an expression gives on columns, as plain values."""
    rows = len(next(iter(columns.values()), [0]))
    batch = Batch({}, np.zeros(rows, np.int64)).with_columns(**columns)
    before = {name: to_python(column) for name, column in batch.columns.items()}
    made = Expr(text).evaluate(batch)
    assert len(made) == rows
    assert {name: to_python(column) for name, column in batch.columns.items()} == before
    return to_python(made)


def test_equality_is_by_meaning():
    assert Expr("a>1") == Expr("a  >  1") == Expr("(a > 1)")
    assert Expr("a > 1") != Expr("a > 1.0")
    assert len({Expr("a>1"), Expr("a > 1"), Expr("a > 2")}) == 2
    assert repr(Expr("a>1")) == "Expr(text='a>1')"


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "5"), (-1.5, "-1.5"), (True, "true"), (False, "false"), (1e22, "1e+22"), ("a + 1", "a+1")],
)
def test_from_config(value, text):
    assert Expr.from_config(value) == Expr(text)
    assert convert(Expr | str, value) == Expr(text)
    assert expression(text) == Expr(text)


@pytest.mark.parametrize("value", [None, [], {}, b"a", math.nan, math.inf, object()])
def test_from_config_refuses(value):
    with pytest.raises(ConfigError):
        Expr.from_config(value)


def test_a_field_never_holds_text_that_is_no_expression():
    with pytest.raises(ConfigError) as caught:
        convert(Expr | str, "a = 1")
    assert caught.value.problems[0].column == 3


def test_names():
    assert Expr("a + b.c > min(`d e`, a, 1)").names == {"a", "b.c", "d e"}
    assert Expr("1 + 2").names == frozenset()


def test_it_never_changes():
    expr = Expr("a")
    with pytest.raises(AttributeError):
        expr.text = "b"


def test_a_column_by_itself_is_not_copied():
    batch = from_rows([{"a": 1.5}])
    assert Expr("a").evaluate(batch) is batch["a"]


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("a + 1", np.int64),
        ("a + 1.0", np.float64),
        ("a / 1", np.float64),
        ("a // 2", np.int64),
        ("a // a", np.float64),
        ("a ** 2", np.float64),
        ("1", np.int64),
        ("2 + 0.5", np.float64),
        ("a > 1", np.bool_),
        ("true", np.bool_),
        ("null", np.float64),
        ("nowhere", np.float64),
        ("small", np.float64),
        ("small + 1", np.float64),
        ("seconds(a)", np.float64),
        ("hour(a)", np.int64),
    ],
)
def test_dtypes(text, dtype):
    columns = {"a": np.array([1, 2]), "small": np.array([1, 2], np.float32)}
    batch = Batch(columns, np.zeros(2, np.int64))
    column = Expr(text).evaluate(batch)
    assert column.dtype == dtype
    assert column.shape == (2,)


@pytest.mark.parametrize("text", ["'x'", "lower(nowhere)", "if(nowhere, 'a', null)", "text(1)"])
def test_text_is_coded(text):
    assert isinstance(Expr(text).evaluate(from_rows([{}, {}])), Strings)


@pytest.mark.parametrize(
    "text",
    [
        "a + 1",
        "a > 1",
        "s == 'x'",
        "upper(s)",
        "concat(s, a)",
        "1",
        "'x'",
        "nowhere",
        "hour(t)",
        "if(a > 1, s, 'x')",
        "coalesce(a, 0)",
        "s in ('x')",
        "s < 'x'",
        "text(a)",
        "length(s)",
    ],
)
def test_no_rows(text):
    like = from_rows([{"a": 1.0, "s": "x"}]).with_columns(t=np.array([0], "datetime64[us]"))
    assert len(Expr(text).evaluate(empty(like))) == 0
    assert len(Expr(text).mask(empty(like))) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > 1", [False, False, True]),
        ("a != 1", [False, False, True]),
        ("a == a", [True, False, True]),
        ("not a > 1", [True, True, False]),
        ("a in (1, 5)", [True, False, False]),
        ("a not in (1, 5)", [False, False, True]),
        ("s != 'x'", [False, True, False]),
        ("s not in ('x')", [False, True, False]),
        ("s == s", [True, True, False]),
        ("s < 'y'", [True, False, False]),
        ("'y' > s", [True, False, False]),
        ("s >= 'y'", [False, True, False]),
        ("a + 1", [2, None, 4]),
        ("a ** 0", [1, None, 1]),
        ("1 ** a", [1, None, 1]),
        ("atan2(a, 0) > 1", [True, False, True]),
        ("max(a, 2)", [2, None, 3]),
        ("clamp(a, 2, 9)", [2, None, 3]),
        ("sign(a)", [1, None, 1]),
        ("if(a > 1, 1, 0)", [0, 0, 1]),
        ("if(a is missing, null, a)", [1, None, 3]),
        ("coalesce(a, 7)", [1, 7, 3]),
        ("coalesce(nowhere, a, 7)", [1, 7, 3]),
        ("coalesce(s, 'none')", ["x", "y", "none"]),
        ("concat(s, '!')", ["x!", "y!", None]),
        ("length(s)", [1, 1, None]),
        ("contains(s, 'x')", [True, False, False]),
        ("nowhere > 1", [False] * 3),
        ("nowhere != 1", [False] * 3),
        ("nowhere not in (1, 2)", [False] * 3),
        ("nowhere is missing", [True] * 3),
        ("nowhere == 'x'", [False] * 3),
        ("not nowhere", [True] * 3),
        ("nowhere and true", [False] * 3),
        ("t == t", [True, False, True]),
        ("t != t", [False, False, False]),
        ("hour(t)", [0, None, 1]),
        ("seconds(t)", [0, None, 3600]),
        ("text(t)", ["1970-01-01T00:00:00Z", None, "1970-01-01T01:00:00Z"]),
        ("t is missing", [False, True, False]),
        ("if(a is missing, null, t) == t", [True, False, True]),
        ("coalesce(t, t) == t", [True, False, True]),
        ("if(a > 1, true, null)", [None, None, 1]),
        ("flag and a > 0", [True, False, True]),
    ],
)
def test_missing(text, expected):
    columns = {
        "a": [1.0, math.nan, 3.0],
        "s": Strings.of(["x", "y", None]),
        "t": np.array([0, NAT, 3_600_000_000], "datetime64[us]"),
        "flag": [True, True, True],
    }
    assert values(text, **columns) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a / 0", [math.inf, -math.inf, None]),
        ("a // 0", [math.inf, -math.inf, None]),
        ("a % 0", [None, None, None]),
        ("1 / a", [1, -0.5, math.inf]),
        ("7 // a", [7, -4, math.inf]),
        ("7 % a", [0, -1, None]),
        ("a // -2", [-1, 1, 0]),
        ("a % -2", [-1, 0, 0]),
        ("9 ** 9 ** 9 ** 9", [math.inf] * 3),
        ("(0 - 8) ** 0.5", [None] * 3),
        ("log(a)", [0, None, -math.inf]),
        ("sqrt(a)", [1, None, 0]),
        ("exp(1000 * a)", [math.inf, 0, 1]),
    ],
)
def test_no_warning_where_numbers_end(text, expected):
    assert values(text, a=[1, -2, 0]) == expected


TOP = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + 1", [2.0**63, -(2.0**63), 2]),
        ("a + a", [2.0**64, -(2.0**64), 2]),
        ("a - 2", [2.0**63, -(2.0**63), -1]),
        ("1 - a", [-(2.0**63), 2.0**63, 0]),
        ("a * 3", [3 * 2.0**63, -3 * 2.0**63, 3]),
        ("a * a", [2.0**126, 2.0**126, 1]),
        ("-a", [-(2.0**63), 2.0**63, -1]),
        ("abs(a)", [2.0**63, 2.0**63, 1]),
        ("a // -1", [-(2.0**63), 2.0**63, -1]),
        ("a % -1", [0, 0, 0]),
        (f"{TOP} + {TOP}", [2.0**64] * 3),
        ("a + 0", [TOP, -TOP - 1, 1]),
        ("a - 0", [TOP, -TOP - 1, 1]),
        ("a * 1", [TOP, -TOP - 1, 1]),
        ("a // 1", [TOP, -TOP - 1, 1]),
    ],
)
def test_whole_numbers_never_wrap(text, expected):
    assert values(text, a=[TOP, -TOP - 1, 1]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n + 1", [2.5, None, None]),
        ("n > 1", [True, False, False]),
        ("n == 1.5", [True, False, False]),
        ("n == m", [True, False, False]),
        ("n < m", [False, False, False]),
        ("m == '1.5'", [True, False, False]),
        ("m in ('3', '4')", [False, False, True]),
        ("lower(m)", ["1.5", "2", "3"]),
        ("concat(n, m)", [" 1.5 1.5", "a2", None]),
        ("coalesce(n, m)", [" 1.5 ", "a", "3"]),
        ("if(m > 1.5, n, m)", ["1.5", "a", None]),
        ("flag + 1", [2, 1, 2]),
        ("flag == m", [False, False, False]),
        ("m and true", [True, True, True]),
        ("n and true", [False, False, False]),
        ("n == true", [False, False, False]),
        ("hour(n)", [None, None, None]),
        ("hour(m * 3600)", [1, 2, 3]),
        ("hour(m * 1e300)", [None, None, None]),
        ("t > m", [True, False, True]),
        ("t + 1", [3, 3.5, 4]),
        ("t == iso", [True, False, False]),
        ("hour(iso)", [0, None, 23]),
        ("seconds(iso)", [2, None, 1709247600.5]),
    ],
)
def test_kinds_unknown_at_load_are_read_as_needed(text, expected):
    columns = {
        "n": Strings.of([" 1.5 ", "a", None]),
        "m": [1.5, 2.0, 3.0],
        "flag": [True, False, True],
        "t": np.array([2_000_000, 2_500_000, 3_000_000], "datetime64[us]"),
        "iso": Strings.of(["1970-01-01T00:00:02Z", "soon", "2024-03-01T01:00:00.5+02:00"]),
    }
    if text == "t > m":
        columns["m"] = [1.5, 2.5, 2.0]
    assert values(text, **columns) == expected


def test_mask_takes_missing_for_false():
    batch = from_rows([{"a": 1.0}, {"a": None}, {"a": 0.0}])
    assert Expr("a").mask(batch).tolist() == [True, False, False]
    assert Expr("true").mask(batch).tolist() == [True] * 3
    assert Expr("null").mask(batch).tolist() == [False] * 3
    assert Expr("nowhere").mask(batch).tolist() == [False] * 3


def test_texts_of_two_dictionaries_compare():
    columns = {"a": Strings.of(["x", "y", None, "z"]), "b": Strings.of(["y", "y", "z", "a"])}
    assert values("a == b", **columns) == [False, True, False, False]
    assert values("a != b", **columns) == [True, False, False, True]
    assert values("a < b", **columns) == [True, False, False, False]
    assert values("if(a == b, a, b)", **columns) == ["y", "y", "z", "a"]


def test_a_function_of_text_runs_once_a_string():
    strings = Strings.of(["x"] * 1000 + ["y"] * 1000)
    big = Strings.of([f"n{i}" for i in range(10_000)])[np.array([5, 5, 7])]
    assert values("upper(s)", s=strings) == ["X"] * 1000 + ["Y"] * 1000
    assert values("upper(s)", s=big) == ["N5", "N5", "N7"]


def test_joined_text_is_bounded():
    columns = {"s": ["a" * 65_536, "b"]}
    assert values("concat(s, s)", **columns) == [None, "bb"]
    assert values("length(concat(s, ''))", **columns) == [65_536, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("round(x)", [0, 2, 2, -2]),
        ("round(x, 1)", [0.5, 1.5, 2.5, -2.4]),
        ("round(x * 100, -1)", [50, 150, 250, -240]),
        ("floor(x)", [0, 1, 2, -3]),
        ("ceil(x)", [1, 2, 3, -2]),
        ("round(1e308, 2)", [1e308] * 4),
        ("round(15, -1)", [20] * 4),
        ("number('1e3')", [1000] * 4),
        ("number('1_000')", [None] * 4),
        ("number('inf')", [None] * 4),
        ("number('')", [None] * 4),
        ("number('1e999')", [None] * 4),
        ("text(x)", ["0.5", "1.5", "2.5", "-2.44"]),
        ("text(x * 2)", ["1", "3", "5", "-4.88"]),
        ("text(1 / 0)", ["inf"] * 4),
        ("text(1e20)", ["1e+20"] * 4),
        ("text(x > 1)", ["false", "true", "true", "false"]),
        ("is_finite(1 / 0)", [False] * 4),
        ("is_finite(null)", [False] * 4),
        ("max(1, x, 2)", [2, 2, 2.5, 2]),
        ("min(1, x, 2)", [0.5, 1, 1, -2.44]),
    ],
)
def test_functions(text, expected):
    assert values(text, x=[0.5, 1.5, 2.5, -2.44]) == expected


@pytest.mark.parametrize("name", ["sqrt", "exp", "log", "log10", "sin", "cos", "tan"])
def test_functions_of_floats(name):
    numbers = [0.25, 1.0, 7.5, 42.0]
    made = values(f"{name}(x)", x=numbers)
    assert made == pytest.approx([getattr(math, name)(x) for x in numbers], rel=1e-12)
    powers = values("x ** 2.5 + atan2(x, 2)", x=numbers)
    assert powers == pytest.approx([x**2.5 + math.atan2(x, 2) for x in numbers], rel=1e-12)


def test_parts_of_times_before_1970():
    times = np.array(
        ["1969-12-31T23:59:59", "1900-02-28T00:00:00", "2024-02-29T12:30:00"], "M8[us]"
    )
    assert values("hour(t)", t=times) == [23, 0, 12]
    assert values("minute(t)", t=times) == [59, 0, 30]
    assert values("weekday(t)", t=times) == [2, 2, 3]
    assert values("day(t)", t=times) == [31, 28, 29]
    assert values("month(t)", t=times) == [12, 2, 2]
    assert values("year(t)", t=times) == [1969, 1900, 2024]
