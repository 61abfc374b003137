import pytest

from edgestream.errors import ConfigError
from edgestream.expr import Expr
from edgestream.schema import Schema

SCHEMA = Schema.of_kinds(
    {"i": "int", "x": "float", "s": "string", "flag": "bool", "t": "time", "what": "any"}
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1", "int"),
        ("1.5", "float"),
        ("'a'", "string"),
        ("true", "bool"),
        ("null", "any"),
        ("i", "int"),
        ("t", "time"),
        ("what", "any"),
        ("i + 1", "int"),
        ("i + x", "float"),
        ("i + what", "float"),
        ("i / 2", "float"),
        ("i // 2", "int"),
        ("i // -2", "int"),
        ("i // 0", "float"),
        ("i // i", "float"),
        ("i % 2.0", "float"),
        ("i ** 2", "float"),
        ("-i", "int"),
        ("abs(i)", "int"),
        ("floor(x)", "float"),
        ("round(i, 1)", "int"),
        ("sqrt(i)", "float"),
        ("max(i, x)", "float"),
        ("i > 1", "bool"),
        ("t > t", "bool"),
        ("s in ('a', 'b')", "bool"),
        ("s is missing", "bool"),
        ("flag and what", "bool"),
        ("flag == true", "bool"),
        ("if(flag, 1, 2)", "int"),
        ("if(flag, 1, x)", "float"),
        ("if(flag, s, null)", "string"),
        ("if(flag, what, what)", "any"),
        ("if(flag, t, t)", "time"),
        ("coalesce(what, s)", "string"),
        ("coalesce(x, 0)", "float"),
        ("concat(s, i)", "string"),
        ("number(s)", "float"),
        ("text(t)", "string"),
        ("length(s)", "int"),
        ("hour(t)", "int"),
        ("hour(s)", "int"),
        ("hour(x)", "int"),
        ("seconds(t)", "float"),
        ("is_finite(x)", "bool"),
    ],
)
def test_result(text, kind):
    assert Expr(text).check(SCHEMA) == kind


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("x + 'a'", 5, "'a' is text, but a number is needed"),
        ("x + s", 5, "number(x)"),
        ("x + flag", 5, "if(x, 1, 0)"),
        ("t + 1", 1, "seconds(t)"),
        ("x and flag", 1, "x > 0"),
        ("not s", 5, "true or false is needed"),
        ("lower(x)", 7, "text(x)"),
        ("hour(flag)", 6, "a time is needed"),
        ("x == 'a'", 3, "'x' is a number, but 'a' is text"),
        ("s > 3", 3, "both must be of one kind"),
        ("flag == 1", 6, "'flag' is true or false, but 1 is a number"),
        ("t > '2024-01-01'", 3, "seconds(t)"),
        ("s in (1, 2)", 3, "text"),
        ("if(flag, s, 1)", 1, "both must be of one kind"),
        ("coalesce(s, 0)", 1, "both must be of one kind"),
        ("-(s)", 3, "a number is needed"),
        ("(x > 1) + 1", 4, "the result of > is true or false"),
        ("temprature > 1", 1, "there is no column"),
    ],
)
def test_wrong_kinds(text, column, words):
    with pytest.raises(ConfigError) as caught:
        Expr(text).check(SCHEMA)
    (problem,) = caught.value.problems
    assert (problem.column, words in f"{problem.message}; {problem.hint}") == (column, True), (
        problem
    )


def test_unknown_names_are_told_all_at_once_with_the_nearest():
    schema = Schema.of_kinds({"temperature": "float", "device": "string"})
    with pytest.raises(ConfigError) as caught:
        Expr("temprature > 1 and devise == kitchen").check(schema)
    found = [(problem.column, problem.hint) for problem in caught.value.problems]
    assert found == [
        (1, "did you mean 'temperature'?"),
        (20, "did you mean 'device'?"),
        (30, "text stands in quotes: 'kitchen'; known: device, temperature"),
    ]


def test_an_open_schema_knows_no_unknown_name():
    assert Expr("anything + 1").check(Schema.unknown()) == "float"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("a > 1", {"a": "float"}),
        ("a + b", {"a": "float", "b": "float"}),
        ("a == 'x'", {"a": "string"}),
        ("a in ('x', 'y')", {"a": "string"}),
        ("a in (1, 2)", {"a": "float"}),
        ("a == true", {"a": "bool"}),
        ("not a", {"a": "bool"}),
        ("a == b", {"a": "any", "b": "any"}),
        ("a is missing", {"a": "any"}),
        ("a is missing or a > 1", {"a": "float"}),
        ("hour(a)", {"a": "any"}),
        ("concat(a, b)", {"a": "any", "b": "any"}),
        ("number(a)", {"a": "any"}),
        ("lower(a)", {"a": "string"}),
        ("if(a, b, 'x')", {"a": "bool", "b": "string"}),
        ("if(a, b, c) + 1", {"a": "bool", "b": "float", "c": "float"}),
        ("coalesce(a, 0)", {"a": "float"}),
        ("1", {}),
    ],
)
def test_demands(text, kinds):
    assert dict(Expr(text).kinds()) == kinds


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("a > 1 and a == 'x'", 11, "'a' is used both as a number and as text"),
        ("a and a > 1", 7, "true or false and as a number"),
        ("round(a, b)", 10, "digits are a whole number"),
        ("round(a, 16)", 10, "digits are a whole number"),
        ("round(a, 1.5)", 10, "digits are a whole number"),
        ("1 + 'a'", 5, "a number is needed"),
        ("a in (1, 'x')", 3, "one kind"),
    ],
)
def test_what_can_never_fit_is_refused_when_made(text, column, words):
    with pytest.raises(ConfigError) as caught:
        Expr(text)
    (problem,) = caught.value.problems
    assert (problem.column, words in f"{problem.message}; {problem.hint}") == (column, True), (
        problem
    )
