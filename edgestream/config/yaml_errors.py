"""What is wrong with a text that is no YAML, in words that say what to do.

The parsers (libyaml and its Python twin) word the same mistake differently; here it reads alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

_QUOTE = "write the value in quotes"
_INDENT = "line the keys up with those above, with spaces"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, both numbers starting at 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Wording:
    """How a mistake is told: ``at_start`` places it where the unfinished thing begins."""

    parts: tuple[str, ...]
    message: str
    hint: str = ""
    at_start: bool = False


_WORDINGS = (
    Wording(("tab character",), "a tab cannot be used to indent", "use spaces"),
    Wording(
        ("mapping values are not allowed",),
        "a ':' cannot stand here",
        "a value that holds ': ' must stand in quotes; keys of one mapping must line up",
    ),
    Wording(("quoted scalar", "end of stream"), "this quote is never closed", at_start=True),
    Wording(("quoted scalar", "document"), "this quote is never closed", at_start=True),
    Wording(
        ("unknown escape",),
        "unknown escape after '\\' in double quotes",
        "use single quotes, or '\\\\' for a backslash",
    ),
    Wording(
        ("expected ',' or ']'",), "this '[' is not closed, or a comma is missing", at_start=True
    ),
    Wording(
        ("expected ',' or '}'",), "this '{' is not closed, or a comma is missing", at_start=True
    ),
    Wording(("expected ':'",), "':' is missing after this key", at_start=True),
    Wording(
        ("sequence entries are not allowed",),
        "'- ' cannot stand here",
        "begin the list on a line of its own",
    ),
    Wording(("document start",), "text after the end of the document"),
    Wording(("tag handle",), "tags ('!…') are not allowed", _QUOTE),
    Wording(("scanning a tag",), "tags ('!…') are not allowed", _QUOTE),
    Wording(("nesting depth",), "nested too deep", "40 levels are read"),
    Wording(("scanning a directive",), "'%' cannot begin a line here", _QUOTE),
    Wording(("incompatible YAML",), "this version of YAML is not known", "remove the %YAML line"),
    Wording(("scanning an anchor",), "anchors ('&…') are not allowed", _QUOTE),
    Wording(("scanning an alias",), "aliases ('*…') are not allowed", _QUOTE),
    Wording(("block collection",), "this does not belong to the list above", _INDENT),
    Wording(("block mapping",), "this does not belong to the mapping above", _INDENT),
    Wording(("node content",), "a value is missing here"),
)


def syntax(error: yaml.YAMLError, lines: Sequence[str]) -> tuple[str, str, Mark]:
    """The message, the hint and the place of what a parser raised."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"not YAML: {error}", "", Mark(1, 1)
    problem, context = error.problem or "", error.context or ""
    place = _clamped(error.problem_mark, lines)
    if "cannot start any token" in problem:
        return *_odd_character(place, lines), place
    told = f"{context}; {problem}"
    for wording in _WORDINGS:
        if all(part in told for part in wording.parts):
            if wording.at_start and error.context_mark is not None:
                place = _clamped(error.context_mark, lines)
            return wording.message, wording.hint, place
    return f"not YAML: {problem}", "", place


def _clamped(mark: yaml.Mark, lines: Sequence[str]) -> Mark:
    """The place, kept within the file: libyaml puts its end on a line that is not there."""
    if mark.line >= len(lines):
        return Mark(max(1, len(lines)), len(lines[-1]) + 1 if lines else 1)
    return Mark(mark.line + 1, mark.column + 1)


def _odd_character(place: Mark, lines: Sequence[str]) -> tuple[str, str]:
    line = lines[place.line - 1] if lines else ""
    found = line[place.column - 1 : place.column]
    if found in ("\t", ""):
        return "a tab cannot be used to indent", "use spaces"
    return f"a value cannot begin with {found!r}", _QUOTE
