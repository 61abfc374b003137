import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.codecs.json import Json
from edgestream.errors import ConfigError
from edgestream.graph import build
from edgestream.operators.route import Route
from edgestream.read import read_text
from edgestream.schema import Schema
from edgestream.testing.operators import check_operator

SCHEMA = Schema.of_kinds({"temperature": "float", "device": "string", "on": "bool"})
ROWS = [
    {"temperature": 35.0, "device": "attic"},
    {"temperature": -3.0, "device": "cellar"},
    {"temperature": 20.0, "device": "attic"},
    {"temperature": None, "device": None},
]
PIPELINE = """
name: routed
sources:
  rows: {file: x.ndjson}
streams:
  split:
    from: rows
    steps:
      - route: {hot: temperature > 30, cold: temperature < 0}
      - select: [temperature]
  few:
    from: split.hot
    steps: [{select: [device]}]
sinks:
  rest: {from: split, stdout: {}}
  hot: {from: few, stdout: {}}
  cold: {from: few, stdout: {}}
"""


def left(route, rows=ROWS):
    found = check_operator(route, [from_rows(rows, range(len(rows)))])
    return {port: [row["@time"] for row in some] for port, some in found.items()}


def test_each_row_leaves_by_the_port_of_its_condition():
    route = Route({"hot": "temperature > 30", "cold": "temperature < 0"})
    assert left(route) == {"hot": [0], "cold": [1], "": [2, 3]}
    assert route.ports == ("hot", "cold")
    assert route.fresh().ports == ("hot", "cold")


def test_the_first_condition_wins_or_all_do():
    conditions = {"warm": "temperature > 10", "attic": "device == 'attic'"}
    assert left(Route(conditions)) == {"warm": [0, 2], "": [1, 3]}
    assert left(Route(conditions, first=False)) == {"warm": [0, 2], "attic": [0, 2], "": [1, 3]}


def test_missing_values_and_columns_are_true_of_nothing():
    assert left(Route({"a": "nowhere > 1", "b": "nowhere != 1"})) == {"": [0, 1, 2, 3]}
    assert left(Route({"gone": "temperature is missing"})) == {"gone": [3], "": [0, 1, 2]}


def test_rows_that_all_go_one_way_are_not_copied():
    batch = from_rows(ROWS)
    assert Route({"a": "true"}).process(batch) == [("a", batch)]
    assert Route({"a": "false"}).process(batch) == [("", batch)]


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1), st.booleans())
def test_as_one_row_at_a_time(values, first):
    rows = [{"x": value, "y": 1.0} for value in values]
    tests = {"a": lambda x: x > 2, "b": lambda x: x < 0, "c": lambda x: x < 4}
    wanted = {}
    for row, value in enumerate(values):
        ports = [port for port, test in tests.items() if value is not None and test(value)]
        for port in (ports[:1] if first else ports) or [""]:
            wanted.setdefault(port, []).append(row)
    route = Route({"a": "x > 2", "b": "x < 0", "c": "x < 4"}, first=first)
    assert left(route, rows) == wanted


def test_every_wrong_condition_is_told():
    route = Route({"a": "temprature > 1", "b": "temperature + 1", "c": "on"})
    with pytest.raises(ConfigError) as caught:
        route.infer(SCHEMA)
    one, other = caught.value.problems
    assert (one.path[:2], one.hint) == (("conditions", "a"), "did you mean 'temperature'?")
    assert other.path == ("conditions", "b")
    assert "gives a number, not true or false" in other.message
    assert Route({"c": "on"}).infer(SCHEMA) == SCHEMA


@pytest.mark.parametrize("name", ["", "Hot", "1st", "a.b", "two words"])
def test_ports_have_usable_names(name):
    with pytest.raises(ConfigError, match="not a usable name"):
        Route({name: "true"})
    with pytest.raises(ConfigError, match="there is no condition"):
        Route({})


def test_what_it_reads():
    route = Route({"a": "x > 1 or y", "b": "x is missing and z == 'a'"})
    assert route.uses() == {"x": "float", "y": "bool", "z": "string"}
    assert route.passes(frozenset({"q"})) == {"q"}


def test_its_ports_are_ports_of_the_pipeline():
    spec = read_text(PIPELINE.encode(), "x.yaml")
    graph = build(spec, Json())
    arrived = graph.push("rows", from_rows(ROWS))
    found = {}
    for sink, batch in arrived:
        found.setdefault(sink, []).extend(batch.rows())
    assert found["hot"] == found["cold"] == [{"device": "attic"}]
    assert found["rest"] == [{"temperature": 20.0}, {"temperature": None}]


def test_columns_that_only_a_port_needs_are_decoded():
    graph = build(read_text(PIPELINE.encode(), "x.yaml"), Json())
    codec = graph.entries["rows"].codec
    decoded = codec.decode([b'{"temperature": 31, "device": "a", "other": 1}'])
    assert sorted(decoded.columns) == ["device", "temperature"]


def test_a_port_that_is_not_there_is_told():
    text = PIPELINE.replace("split.hot", "split.hat")
    with pytest.raises(ConfigError, match=r"'split' has no port 'hat'; did you mean 'hot'\?"):
        read_text(text.encode(), "x.yaml")


def test_a_condition_that_cannot_be_read_takes_no_port_away():
    text = PIPELINE.replace("temperature > 30", "temperature >")
    with pytest.raises(ConfigError) as caught:
        read_text(text.encode(), "x.yaml")
    assert len(caught.value.problems) == 1
