"""Hostile texts: refused with a place, or harmless; nothing but ConfigError, no side effect."""

import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.batch import from_rows
from edgestream.errors import ConfigError
from edgestream.expr import Expr
from edgestream.schema import Schema

REFUSED = [
    "().__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__[1]",
    "a.__class__()",
    "(a).__class__",
    "a[0]",
    "a['x']",
    "__import__('os')",
    "__import__('os').system('id')",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd')",
    "compile('1', '', 'eval')",
    "getattr(a, 'b')",
    "globals()",
    "np.genfromtxt('x')",
    "numpy.load('x')",
    "lambda: 0",
    "lambda x: x",
    "(lambda: 0)()",
    "a := 1",
    "(a := 1)",
    "f'{a}'",
    "f\"{__import__('os')}\"",
    "b'a'",
    "r'a'",
    "[x for x in a]",
    "{x for x in a}",
    "{'a': 1}",
    "(x for x in a)",
    "[a, b]",
    "min(*a)",
    "min(**a)",
    "min(a=1, b=2)",
    "round(a, digits=2)",
    "a if b else c",
    "a; b",
    "a\nimport os",
    "import os",
    "yield a",
    "await a",
    "a @ b",
    "~a",
    "a << 1000000",
    "a | b",
    "...",
    "a.",
    ".a",
    "a..b",
    "1j",
    "0b1",
    "0o7",
    "'''a'''",
    "a ? b : c",
    "a -> b",
    "${HOME}",
    "$(id)",
    "{{a}}",
    "a -- ; DROP TABLE x",
    "a /* */ b",
    "a\0",
    "\0",
    "'\0'",
    "\ud800",
    "'\udfff'",
    "`\ud800`",
    "ｅｖａｌ('1')",
    "а > 1",  # a Cyrillic letter
    "a\u202e > 1",
    "\ufeffa",
    "a\u200b",
    "١ + 1",
    "(" * 250 + ")" * 250,
    "[" * 400,
    "(" * 500,
    "-" * 499 + "a",
    "not " * 124 + "a",
    "a**" * 160 + "a",
    "if(a," * 90,
    "'" * 499,
    "\\" * 499,
    "9" * 500,
    "1e" + "9" * 400,
    "x" * 1_000_000,
    "((((((((((" * 100_000,
]
HARMLESS = [
    "9**9**9**9",
    "-9**9**9**9",
    "9.0**-9**9",
    "1/0",
    "0/0",
    "1e308*1e308",
    "x.__class__.__mro__",
    "__builtins__",
    "self",
    "`__import__('os')`",
    "`'; DROP TABLE rows; --`",
    "'; DROP TABLE rows'",
    "'${HOME}'",
    "'<img onerror=x>'",
    "concat(concat(concat('aaaaaaaaaa', a), a), a)",
    "a in (1, 1, 1, 1)",
    "round(1e308, 15)",
    "round(1e-308, -15)",
    "(" * 30 + "a" + ")" * 30,
    "+".join("a" * 100),
    "text(text(text(a)))",
]
BATCH = from_rows([{"a": 1.0, "s": "x"}, {"a": None, "s": None}])


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_refused_with_a_place(text):
    with pytest.raises(ConfigError) as caught:
        Expr(text)
    for problem in caught.value.problems:
        assert 1 <= problem.column <= 501
        assert len(str(problem)) < 1_000
        str(problem).encode()


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless(text):
    expr = Expr(text)
    expr.check(Schema.unknown())
    assert len(expr.evaluate(BATCH)) == 2
    assert hash(expr) == hash(Expr(text))


class Watch:
    """Counts what an attack would want: files, imports, processes, sockets, code."""

    def __init__(self):
        self.on = False
        self.seen = []

    def __call__(self, event, args):
        if self.on and event.split(".")[0] in (
            ("open", "exec", "compile", "import", "socket", "subprocess", "os", "ctypes", "object")
        ):
            self.seen.append((event, args))


@pytest.fixture(scope="module")
def watch():
    made = Watch()
    # An audit hook cannot be taken away again; it is silent while it is off.
    sys.addaudithook(made)
    return made


def test_no_side_effect(watch):
    for text in HARMLESS:
        Expr(text).evaluate(BATCH)
    watch.on = True
    try:
        for text in (*REFUSED, *HARMLESS):
            _try(text)
    finally:
        watch.on = False
    assert watch.seen == []


def _try(text):
    """Make and run an expression; anything raised but ConfigError is a failure."""
    try:
        expr = Expr(text)
    except ConfigError as error:
        str(error).encode()
        return
    assert len(expr.evaluate(BATCH)) == 2
    assert expr.mask(BATCH).shape == (2,)


PIECES = st.sampled_from(
    re.split(
        " ",
        "a s x.y ( ) , + - * / // % ** < <= > >= == != and or not in is missing null true false "
        "1 2.5 1e308 9 'x' \"\" `q` if( min( round( concat( hour( text( number( length( coalesce( "
        "[ ] { } = ! & | : ; @ . __class__ \\ ' \" ` \0 é １ \ud800",
    )
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(PIECES, max_size=25).map(" ".join))
def test_random_pieces(text):
    _try(text)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([*REFUSED[:66], *HARMLESS]), st.data())
def test_mutations(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 4)))
    _try(text[:start] + data.draw(PIECES | st.text(max_size=3)) + text[end:])


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_random_text(text):
    _try(text)
