import json

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st

from edgestream.config import yaml, yaml_build
from edgestream.config.values import Template
from edgestream.errors import ConfigError, Problem


@pytest.fixture(params=["c", "python"], autouse=True)
def parser(request, monkeypatch):
    """Every test runs with libyaml and with the parser in Python."""
    if request.param == "c" and not pyyaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")
    if request.param == "python":
        monkeypatch.setattr(yaml, "_loader", lambda: pyyaml.SafeLoader)


def load(text: str | bytes):
    return yaml.load(text if isinstance(text, bytes) else text.encode(), "p.yaml")


def problems(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    for problem in caught.value.problems:
        assert problem.file == "p.yaml"
        assert problem.line >= 1
        assert problem.column >= 1
    return caught.value.problems


def told(text: str | bytes) -> str:
    return "\n".join(str(problem) for problem in problems(text))


PIPELINE = """\
name: weather
source:
  mqtt: {url: "mqtt://localhost:1883", topics: [sensors/+/telemetry]}
  time: {field: ts, unit: ms, delay: 2s}
steps:
  - where: temperature > -40 and temperature < 85
  - window:
      tumbling: 10s
      aggregate:
        n: count()
        p95: quantile(temperature, 0.95)
sink:
  sqlite: {path: weather.db, table: averages}
"""


def test_a_pipeline_becomes_plain_values_with_places():
    document = load(PIPELINE)
    assert document.data["source"]["mqtt"]["topics"] == ["sensors/+/telemetry"]
    aggregate = document.data["steps"][1]["window"]["aggregate"]
    assert aggregate == {"n": "count()", "p95": "quantile(temperature, 0.95)"}
    assert document.marks["source", "mqtt", "url"] == yaml.Mark(3, 15)
    assert document.key_marks["steps", 1, "window", "aggregate", "p95"] == yaml.Mark(11, 9)
    assert document.marks["steps", 0] == yaml.Mark(6, 5)
    assert document.marks[()] == yaml.Mark(1, 1)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("2026-11-24", "2026-11-24"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("1.2.3", "1.2.3"),
        ("-", [None]),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1.5", 1.5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("6.02e23", 6.02e23),
        ("1e3", 1000.0),
        ("'12'", "12"),
        ('"true"', "true"),
        ('"a\\nb"', "a\nb"),
        ("|\n  one\n  two", "one\ntwo"),
        (">-\n  one\n  two", "one two"),
        ("{}", {}),
        ("[]", []),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written, value):
    found = load(f"k: {written}" if written != "-" else "k:\n-").data["k"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("9223372036854775808", "does not fit in 64 bits"),
        ("-9223372036854775809", "does not fit in 64 bits"),
        ("0xFFFFFFFFFFFFFFFFFF", "does not fit in 64 bits"),
        ("9" * 5000, "99999999999999999999… (5000 characters) does not fit in 64 bits"),
        ("007", "leading zeros"),
        ("-00", "leading zeros"),
        (".inf", ".inf is not a number"),
        ("-.INF", "is not a number"),
        (".nan", ".nan is not a number"),
        ("1e999", "too large"),
        ("1" * 400 + ".0", "too large"),
    ],
)
def test_numbers_that_mean_two_things_are_refused(written, words):
    (problem,) = problems(f"a: 1\nk: {written}")
    assert words in problem.message
    assert (problem.line, problem.column, problem.path) == (2, 4, ("k",))


def test_templates_are_kept_for_later_in_values_only():
    data = load("a: ${X}\nb: \"p-${X:-1}\"\nc: '$${X}'\nd: |\n  ${X}\ne: $X\n").data
    assert [type(data[key]) for key in "abcd"] == [Template] * 4
    assert type(data["e"]) is str
    assert "values only" in told("${X}: 1")
    assert "values only" in told('"${X}": 1')


def test_keys_stay_text_and_come_once():
    assert load("n: 1\non: 2\nNO: 3\n'5': 4\n2026-01-01: 5").data == {
        "n": 1,
        "on": 2,
        "NO": 3,
        "5": 4,
        "2026-01-01": 5,
    }
    assert "the key 5 is not text; write it in quotes" in told("5: 1")
    assert "the key 1.5 is not text" in told("1.5: 1")
    assert "the key true is not text" in told("true: 1")
    assert "the key 007 is not text" in told("007: 1")
    assert "a key is missing" in told("? \n: b")
    assert "cannot be a key" in told("[a]: b")
    assert "cannot be a key" in told("{a: b}: c")
    assert "an alias" in told("*a : c")


def test_all_duplicate_keys_are_told_at_once():
    found = problems("a: 1\nb:\n  c: 1\n  c: 2\na: 2\nd: {e: 1, e: 2, e: 3}\n")
    assert [(problem.line, problem.column, problem.path) for problem in found] == [
        (4, 3, ("b", "c")),
        (5, 1, ("a",)),
        (6, 11, ("d", "e")),
        (6, 17, ("d", "e")),
    ]
    assert found[0].message == "the key 'c' comes twice; it came first on line 3"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a:\n\tb: 1", 2, 1, "a tab cannot be used to indent; use spaces"),
        ("\ta: 1", 1, 1, "a tab"),
        ("a:\n  b: 1\n \tc: 2", 3, 2, "a tab"),
        ("a: b: c", 1, 5, "must stand in quotes"),
        ("a: 1\n  b: 2", 2, 4, "keys of one mapping must line up"),
        ('x: 1\na: "b', 2, 4, "this quote is never closed"),
        ("a: 'b\n---\nc", 1, 4, "this quote is never closed"),
        ("a: [1, 2", 1, 4, "this '[' is not closed"),
        ("a: {b: 1\nc: d", 1, 4, "this '{' is not closed"),
        ("a: @b", 1, 4, "a value cannot begin with '@'; write the value in quotes"),
        ("a: `b`", 1, 4, "a value cannot begin with '`'"),
        ("a: %b", 1, 4, "a value cannot begin with '%'"),
        ("- a\nb: 1", 2, 1, "does not belong to the list above"),
        ("a: 'x' y", 1, 8, "does not belong to the mapping above"),
        ("a: - b", 1, 4, "begin the list on a line of its own"),
        ("a: >\n b\nc", 3, 1, "':' is missing after this key"),
        ("a: ]", 1, 4, "a value is missing here"),
        ("a: *", 1, 5, "aliases"),
        ("a: &", 1, 5, "anchors"),
        ("a: !e!x y", 1, 4, "tags"),
        ("%YAML 2.0\n---\na", 1, 1, "this version of YAML"),
        ("% a\n---\na", 1, 2, "'%' cannot begin a line"),
        ("a: 1\n...\nb: 2", 3, 1, "text after the end"),
        ("", 1, 1, "there is nothing in this file"),
        ("# only a comment", 1, 1, "there is nothing in this file"),
        ("---\n", 1, 1, "there is nothing in this file"),
    ],
)
def test_text_that_is_no_yaml_is_told_in_plain_words(text, line, column, words):
    (problem,) = problems(text)
    assert words in str(problem)
    assert (problem.line, problem.column) == (line, column)


def test_an_unknown_escape_is_told():
    (problem,) = problems('a: "C:\\dir"')
    assert "use single quotes" in problem.hint
    assert problem.line == 1


def test_a_mistake_no_wording_knows_is_passed_on():
    (problem,) = problems("a: |x")
    assert problem.message.startswith("not YAML: ")
    assert (problem.line, problem.column) == (1, 5)


@pytest.mark.parametrize(
    ("text", "column", "call"),
    [
        ("{p95: quantile(x, 0.95)}", 7, "quantile(x, 0.95)"),
        ("{n: count(), p95: quantile(x, 0.95), m: mean(x)}", 19, "quantile(x, 0.95)"),
        ("{a: f(x, 1, g(2)), b: 3}", 5, "f(x, 1, g(2))"),
        ("{a: f(x,\n b)}", 5, "f(x, b)"),
        ("[f(a, b), c]", 2, "f(a, b)"),
        ("[c, f(a, g(b, 1)), c]", 5, "f(a, g(b, 1))"),
    ],
)
def test_the_comma_of_a_call_in_a_flow_collection_is_recognised(text, column, call):
    (problem,) = problems(text)
    assert problem.message.startswith("a call with several arguments must stand in quotes inside")
    assert problem.hint == f'write "{call}"'
    assert problem.column == column


def test_brackets_that_are_no_split_call_are_left_alone():
    assert load("{a: f(x), b: '(', c: (, d: x}").data == {"a": "f(x)", "b": "(", "c": "(", "d": "x"}
    assert load("[(, a, f(x)]").data == ["(", "a", "f(x)"]
    assert load("a: quantile(x, 0.95)").data == {"a": "quantile(x, 0.95)"}
    assert load('{a: "f(x, 1)"}').data == {"a": "f(x, 1)"}


# reliability.md X2: what an attacker writes. Sizes and counts are asserted, never times.


def laughs() -> bytes:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{n}: &b{n} [*a, *a, *a, *a, *a, *a, *a, *a, *a]" for n in range(9)]
    return "\n".join(lines).encode()


ATTACKS = {
    "billion laughs": (laughs(), "anchors"),
    "deep flow": (b"a: " + b"[" * 200_000, "nested"),
    "deep flow mapping": (b"{a: " * 100_000, "nested"),
    "deep block": (b"- " * 200_000, "nested too deep; 40 levels are read"),
    "deep keys": (b"? " * 200_000, "nested too deep; 40 levels are read"),
    "python object": (b"a: !!python/object/apply:os.system ['x']", "tags"),
    "python name": (b"!!python/name:os.system", "tags"),
    "binary": (b"a: !!binary aGk=", "tags"),
    "local tag": (b"a: !include /etc/passwd", "tags"),
    "tag directive": (b"%TAG ! tag:x,2000:\n---\na: !y z", "tags"),
    "merge key": (b"<<: {a: 1}", "merge keys"),
    "merge of an alias": (b"a: &x {b: 1}\nc: {<<: *x}", "anchors"),
    "recursive alias": (b"&a [*a]", "anchors"),
    "10 MB": (b"a: " + b"x" * 10_000_000, "more than 1 MiB is not read"),
    "UTF-16 with a mark": ("a: 1".encode("utf-16"), "UTF-16"),
    "UTF-16 without": ("a: 1".encode("utf-16-le"), "UTF-16"),
    "UTF-32": ("a: 1".encode("utf-32"), "UTF-16 or UTF-32"),
    "latin 1": (b"a: caf\xe9", "not UTF-8: byte 0xe9"),
    "surrogate": (b"a: \xed\xa0\x80", "not UTF-8"),
    "overlong": (b"a: \xc0\xaf", "not UTF-8"),
    "NUL": (b"a: xyz\0", "U+0000"),
    "escape": (b"a: \x1b[2J", "U+001B"),
    "second mark": (b"a: \xef\xbb\xbf1", "U+FEFF"),
    "two documents": (b"a: 1\n---\nb: 2", "only one document"),
    "many documents": (b"--- 1\n" * 100_000, "only one document"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_with_its_place(name):
    text, words = ATTACKS[name]
    assert words in told(text)


def test_reading_stops_at_the_first_value_too_many():
    text = b"[" + b"a," * 500_000 + b"]"
    (problem,) = problems(text)
    assert problem.message == "more than 50000 values in one file"
    assert problem.column < 4 * yaml_build.MAX_NODES


def test_bounds_are_inclusive(monkeypatch):
    assert load("[" * 40 + "]" * 40).data is not None
    assert "nested" in told("[" * 41 + "]" * 41)
    monkeypatch.setattr(yaml_build, "MAX_NODES", 5)
    assert load("[a, b, c, d]").data == ["a", "b", "c", "d"]
    assert "more than 5 values" in told("[a, b, c, d, e]")


def test_a_flood_of_mistakes_is_cut_off():
    assert len(problems("a: 1\n" * 5000)) == yaml_build.MAX_PROBLEMS


def test_unclosed_brackets_cost_one_look_each(monkeypatch):
    looks = 0
    real = yaml_build._open_brackets

    def counted(text):
        nonlocal looks
        looks += 1
        return real(text)

    monkeypatch.setattr(yaml_build, "_open_brackets", counted)
    load("[" + "(," * 5000 + "]")
    assert looks <= 10_000


def test_a_utf8_mark_at_the_start_is_accepted():
    document = load(b"\xef\xbb\xbfa: 1")
    assert document.data == {"a": 1}
    assert document.marks["a",] == yaml.Mark(1, 4)


def test_the_place_of_a_byte_that_is_not_utf8():
    (problem,) = problems("a: é\r\nb: ü".encode() + b"\xff")
    assert (problem.line, problem.column) == (2, 5)


# Placing problems that others found.

PLACED = """\
source:
  mqtt:
    ulr: x
    topics: [a, 5]
  where: "a > x"
steps:
  - where: temprature > 3
  - set: {ü: 'temprature + 1'}
  - where: >
      temprature > 3
  - where: ${X}
"""


@pytest.mark.parametrize(
    ("problem", "line", "column"),
    [
        (Problem("unknown field 'ulr'", ("source", "mqtt", "ulr")), 3, 5),
        (Problem("expected text", ("source", "mqtt", "ulr")), 3, 10),
        (Problem("expected text", ("source", "mqtt", "topics", 1)), 4, 17),
        (Problem("the field 'url' is missing", ("source", "mqtt")), 2, 3),
        (Problem("the field is not there", ("source", "mqtt", "qos", "x")), 2, 3),
        (Problem("nothing fits", ()), 1, 1),
        (Problem("unknown name", ("steps", 0, "where"), column=1), 7, 12),
        (Problem("unknown name", ("steps", 0, "where"), column=12), 7, 23),
        (Problem("unknown name", ("source", "where"), column=5), 5, 15),
        (Problem("unknown name", ("steps", 1, "set", "ü"), column=1), 8, 15),
        (Problem("unknown name", ("steps", 2, "where"), column=3), 9, 12),
        (Problem("unknown name", ("steps", 3, "where"), column=3), 11, 12),
        (Problem("unknown name", ("steps", 3, "where")), 11, 12),
        (Problem("unknown step", ("steps", 9)), 6, 1),
        (Problem("placed before", ("source",), file="q", line=77, column=7), 77, 7),
    ],
)
def test_a_problem_is_put_where_it_belongs(problem, line, column):
    placed = load(PLACED).place(problem)
    assert (placed.line, placed.column) == (line, column)
    assert placed.message == problem.message
    assert placed.file == ("q" if problem.file else "p.yaml")


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, min_size=1, max_size=4))
def test_json_reads_as_itself(data):
    """JSON without ``${``, written in double quotes throughout, is YAML of the same meaning."""
    text = json.dumps(data)
    if "${" in text or "\\u" in text or "\\/" in text:
        return
    assert yaml.load(text.encode(), "p.yaml").data == data


SIGNS = [
    *("a", "b: ", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", '"', "'", "&x ", "*x", "!t "),
    *("#", "|\n", ">\n", "? ", "1", "${X}", "<<", "---\n", "...\n", "%", "@", "\t", "f(", "(", ")"),
]


@given(st.text(max_size=60) | st.lists(st.sampled_from(SIGNS), max_size=25).map("".join))
def test_any_text_gives_values_or_placed_problems(text):
    found: tuple[Problem, ...] = ()
    try:
        document = yaml.load(text.encode("utf-8", "surrogatepass"), "p.yaml")
    except ConfigError as error:
        found = error.problems
    else:
        assert () in document.marks
        return
    assert found
    assert all(problem.line and problem.column for problem in found)
