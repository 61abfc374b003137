import pytest

from edgestream.errors import ConfigError
from edgestream.expr import Apply, Constant, Name, parse


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b * c", "(a / b) * c"),
        ("a % b // c", "(a % b) // c"),
        ("-a ** 2", "-(a ** 2)"),
        ("-a * b", "(-a) * b"),
        ("a ** b ** c", "a ** (b ** c)"),
        ("a ** -b", "a ** (-b)"),
        ("a ** -b ** c", "a ** (-(b ** c))"),
        ("a ** b * c", "(a ** b) * c"),
        ("a + 1 > b", "(a + 1) > b"),
        ("not a > b", "not (a > b)"),
        ("not not a", "not (not a)"),
        ("not a and b", "(not a) and b"),
        ("a or b and c", "a or (b and c)"),
        ("a and b or c", "(a and b) or c"),
        ("a > 1 and b < 2 or c", "((a > 1) and (b < 2)) or c"),
        ("a + b in (1, 2)", "(a + b) in (1, 2)"),
        ("not a in (1, 2)", "not (a in (1, 2))"),
        ("a not in (1, 2) and b", "(a not in (1, 2)) and b"),
        ("a + b is missing", "(a + b) is missing"),
        ("a is null or b is not null", "(a is missing) or (b is not missing)"),
        ("f.g>1", "f.g > 1"),
        ("`a` > 1", "a > 1"),
        ("min(a,b)", " min ( a , b ) "),
        ('a == "x"', "a == 'x'"),
        ("a in (+1, -2)", "a in (1, -2)"),
    ],
)
def test_precedence(text, same):
    assert parse(text) == parse(same)


def test_tree():
    assert parse("if(a >= 1, `b c`, null)") == Apply(
        "if", (Apply(">=", (Name("a"), Constant(1))), Name("b c"), Constant(None))
    )


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("1", "true"), ("'1'", "1"), ("a", "b")])
def test_unlike_constants_are_unequal(one, other):
    assert parse(one) != parse(other)


def test_columns_count_from_one():
    tree = parse("a + foo.bar")
    assert isinstance(tree, Apply)
    assert (tree.column, [argument.column for argument in tree.arguments]) == (3, [1, 5])


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "empty"),
        ("  ", 1, "empty"),
        ("a >", 4, "ends too early"),
        ("a b", 3, "operator or a comma is missing"),
        ("a 1", 3, "operator or a comma is missing"),
        ("(a", 1, "never closed"),
        ("min(a, b", 4, "never closed"),
        ("a)", 2, "unexpected ')'"),
        ("()", 2, "unexpected ')'"),
        ("(a, b)", 3, "list stands only after in"),
        ("min(a,)", 7, "unexpected ')'"),
        ("min(,a)", 5, "unexpected ','"),
        ("* a", 1, "unexpected '*'"),
        ("a + + * b", 7, "unexpected '*'"),
        ("1 < a < 2", 7, "a < b and b < c"),
        ("a == b == c", 8, "chained"),
        ("a in (1) == true", 10, "chained"),
        ("a is missing is missing", 14, "chained"),
        ("a == not b", 6, "brackets"),
        ("a + not b", 5, "brackets"),
        ("a not b", 3, "not in"),
        ("a == null", 6, "is missing"),
        ("null != a", 1, "is missing"),
        ("a is 3", 6, "=="),
        ("a is", 5, "after is"),
        ("missing", 1, "is missing"),
        ("a == missing", 6, "is missing"),
        ("a in b", 6, "contains(text, part)"),
        ("a in 'abc'", 6, "contains(text, part)"),
        ("a in ()", 7, "in a list"),
        ("a in (b)", 7, "compare columns"),
        ("a in (-'x')", 8, "in a list"),
        ("a in (null)", 7, "in a list"),
        ("in", 1, "unexpected 'in'"),
        ("True", 1, "write true"),
        ("None", 1, "write null"),
        ("NaN", 1, "write null"),
        ("a AND b", 3, "write and"),
        ("NOT a", 1, "write not"),
        ("a if b else c", 3, "if(condition, a, b)"),
        ("a between 1 and 2", 3, "x >= a and x <= b"),
        ("a like 'x'", 3, "contains"),
        ("flor(a)", 1, "'floor'"),
        ("os.system('x')", 1, "no function 'os.system'"),
        ("mean(x) > 3", 1, "aggregate"),
        ("a > p95(x)", 5, "aggregate"),
        ("max(x)", 1, "max over a window"),
        ("round()", 1, "round(x, digits)"),
        ("round(a, 1, 2)", 1, "3 arguments"),
        ("abs(a, b)", 1, "2 arguments"),
        ("lambda x: x", 9, "unexpected ':'"),
        ("`abs`(a)", 6, "unexpected '('"),
        ("(a)(b)", 4, "unexpected '('"),
        ("'a'(b)", 4, "unexpected '('"),
    ],
)
def test_refused_with_place_and_hint(text, column, words):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    (problem,) = caught.value.problems
    assert (problem.column, words in f"{problem.message}; {problem.hint}") == (column, True), (
        problem
    )


@pytest.mark.parametrize(
    "text",
    [
        "(" * 31 + "a" + ")" * 31,
        "-" * 31 + "a",
        "not " * 31 + "a",
        "**".join("a" * 33),
        "abs(" * 31 + "a" + ")" * 31,
    ],
)
def test_depth_is_bounded(text):
    with pytest.raises(ConfigError, match="nested more than 30 deep"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 30 + "a" + ")" * 30,
        "-" * 30 + "a",
        "**".join("a" * 31),
        "+".join("a" * 100),
    ],
)
def test_bounds_are_reached(text):
    parse(text)


@pytest.mark.parametrize(
    "text", ["+".join("a" * 101), f"a in ({','.join('1' * 200)})", f"min({','.join('a' * 200)})"]
)
def test_size_is_bounded(text):
    with pytest.raises(ConfigError, match="more than 200 parts"):
        parse(text)
