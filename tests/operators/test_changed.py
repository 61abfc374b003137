import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.errors import ConfigError
from edgestream.operators.changed import Changed
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator
from tests.operators.streams import ANY, NUMBERS, TEXTS, TRUTHS, WHOLE, S, same, slowly, streams

SCHEMA = Schema.of_kinds({"device": "string", "x": "float"})


def reference(events, forget):
    def step(state, row, time):
        if row["x"] is not None and state.get("x") != row["x"]:
            state["x"] = row["x"]
            yield "", row

    return slowly(events, forget, dict, step)


@ANY
@given(st.data(), st.sampled_from([NUMBERS, TEXTS, WHOLE, TRUTHS]))
def test_any_stream(data, values):
    events = data.draw(streams(values))
    same(Changed("x", by="device", forget="15s"), events, reference(events, 15 * S))


def test_only_changes_pass():
    states = ["on", "on", None, "on", "off", None, "off", "on"]
    left = check_operator(
        Changed("s"), [from_rows([{"s": s, "n": n} for n, s in enumerate(states)])]
    )
    assert [row["n"] for row in left[""]] == [0, 4, 7]


def test_minus_zero_is_zero():
    left = check_operator(Changed("x"), [from_rows([{"x": x} for x in (0.0, -0.0, 1.0)])])
    assert [row["x"] for row in left[""]] == [0, 1]


def test_without_the_column_nothing_passes():
    assert check_operator(Changed("x"), [from_rows([{"y": 1}, {"y": 2}])]) == {}


def test_schema():
    step = Changed("x", by="device")
    assert step.infer(SCHEMA) == SCHEMA
    assert step.uses() == {"x": "any", "device": "any"}
    assert step.passes(frozenset({"n"})) == {"n"}
    with pytest.raises(ConfigError) as caught:
        Changed("y", by="devise").infer(SCHEMA)
    assert [problem.path for problem in caught.value.problems] == [("column",), ("by", 0)]
    with pytest.raises(ConfigError, match="named twice"):
        Changed("x", by=["d", "d"])
