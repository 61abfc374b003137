import pytest

from edgestream.errors import ConfigError
from edgestream.expr import tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a+1", [("name", "a"), ("symbol", "+"), ("number", "1")]),
        ("a.b_1.2 ", [("name", "a.b_1.2")]),
        ("a**-b//c", [("name", "a"), *(("symbol", s) for s in ("**", "-")), ("name", "b")]),
        ("x<=1", [("name", "x"), ("symbol", "<="), ("number", "1")]),
        ("`my col`", [("column", "my col")]),
        ("`température`>0", [("column", "température"), ("symbol", ">"), ("number", "0")]),
        ("\t1\r\n2 ", [("number", "1"), ("number", "2")]),
    ],
)
def test_pieces(text, tokens):
    found = [(token.kind, token.text) for token in tokenize(text)]
    assert found[: len(tokens)] == tokens
    assert found[-1] == ("end", "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("0.5", 0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("2.5E-1", 0.25),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", 2.0**63),
        ("'a'", "a"),
        ('"it\'s"', "it's"),
        (r"'it\'s'", "it's"),
        (r"'\n\t\r\\\"'", '\n\t\r\\"'),
        (r"'\u00e9'", "é"),
        ("'日本 \u202e'", "日本 \u202e"),
        ("''", ""),
    ],
)
def test_values(text, value):
    first = tokenize(text)[0]
    assert first.value == value
    assert type(first.value) is type(value)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("a = 1", 3, "use =="),
        ("a := 1", 3, "use =="),
        ("a === 1", 3, "use =="),
        ("a <> 1", 3, "use !="),
        ("a => 1", 3, "use >="),
        ("a && b", 3, "write and"),
        ("a || b", 3, "write or"),
        ("!a", 1, "write not"),
        ("a ^ 2", 3, "write **"),
        ("a ≥ 2", 3, "write >="),
        ("a − 2", 3, "write -"),
        ("“on”", 1, "plain quotes"),
        ("[1]", 1, "list as (a, b)"),
        ("a ? b", 3, "if(condition"),
        ("a # b", 3, "comment"),
        ("1 + .a", 5, "a dot stands only"),
        ("température > 1", 1, "`température`"),
        ("ｅｖａｌ", 1, "not a plain name"),
        ("a１", 1, "not a plain name"),
        ("10s", 1, "without units"),
        ("0x10", 1, "without units"),
        ("1_000", 1, "without units"),
        ("1.2.3", 1, "not a number"),
        ("1e999", 1, "too large"),
        ("9" * 400, 1, "too large"),
        ("'a", 1, "no closing quote"),
        ("x == 'a\\", 8, "escape"),
        (r"'\x41'", 2, "escape"),
        (r"'\ud800'", 2, "escape"),
        (r"'\u0000'", 2, "escape"),
        ("'a\0b'", 3, "U+0000"),
        ("'a\ud800'", 3, "U+D800"),
        ("'a\nb'", 3, r"\n"),
        ("a\0", 2, "U+0000"),
        ("a\u00a0> 1", 2, "U+00A0"),
        ("`a", 1, "no closing backquote"),
        ("``", 1, "cannot be empty"),
        ("`a\0b`", 3, "U+0000"),
        ("`a\ud800`", 3, "U+D800"),
        ("a" * 501, 501, "at most 500"),
    ],
)
def test_refused_with_place_and_hint(text, column, words):
    with pytest.raises(ConfigError) as caught:
        tokenize(text)
    (problem,) = caught.value.problems
    assert problem.column == column
    assert words in f"{problem.message}; {problem.hint}"
    str(problem).encode()
