"""The aggregates one by one: what is odd about each, arguments, kinds, and rows that are late."""

from __future__ import annotations

import numpy as np
import pytest

import edgestream.aggregate as agg
from edgestream.aggregate import Aggregate
from edgestream.aggregate.cells import Cells
from edgestream.aggregate.functions import FUNCTIONS
from edgestream.batch import Batch, Strings, from_rows, to_python
from edgestream.errors import ConfigError
from edgestream.operators.window import Window
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator
from tests.window.reference import SECOND

SCHEMA = Schema.of_kinds({"x": "float", "n": "int", "on": "bool", "s": "string", "t": "time"})


def of(text, rows, seconds=None):
    """The result of one cell that took rows in one batch."""
    cells = Cells({"a": Aggregate.from_config(text)}, 1)
    times = [round(one * SECOND) for one in (seconds or range(len(rows)))]
    cells.update(np.zeros(len(rows), np.intp), from_rows(rows, times))
    return to_python(cells.finish()["a"])[0]


def xs(*values):
    return [{"x": value} for value in values]


@pytest.mark.parametrize(
    ("text", "values", "wanted"),
    [
        ("count_if(x > 2)", (1.0, 3.0, None, 5.0), 2),
        ("any(x > 2)", (1.0, 3.0), True),
        ("all(x > 2)", (1.0, 3.0), False),
        ("any(x)", (None, None), None),
        ("variance(x)", (1.0, 2.0, 4.0), pytest.approx(7 / 3)),
        ("rms(x)", (3.0, -4.0), pytest.approx(12.5**0.5)),
        ("rms(x)", (3.0, -np.inf), np.inf),
        ("median(x)", (5.0, 1.0, 2.0, 100.0), 3.5),
        ("median(x)", (-np.inf, np.inf), None),
        ("median(x)", (-np.inf, 3.0), -np.inf),
        ("median(x)", (np.inf, np.inf), np.inf),
        ("histogram(x, 0, 10, 2)", (-1.0, 0.0, 4.9, 5.0, 10.0, None),
         '{"below": 1, "counts": [2, 1], "above": 1}'),
        ("mode(x)", (2.0, 1.0, 1.0, 2.0, 7.0), 1.0),
        ("mode(x)", ("b", "a", "b", None), "b"),
        ("top_k(x, 2)", ("b", "a", "b", "c"), '[["b", 2], ["a", 1]]'),
        ("collect(x, 2)", ("ü", None, '"'), '["ü", "\\""]'),
        ("collect(x)", (np.inf, 1.0), '["inf", 1.0]'),
        ("collect(x)", (True, False), "[true, false]"),
        ("delta(x)", (5.0, 9.0, 7.0), 2.0),
        ("delta(x)", (5.0,), 0.0),
        ("rate(x)", (10.0, 14.0, 3.0, 5.0), 3.0),
        ("rate(x)", (10.0,), None),
        ("rate(x)", (1.0, -np.inf, 5.0), None),
        ("integral(x)", (2.0, 4.0, 4.0), 7.0),
        ("integral(x)", (2.0,), 0.0),
        ("integral(x)", (2.0, np.inf, 4.0), None),
        ("time_weighted_mean(x)", (2.0, 4.0, 4.0), 3.5),
        ("time_weighted_mean(x)", (2.0,), 2.0),
        ("ewma(x, 1s)", (0.0, 3.0), 2.0),
        ("slope(x)", (1.0, 3.0, 5.0), 2.0),
        ("slope(x)", (1.0,), None),
        ("intercept(x)", (1.0, 3.0, 5.0), 1.0),
        ("zero_crossings(x)", (1.0, 0.0, -1.0, 0.0, -2.0, 3.0), 2),
        ("zero_crossings(x)", (0.0, 0.0), 0),
        ("fft_peak(x)", (1.0, 2.0, 3.0), None),
        ("fft_peak(x)", (5.0, 5.0, 5.0, 5.0), None),
        ("fft_amplitude(x)", (5.0, 5.0, 5.0, 5.0), 0.0),
    ],
)  # fmt: skip
def test_results(text, values, wanted):
    got = of(text, xs(*values))
    assert got == wanted
    assert type(got) is type(wanted) or not isinstance(wanted, bool | int | str | float)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_of_no_value_counts_are_zero_and_all_else_is_missing(name):
    function = FUNCTIONS[name]
    columns = ["x"] * len(function.columns) if function.needs_expression else []
    constants = [constant.show(constant.example) for constant in function.constants]
    text = f"{name}({', '.join([*columns, *constants])})"
    cells = Cells({"a": Aggregate.from_config(text)}, 2)
    cells.update(np.zeros(2, np.intp), Batch({"x": np.full(2, np.nan)}, np.arange(2)))
    merged = cells.take(np.tile(np.arange(2), (3, 1))).merge()
    for some in (cells, merged):
        got = to_python(some.finish()["a"])
        if name == "count":
            assert got[1] == 0
        else:
            assert got == [0, 0] if name.startswith("count") else got == [None, None]


def test_argmin_and_argmax_give_the_value_of_the_row():
    rows = [{"s": "a", "by": 2.0}, {"s": "b", "by": 1.0}, {"s": "c", "by": 1.0}, {"by": 0.0}]
    assert of("argmin(s, by)", rows) == "b"
    assert of("argmin(s, by)", rows, [0, 5, 4, 3]) == "c"
    assert of("argmax(s, by)", rows) == "a"
    assert of("argmax(by, 0 - by)", rows) == 0.0


def test_times_are_collected_and_found_as_times():
    cells = Cells({t: Aggregate.from_config(t) for t in ("mode(x)", "collect(x)")}, 1)
    stamps = np.array(["2024-05-01", "2023-01-01T10:00:00.5", "2024-05-01"], "datetime64[us]")
    cells.update(np.zeros(3, np.intp), Batch({"x": stamps}, np.arange(3)))
    assert cells.finish()["mode(x)"].tolist() == [stamps[0].item()]
    (listed,) = to_python(cells.finish()["collect(x)"])
    assert listed.startswith('["2024-05-01T00:00:00Z", "2023-01-01T10:00:00.5Z"')


def test_a_column_that_turns_out_wider_is_widened_in_every_place():
    texts = ["mode(x)", "top_k(x, 3)", "collect(x)", "argmin(x, y)"]
    cells = Cells({text: Aggregate.from_config(text) for text in texts}, 1)
    at = np.zeros(2, np.intp)

    def take(column, time):
        cells.update(at, Batch({"x": column, "y": np.array([1.0, time])}, np.array([time, time])))
        return {name: to_python(column)[0] for name, column in cells.finish().items()}

    assert take(np.array([True, True]), 1)["mode(x)"] is True
    assert take(np.array([3, 3]), 2)["top_k(x, 3)"] == "[[1, 2], [3, 2]]"
    assert take(np.array([0.5, 3.0]), 3)["mode(x)"] == 3.0
    got = take(Strings.of(["3.0", "up"]), 4)
    assert got["mode(x)"] == "3.0"
    assert got["top_k(x, 3)"].startswith('[["3.0", 4], ["1.0", 2]')
    assert got["collect(x)"] == '["1.0", "1.0", "3.0", "3.0", "0.5", "3.0", "3.0", "up"]'
    assert got["argmin(x, y)"] == "1.0"
    meta, arrays = cells.save()
    fresh = Cells({text: Aggregate.from_config(text) for text in texts})
    fresh.load(meta, arrays)
    assert to_python(fresh.finish()["collect(x)"]) == [got["collect(x)"]]
    fresh.load(*Cells({text: Aggregate.from_config(text) for text in texts}).save())
    assert len(fresh) == 0


PATHS = {"area": "integral(x)", "n": "count()", "all": "collect(x)", "rate": "rate(x)"}


def steps(*given):
    made = []
    for one in given:
        if isinstance(one, list):
            made.append(from_rows([{"x": x} for _, x in one], [t * SECOND for t, _ in one]))
        else:
            made.append(one * SECOND)
    return made


def test_rows_that_come_in_any_order_are_followed_in_time():
    given = steps([(9, 1.0), (1, 1.0), (5, 3.0)], [(3, 2.0), (4, 2.5)], 10)
    (row,) = check_operator(Window(tumbling="10s", aggregate=PATHS), given)[""]
    assert (row["n"], row["area"], row["all"]) == (5, 16.0, "[1.0, 2.0, 2.5, 3.0, 1.0]")


def test_a_row_behind_the_watermark_counts_but_the_path_is_drawn_already():
    given = steps([(1, 1.0), (5, 1.0)], 6, [(3, 50.0), (8, 1.0)], 10)
    (row,) = check_operator(Window(tumbling="10s", aggregate=PATHS), given)[""]
    assert (row["n"], row["area"], row["all"]) == (4, 7.0, "[1.0, 50.0, 1.0, 1.0]")


def test_late_rows_that_rise_in_time_are_a_path_of_their_own():
    given = steps(20, [(1, 1.0), (4, 1.0), (2, 9.0), (7, 3.0)], 21)
    (row,) = check_operator(Window(tumbling="10s", late="1m", aggregate=PATHS), given)[""]
    assert (row["n"], row["area"]) == (4, 9.0)


def test_sessions_that_become_one_join_their_paths():
    given = steps([(0, 1.0), (8, 1.0)], 9, [(4, 5.0)], 100)
    window = Window(session="5s", late="1m", aggregate=PATHS)
    rows = check_operator(window, given)[""]
    assert [(row["n"], row["area"]) for row in rows] == [(1, 0.0), (3, 8.0)]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("quantile(x, 0.95)", agg.quantile("x", 0.95)),
        ("quantile( x + 1 ,.5)", agg.quantile("x + 1", 0.5)),
        ("ewma(x, 1m)", agg.ewma("x", "60s")),
        ("correlation(x, min(n, 3))", agg.correlation("x", "min(n, 3)")),
        ("histogram(x, -1, 1e2, 5)", agg.histogram("x", -1, 100, 5)),
        ("top_k(concat(s, ',)'), 3)", agg.top_k("concat(s, ',)')", 3)),
        ("argmin(`a,b`, x)", agg.argmin("`a,b`", "x")),
        ("collect(x, 7)", agg.collect("x", 7)),
        ("any(x > 1)", agg.any("x > 1")),
        ("all(on)", agg.all("on")),
    ],
)
def test_text_and_function_make_the_same(text, made):
    assert Aggregate.from_config(text) == made
    assert Aggregate.from_config(str(made)) == made


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("quantile(x)", "quantile() cannot take 1 argument", 1),
        ("quantile(x, 1.5)", "q is a number from 0 to 1, got 1.5", 13),
        ("quantile(x,  n)", "q is a number from 0 to 1, got 'n'", 14),
        ("quantile(x, nan)", "q is a number from 0 to 1", 13),
        ("quantile(x, 0.5, 2)", "quantile() cannot take 3 arguments", 18),
        ("mean(x, n)", "mean() cannot take 2 arguments", 9),
        ("count(x, n)", "count() cannot take 2 arguments", 10),
        ("correlation(x)", "correlation() cannot take 1 argument", 1),
        ("correlation(x, )", "the expression is empty", 15),
        ("correlation(x, y + )", "the expression ends too early", 20),
        ("ewma(x, 30)", "half_life is a duration like 30s from 1ns", 9),
        ("ewma(x, 0s)", "half_life is a duration like 30s from 1ns", 9),
        ("top_k(s, 2.5)", "k is a whole number from 1 to 100, got '2.5'", 10),
        ("collect(x, 100000)", "max is a whole number from 1 to 1000, got 100000", 12),
        ("histogram(x, 5, 1, 3)", "lo must be less than hi", 1),
        ("medain(x, y)", "there is no aggregate 'medain'", 1),
    ],
)
def test_wrong_arguments_are_told_with_their_place(text, message, column):
    with pytest.raises(ConfigError) as caught:
        Aggregate.from_config(text)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.column == column


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("median(s)", "median() needs numbers, and this is text", 0),
        ("integral(t)", "integral() needs numbers, and this is a time", 0),
        ("any(x)", "any() needs a condition, and this is a float", 0),
        ("correlation(x, s)", "correlation() needs numbers, and this is text", 0),
        ("argmax(s, t)", "argmax() needs numbers, and this is a time", 0),
        ("correlation(x, zz)", "there is no column 'zz' here", 16),
    ],
)
def test_kinds_that_make_no_sense_are_refused(text, message, column):
    with pytest.raises(ConfigError) as caught:
        Aggregate.from_config(text).check(SCHEMA)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.column == column


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("count_if(on)", "int"),
        ("any(x > 1)", "bool"),
        ("count_distinct(s)", "int"),
        ("median(n)", "float"),
        ("mode(s)", "string"),
        ("mode(t)", "time"),
        ("top_k(n, 3)", "string"),
        ("argmin(t, x)", "time"),
        ("collect(n)", "string"),
        ("zero_crossings(x)", "int"),
        ("rate(n)", "float"),
        ("delta(n)", "int"),
        ("delta(x)", "float"),
        ("delta(on)", "int"),
    ],
)
def test_kind_of_the_result(text, kind):
    assert Aggregate.from_config(text).check(SCHEMA) == kind


def test_columns_it_reads_with_the_kind_it_needs():
    assert agg.correlation("x", "y").kinds() == {"x": "float", "y": "float"}
    assert agg.argmin("s", "x").kinds() == {"s": "any", "x": "any"}
    assert agg.any("on").kinds() == {"on": "bool"}
    assert agg.argmin("s", "x").names == {"s", "x"}


def test_quantiles_of_one_expression_share_their_state():
    texts = ["p50(x)", "p99(x)", "quantile(x, 0.1)", "median(x)", "mean(x)", "rms(x)"]
    cells = Cells({text: Aggregate.from_config(text) for text in texts}, 1)
    assert [len(track.parts) for track in cells.tracks] == [2]
    two = Cells({t: Aggregate.from_config(t) for t in ("collect(x, 5)", "collect(x, 6)")}, 1)
    assert [len(track.parts) for track in two.tracks] == [2]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_bytes_a_cell_are_those_on_the_page(name):
    function = FUNCTIONS[name]
    columns = ["x"] * len(function.columns) if function.needs_expression else []
    constants = [constant.show(constant.example) for constant in function.constants]
    text = f"{name}({', '.join([*columns, *constants])})"
    cells = Cells({"a": Aggregate.from_config(text)}, 10)
    cells.update(np.zeros(1, np.intp), Batch({"x": np.array([1.0])}, np.array([0])))
    assert cells.nbytes == 10 * function.state_bytes
