from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings, from_rows
from edgestream.component import State
from edgestream.config.convert import build
from edgestream.errors import ConfigError
from edgestream.operators.lag import Lag
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator, run_operator
from tests.operators.streams import ANY, NUMBERS, TEXTS, TRUTHS, WHOLE, S, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float", "n": "int"})


def reference(events, steps, forget):
    def step(values, row, time):
        back = values[-steps] if len(values) >= steps else (None, None)
        if row["x"] is not None:
            values.append((row["x"], time))
        moment = None if back[1] is None else datetime.fromtimestamp(back[1] / S, UTC)
        yield "", {**row, "previous": back[0], "then": moment}

    return slowly(events, forget, list, step)


@ANY
@given(st.data(), st.sampled_from([NUMBERS, TEXTS, WHOLE, TRUTHS]), st.integers(1, 3))
def test_any_stream(data, values, steps):
    events = data.draw(streams(values))
    lag = Lag("x", by="device", steps=steps, time="then", forget="15s")
    same(lag, events, reference(events, steps, 15 * S))


def test_the_value_before_within_and_across_batches():
    rows = [{"d": "a", "x": 1}, {"d": "b", "x": 2}, {"d": "a", "x": 3}, {"d": "b", "x": 4}]
    events = [from_rows(rows[:3], [0, 1, 2]), from_rows(rows[3:], [3])]
    left = check_operator(Lag("x", by="d"), events)[""]
    assert [row["previous"] for row in left] == [None, None, 1, 2]


def test_without_keys_all_rows_are_one():
    left = check_operator(Lag("x", steps=2, as_="old"), [from_rows([{"x": n} for n in range(5)])])
    assert [row["old"] for row in left[""]] == [None, None, 0, 1, 2]


def test_a_column_that_is_not_there():
    left = check_operator(Lag("x"), [from_rows([{"y": 1}]), from_rows([{"x": 1}, {"x": 2}])])
    assert [row["previous"] for row in left[""]] == [None, None, 1]


def test_texts_keep_their_meaning_across_dictionaries():
    one = Batch({"x": Strings.of(["red", "blue"])}, from_rows([{}, {}]).times)
    two = Batch({"x": Strings.of(["green", "red"])}, from_rows([{}, {}]).times)
    assert [row["previous"] for row in check_operator(Lag("x"), [one, two])[""]] == [
        None,
        "red",
        "blue",
        "green",
    ]


def test_many_keys_that_come_and_go_are_forgotten():
    lag = Lag("x", by="d", forget="10s")
    for second in range(100):
        rows = [{"d": f"{second}-{n}", "x": f"text {second}-{n}"} for n in range(100)]
        run_operator(lag, [from_rows(rows, [second * S] * 100), second * S])
    saved = lag.snapshot()
    assert len(saved.arrays["seen"]) < 4000
    assert len(saved.meta["kept"]["value"]["texts"]) < 6000
    again = run_operator(lag, [from_rows([{"d": "99-5", "x": "new"}, {"d": "1-5", "x": "new"}])])
    assert [row["previous"] for row in again[""]] == ["text 99-5", None]


def test_schema():
    lag = Lag("x", by="device", time="then")
    fields = lag.infer(SCHEMA).fields
    assert (fields["previous"], fields["then"]) == ("float", "time")
    assert Lag("n").infer(SCHEMA).fields["previous"] == "float"
    assert Lag("device").infer(SCHEMA).fields["previous"] == "string"
    assert lag.uses() == {"x": "any", "device": "any"}
    assert lag.passes(frozenset({"previous", "then", "n"})) == {"n"}
    assert lag.passes(None) is None
    assert lag.keys(("device", "window_start")) == ("device", "window_start")
    assert build(Lag, {"column": "x", "as": "y"}) == Lag("x", as_="y")


def test_every_unknown_name_at_once():
    with pytest.raises(ConfigError) as caught:
        Lag("y", by=["device", "sit"]).infer(SCHEMA)
    assert [problem.path for problem in caught.value.problems] == [("column",), ("by", 1)]


@pytest.mark.parametrize(
    "settings",
    [
        {"as_": ""},
        {"as_": "d"},
        {"time": "d"},
        {"time": "previous"},
        {"steps": 0},
        {"by": ["d", "d"]},
        {"by": [""]},
        {"forget": "0s"},
    ],
)
def test_refused_when_made(settings):
    with pytest.raises(ConfigError):
        Lag("x", **{"by": "d", **settings})


def test_a_snapshot_of_another_lag_is_refused():
    saved = Lag("x", by="d").snapshot()
    with pytest.raises(ConfigError, match="the saved state is of steps 1"):
        Lag("x", by="d", steps=2).restore(saved)
    with pytest.raises(ConfigError, match="unknown version"):
        Lag("x", by="d").restore(State(9, saved.meta, saved.arrays))
