"""From text to tokens; whatever is not in the language is refused here with a hint.

Bare names are ASCII, so that no two names look alike; any other column stands in backquotes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edgestream.expr.syntax import Plain, refuse

TokenKind: TypeAlias = Literal["number", "text", "name", "column", "symbol", "end"]
LONGEST = 500
"""Characters in an expression."""
_INT_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text; ``column`` is where it begins, counted from 1."""

    kind: TokenKind
    text: str
    column: int
    value: Plain = None

    def shown(self) -> str:
        """How an error names it."""
        return "the end" if self.kind == "end" else repr(self.text)


_PART = r"[A-Za-z_][A-Za-z0-9_]*"
_TOKEN = re.compile(
    rf"""(?P<space>[ \t\r\n]+)
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<name>{_PART}(?:\.[A-Za-z0-9_]+)*)
    |(?P<wrong>===|!==|<>|&&|\|\||:=|=>|=(?!=)|!(?!=))
    |(?P<symbol>\*\*|//|<=|>=|==|!=|[-+*/%<>(),])""",
    re.VERBOSE,
)
_HINTS = {
    "=": "use == to compare",
    "===": "use ==",
    "!==": "use !=",
    "<>": "use !=",
    ":=": "use == to compare",
    "=>": "use >=",
    "&&": "write and",
    "&": "write and",
    "||": "write or",
    "|": "write or",
    "!": "write not",
    "~": "write not",
    "^": "write ** for a power",
    "[": "write a list as (a, b)",
    "]": "write a list as (a, b)",
    "?": "write if(condition, a, b)",
    ".": "a dot stands only inside a number or a column name",
    "#": "a comment stands outside the expression",
    "≥": "write >=",
    "≤": "write <=",
    "≠": "write !=",
    "×": "write *",
    "÷": "write /",
    "−": "write -",
    "“": "write plain quotes: 'text'",
    "”": "write plain quotes: 'text'",
    "‘": "write plain quotes: 'text'",
    "’": "write plain quotes: 'text'",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}


def tokenize(text: str) -> list[Token]:
    """All tokens with an ``end`` after them; raises `ConfigError` at the first that is none."""
    if len(text) > LONGEST:
        message = f"an expression has at most {LONGEST} characters, this one has {len(text)}"
        raise refuse(message, LONGEST + 1, "compute parts of it with set")
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        token, end = _next(text, position)
        if token is not None:
            tokens.append(token)
        position = end
    tokens.append(Token("end", "", len(text) + 1))
    return tokens


def _next(text: str, start: int) -> tuple[Token | None, int]:
    """The token at ``start`` (None for space) and where it ends."""
    column = start + 1
    if text[start] in "'\"":
        value, end = _quoted(text, start)
        return Token("text", text[start:end], column, value), end
    if text[start] == "`":
        return _backquoted(text, start)
    match = _TOKEN.match(text, start)
    if match is None:
        raise _unexpected(text, start)
    end, found = match.end(), match[0]
    if match.lastgroup == "wrong":
        raise refuse(f"unexpected {found!r}", column, _HINTS.get(found, ""))
    if match.lastgroup == "number":
        return Token("number", found, column, _number(text, start, end)), end
    if match.lastgroup == "name":
        if end < len(text) and text[end].isalnum():
            raise _unexpected(text, start)
        return Token("name", found, column), end
    if match.lastgroup == "symbol":
        return Token("symbol", found, column), end
    return None, end


def _unexpected(text: str, start: int) -> Exception:
    word = start
    while text[start] != "." and word < len(text) and (text[word].isalnum() or text[word] in "_."):
        word += 1
    if word > start and text[start:word].isprintable():
        name = text[start:word]
        return refuse(f"{name!r} is not a plain name", start + 1, f"write it as `{name}`")
    character = text[start]
    if character.isprintable():
        hint = _HINTS.get(character, "")
        return refuse(f"unexpected {character!r}", start + 1, hint)
    return refuse(f"unexpected character {_point(character)}", start + 1)


def _point(character: str) -> str:
    """A character that cannot be shown."""
    return f"U+{ord(character):04X}"


def _number(text: str, start: int, end: int) -> float | int:
    found = text[start:end]
    if end < len(text) and (text[end].isalnum() or text[end] in "_.`'\""):
        hint = "numbers are written 12, 0.5 or 1e3, without units"
        raise refuse(f"{text[start : end + 1]!r} is not a number", start + 1, hint)
    value = float(found)
    if math.isinf(value):
        raise refuse(f"{found} is too large for a number", start + 1)
    return int(found) if found.isdigit() and int(found) <= _INT_MAX else value


def _quoted(text: str, start: int) -> tuple[str, int]:
    """The text between quotes, and where the token ends."""
    parts: list[str] = []
    position = start + 1
    while position < len(text):
        character = text[position]
        if character == text[start]:
            return "".join(parts), position + 1
        if character == "\\":
            made, position = _escape(text, position)
            parts.append(made)
            continue
        if ord(character) < 32 or "\ud800" <= character <= "\udfff":
            message = f"text cannot hold the character {_point(character)}"
            raise refuse(message, position + 1, r"write \n, \t or \u0041")
        parts.append(character)
        position += 1
    raise refuse("the text has no closing quote", start + 1, f"add {text[start]}")


def _escape(text: str, position: int) -> tuple[str, int]:
    """What an escape stands for, and where it ends."""
    letter = text[position + 1 : position + 2]
    if letter in _ESCAPES:
        return _ESCAPES[letter], position + 2
    if letter == "u":
        digits = text[position + 2 : position + 6]
        if re.fullmatch("[0-9A-Fa-f]{4}", digits):
            point = int(digits, 16)
            if point and not 0xD800 <= point <= 0xDFFF:
                return chr(point), position + 6
    hint = r"known: \n \t \r \\ \' \" \u0041"
    raise refuse("an escape that text does not know", position + 1, hint)


def _backquoted(text: str, start: int) -> tuple[Token, int]:
    end = text.find("`", start + 1)
    if end < 0:
        raise refuse("the column name has no closing backquote", start + 1, "add `")
    name = text[start + 1 : end]
    if not name:
        raise refuse("a column name cannot be empty", start + 1)
    if not name.isprintable():
        wrong = next(character for character in name if not character.isprintable())
        message = f"a column name cannot hold the character {_point(wrong)}"
        raise refuse(message, text.index(wrong, start) + 1)
    return Token("column", name, start + 1), end + 1
