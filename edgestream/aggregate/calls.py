"""The text of a call, ``quantile(x + 1, 0.95)``, taken apart at its outermost commas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

_CALL = re.compile(r"(\s*)([A-Za-z_]\w*)(\s*\()")
_PIECE = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`[^`]*`|[(),]")


@dataclass(frozen=True, slots=True)
class Argument:
    """The text between two commas, and where it begins in the whole text."""

    text: str
    offset: int

    @property
    def column(self) -> int:
        """Where its first character stands that is no space, counted from 1."""
        return self.offset + len(self.text) - len(self.text.lstrip()) + 1


@dataclass(frozen=True, slots=True)
class Call:
    """The name of a call, where it stands (counted from 1), and its arguments."""

    name: str
    column: int
    arguments: tuple[Argument, ...]


def opened(text: str) -> bool:
    """Whether a text begins like a call."""
    return _CALL.match(text) is not None


def call(text: str) -> Call | None:
    """The call a text is; None where it is none, or not closed."""
    found = _CALL.match(text)
    if found is None or not text.rstrip().endswith(")"):
        return None
    inner = text.rstrip()[:-1]
    bounds = [found.end() - 1, *_commas(inner, found.end()), len(inner)]
    arguments = tuple(Argument(inner[a + 1 : b], a + 1) for a, b in pairwise(bounds))
    if len(arguments) == 1 and not arguments[0].text.strip():
        arguments = ()
    return Call(found[2], found.start(2) + 1, arguments)


def _commas(text: str, start: int) -> list[int]:
    """The commas outside of quotes and brackets."""
    commas, depth = [], 0
    for match in _PIECE.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if match[0] == "," and depth == 0:
            commas.append(match.start())
    return commas
