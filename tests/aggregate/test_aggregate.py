import pytest

import edgestream.aggregate as agg
from edgestream.aggregate import Aggregate
from edgestream.aggregate.functions import FUNCTIONS
from edgestream.errors import ConfigError
from edgestream.expr import Expr
from edgestream.expr.functions import AGGREGATES
from edgestream.schema import Schema

SCHEMA = Schema.of_kinds(
    {"x": "float", "n": "int", "on": "bool", "s": "string", "t": "time", "any": "any"}
)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("count()", agg.count()),
        ("count(x)", agg.count("x")),
        (" mean( x ) ", agg.mean("x")),
        ("mean (x + 1)", agg.mean("x+1")),
        ("sum((x + 1) * (n - 2))", agg.sum("(x + 1) * (n - 2)")),
        ("min(`my column`)", agg.min("`my column`")),
        ("max(if(on, x, 0))", agg.max("if(on, x, 0)")),
        ("stddev(x)", agg.stddev(Expr("x"))),
        ("first(s)", agg.first("s")),
        ("last(s)", agg.last("s")),
    ],
)
def test_text_and_function_make_the_same(text, made):
    assert Aggregate.from_config(text) == made
    assert hash(Aggregate.from_config(text)) == hash(made)


def test_other_function_or_expression_is_not_the_same():
    assert agg.mean("x") != agg.sum("x")
    assert agg.mean("x") != agg.mean("n")
    assert agg.count() != agg.count("x")


def test_it_is_written_as_it_was_read():
    assert str(agg.mean(" x + 1 ")) == "mean(x + 1)"
    assert str(agg.count()) == "count()"


@pytest.mark.parametrize(
    ("text", "message", "hint", "column"),
    [
        ("avg2(x)", "there is no aggregate 'avg2'", "", 1),
        ("  maen(x)", "there is no aggregate 'maen'", "did you mean 'mean'", 3),
        ("mean()", "mean() needs an expression", "write mean(column)", 1),
        ("mean", "mean is a function", "write mean(column)", 1),
        ("mean(x", "'mean(x' has no closing )", "quotes", 7),
        ("x + 1", "'x + 1' is not an aggregate", "function(expression)", 1),
        ("", "'' is not an aggregate", "function(expression)", 1),
        (12, "expected an aggregate", "", 0),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, message, hint, column):
    with pytest.raises(ConfigError) as caught:
        Aggregate.from_config(text)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert hint in problem.hint
    assert problem.column == column


def test_an_error_in_the_expression_keeps_its_place_in_the_whole():
    with pytest.raises(ConfigError) as inner:
        Expr.from_config("x + * 2")
    with pytest.raises(ConfigError) as whole:
        Aggregate.from_config("mean(x + * 2)")
    assert whole.value.problems[0].column == inner.value.problems[0].column + len("mean(")
    assert whole.value.problems[0].message == inner.value.problems[0].message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("count()", "int"),
        ("count(s)", "int"),
        ("sum(n)", "float"),
        ("mean(on)", "float"),
        ("stddev(any)", "float"),
        ("min(n)", "int"),
        ("max(x)", "float"),
        ("min(t)", "time"),
        ("max(on)", "bool"),
        ("min(any)", "any"),
        ("first(s)", "string"),
        ("last(n)", "int"),
        ("last(t)", "time"),
    ],
)
def test_kind_of_the_result(text, kind):
    assert Aggregate.from_config(text).check(SCHEMA) == kind


@pytest.mark.parametrize("text", ["sum(s)", "mean(s)", "stddev(s)", "min(s)", "max(s)"])
def test_text_has_no_numbers(text):
    with pytest.raises(ConfigError, match="needs numbers, and this is text"):
        Aggregate.from_config(text).check(SCHEMA)


@pytest.mark.parametrize("text", ["sum(t)", "mean(t)", "stddev(t)"])
def test_times_have_no_sums(text):
    with pytest.raises(ConfigError, match="needs numbers, and this is a time"):
        Aggregate.from_config(text).check(SCHEMA)


def test_an_unknown_column_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="temprature"):
        agg.mean("temprature").check(Schema.of_kinds({"temperature": "float"}))


def test_columns_it_reads_with_the_kind_it_needs():
    assert agg.count().kinds() == {}
    assert agg.count("s").kinds() == {"s": "any"}
    assert agg.mean("x").kinds() == {"x": "float"}
    assert agg.min("x").kinds() == {"x": "any"}
    assert set(agg.mean("x + n").kinds()) == {"x", "n"}


def test_python_names_are_the_ones_of_the_language():
    assert set(agg.__all__) == {"Aggregate", *FUNCTIONS}


def test_an_expression_knows_the_names_of_aggregates():
    assert set(FUNCTIONS) <= AGGREGATES
