import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.eventtime import ENDED, UNKNOWN
from edgestream.operators.fill import Fill
from edgestream.schema import Schema
from edgestream.testing.operators import TIME, check_operator
from tests.operators.streams import ANY, NUMBERS, TEXTS, WHOLE, S, batch, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float", "n": "int", "on": "bool", "at": "time"})


def reference(events, age, forget):
    def step(state, row, time):
        if row["x"] is not None:
            state.update(x=row["x"], time=time)
        held = state.get("x") if time - state.get("time", time) <= age else None
        yield "", {**row, "x": held}

    return slowly(events, forget, dict, step)


@ANY
@given(st.data(), st.sampled_from([NUMBERS, TEXTS, WHOLE]), st.none() | st.integers(1, 10))
def test_the_last_value_is_held(data, values, age):
    events = data.draw(streams(values))
    step = Fill("x", by="device", max_age=age and f"{age}s", forget="15s")
    same(step, events, reference(events, age * S if age else math.inf, 15 * S))


def on_lines(events, reach):
    """One row after the other: what leaves, each row with x as it then is."""
    last, waiting, left, mark = {}, [], [], UNKNOWN
    for event in [*events, ENDED]:
        if isinstance(event, int):
            mark = max(mark, event)
            over = [row for row in waiting if last[row[0]["device"]][0] + reach < mark]
            waiting = [row for row in waiting if row not in over]
            left += over
            continue
        for row, time in zip(event.rows(), event.times.tolist(), strict=True):
            key = row["device"]
            since, x = last.get(key, (None, None))
            if row["x"] is None:
                vain = since is None or since + reach < mark
                (left if vain else waiting).append((row, time))
                continue
            for one in [one for one in waiting if one[0]["device"] == key]:
                waiting.remove(one)
                gap, at = time - since, one[1] - since
                share = min(max(at / gap, 0), 1) if gap > 0 else min(max(at, 0), 1)
                value = x + (row["x"] - x) * share if gap <= reach else None
                left.append(({**one[0], "x": value}, one[1]))
            last[key] = time, row["x"]
            left.append((row, time))
    return {"": [{**row, TIME: time} for row, time in left]}


@ANY
@given(streams(), st.integers(1, 12))
def test_lines_are_drawn_to_the_next_reading(events, reach):
    step = Fill("x", by="device", how="linear", max_age=f"{reach}s", forget="1h")
    wanted = on_lines(events, reach * S)
    same(step, [*events, ENDED], wanted if wanted[""] else {})


def test_windows_of_a_silent_key_lie_on_a_line_and_leave_in_their_order():
    rows = [{"x": x} for x in (1.0, None, None, 4.0, None, None, None, None)]
    step = Fill("x", how="linear", max_age="30s")
    times = [at * 10 * S for at in range(8)]
    left = check_operator(step, [from_rows(rows, times), 60 * S, 61 * S])[""]
    xs = [1.0, 2.0, 3.0, 4.0, None, None, None, None]
    assert left == [{"x": x, TIME: time} for x, time in zip(xs, times, strict=True)]


def test_a_reading_without_one_of_several_columns_leaves_it_missing_on_both_sides():
    rows = [{"a": 1, "b": 1}, {}, {"a": 3, "b": None}, {}, {"a": 5, "b": 5}]
    rows = [{"a": None, "b": None, **row} for row in rows]
    step = Fill(["a", "b"], how="linear", max_age="1m")
    left = check_operator(step, [from_rows(rows, [at * S for at in range(5)])])[""]
    assert [row["a"] for row in left] == [1, 2, 3, 4, 5]
    assert [row["b"] for row in left] == [1, None, None, None, 5]


def test_rows_that_wait_are_weighed_and_a_window_behind_goes_by_as_much_less():
    step = Fill("x", by="device", how="linear", max_age="1m")
    assert step.behind() == 60 * S
    step.process(batch([{"device": "a", "x": 1.0}], [S]))
    size = step.state_bytes()
    gap = batch([{"device": "a", "x": None}, {"device": "a", "x": 2.0}], [2 * S, 3 * S])
    assert step.grows(gap).tolist() == [True, False]
    assert step.process(gap.take(slice(0, 1))) == ()
    assert step.state_bytes() > size


def filled(rows, *columns, **settings):
    left = check_operator(Fill(list(columns), **settings), [from_rows(rows)])[""]
    return [tuple(row.get(name) for name in columns) for row in left]


def test_several_columns():
    rows = [{"a": 1, "b": "x"}, {"a": None, "b": None}, {"a": 3, "b": None}, {"a": None, "b": "y"}]
    assert filled(rows, "a", "b") == [(1, "x"), (1, "x"), (3, "x"), (3, "y")]
    assert filled([{"c": 1}], "a", "b") == [(None, None)]


@pytest.mark.parametrize(
    ("value", "rows", "wanted"),
    [
        (0, [1.5, None], [1.5, 0]),
        (0.5, [1, None], [1, 0.5]),
        (-1, [None, None], [-1, -1]),
        ("none", ["a", None], ["a", "none"]),
        (True, [None, 0], [1, 0]),
    ],
)
def test_a_constant(value, rows, wanted):
    left = filled([{"x": x} for x in rows], "x", how="constant", value=value)
    assert [x for (x,) in left] == wanted
    assert filled([{"y": 1}], "x", how="constant", value=value) == [(value,)]


def test_a_batch_that_is_whole_goes_through():
    whole = from_rows([{"x": 1}, {"x": 2}])
    ((_, left),) = Fill("x").process(whole)
    assert left is whole
    assert Fill("x", how="constant", value=0).snapshot() is None


def test_texts_of_a_constant_stay_in_one_dictionary():
    step = Fill("x", how="constant", value="none")
    batches = [step.process(from_rows([{"x": None}, {"x": "a"}]))[0][1] for _ in range(2)]
    assert batches[0]["x"].dictionary is batches[1]["x"].dictionary


def test_schema():
    step = Fill(["x", "n"], by="device")
    assert step.infer(SCHEMA) == SCHEMA
    assert step.uses() == dict.fromkeys(("x", "n", "device"), "any")
    assert step.passes(frozenset({"at"})) == {"at"}
    assert build(Fill, {"columns": "x", "how": "constant", "value": 0}).value == 0
    line = Fill("n", how="linear", max_age="1s")
    assert line.infer(SCHEMA) == SCHEMA.with_fields({"n": "float"})
    assert line.uses() == {"n": "float"}
    with pytest.raises(ConfigError, match="holds text"):
        Fill("device", how="linear", max_age="1s").infer(SCHEMA)
    with pytest.raises(ConfigError) as caught:
        Fill(["x", "y"], by="devise").infer(SCHEMA)
    assert [p.path for p in caught.value.problems] == [("columns", 1), ("by", 0)]


@pytest.mark.parametrize(
    ("column", "value"), [("device", 0), ("x", "a"), ("at", "a"), ("at", 0), ("on", "a")]
)
def test_a_constant_is_of_the_kind_of_its_column(column, value):
    with pytest.raises(ConfigError) as caught:
        Fill(column, how="constant", value=value).infer(SCHEMA)
    assert [p.path for p in caught.value.problems] == [("columns", 0)]


@pytest.mark.parametrize(
    "settings",
    [
        {"columns": []},
        {"columns": ["x", "x"]},
        {"how": "constant"},
        {"value": 0},
        {"how": "constant", "value": 0, "max_age": "1s"},
        {"how": "linear"},
        {"how": "linear", "max_age": "1d"},
        {"how": "linear", "max_age": "1s", "value": 0},
    ],
)
def test_refused_when_made(settings):
    with pytest.raises(ConfigError):
        Fill(**{"columns": "x", **settings})
