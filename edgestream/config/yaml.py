"""Reading a pipeline file: plain values with the place of each, from text nobody has to trust.

The rules: at most 1 MiB, 50,000 values and a depth of 40; UTF-8; one document; no anchors,
aliases, tags or merge keys; keys are text and come once; scalars as in YAML 1.2 (`NO` is text).
Whatever is wrong is told with its line and column, all of it at once where that is possible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from edgestream.config.yaml_build import Builder, Path
from edgestream.config.yaml_errors import Mark, syntax
from edgestream.errors import ConfigError, Problem

MAX_BYTES = 1 << 20

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_WIDE = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says: ``data`` is made of dict, list, str, int, float, bool and None.

    Scalars that hold ``${…}`` are `Template`. ``marks`` and ``key_marks`` give the place of every
    value and key by its path, ``text_marks`` where the text of a one-line scalar begins.
    """

    data: Any
    marks: Mapping[Path, Mark]
    key_marks: Mapping[Path, Mark]
    file: str
    text_marks: Mapping[Path, Mark] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """What is wrong although it is clear what was meant, for the reader to tell with the rest."""

    def place(self, problem: Problem) -> Problem:
        """The same problem with the file and the place of the nearest known path.

        A column that is set already counts from 1 within a scalar: it is added to its place.
        """
        if problem.line:
            return problem
        problem = replace(problem, path=self._written(problem.path))
        path = problem.path
        if problem.column and path in self.text_marks:
            mark = self.text_marks[path]
            column = mark.column + problem.column - 1
            return replace(problem, file=self.file, line=mark.line, column=column)
        while path and path not in self.marks:
            path = path[:-1]
        mark = self.marks.get(path, Mark(1, 1))
        if path in self.key_marks and self._about_key(problem, path):
            mark = self.key_marks[path]
        return replace(problem, file=self.file, line=mark.line, column=mark.column)

    def _written(self, path: Path) -> Path:
        """The path without the fields that a shorthand leaves out: ``where: x > 1``."""
        value: Any = self.data
        kept: list[str | int] = []
        for index, part in enumerate(path):
            if isinstance(value, dict):
                if part not in value and not (index + 1 < len(path) and path[index + 1] in value):
                    return (*kept, *path[index:])
                there = part in value
            else:
                there = isinstance(value, list) and part in range(len(value))
            if there:
                value = value[part]
                kept.append(part)
        return tuple(kept)

    def _about_key(self, problem: Problem, path: Path) -> bool:
        """A key is named by what is wrong with it; a list or mapping is best found by its key."""
        if repr(path[-1]) in problem.message:
            return True
        value = self.data
        for part in path:
            value = value[part]
        return isinstance(value, dict | list)


def load(text: bytes, file: str) -> Document:
    """Read one pipeline file; raises `ConfigError` with every place something is wrong at."""
    document = load_roughly(text, file)
    if document.problems:
        raise ConfigError(document.problems)
    return document


def load_roughly(text: bytes, file: str) -> Document:
    """As `load`, but where all that is wrong is slight the document holds it.

    Slight is what leaves it clear what was meant, such as a key that comes twice.
    """
    source = _decoded(text, file)
    builder = Builder(source, file)
    data: Any = None
    try:
        data = builder.document(iter(yaml.parse(source, Loader=_loader())))
    except yaml.YAMLError as error:
        message, hint, mark = syntax(error, _BREAK.split(source))
        builder.note(message, mark, hint=hint)
    if not builder.problems and data is None:
        builder.note("there is nothing in this file", Mark(1, 1))
    found = sorted(builder.problems, key=lambda problem: (problem.line, problem.column))
    if len(found) > len(builder.slight):
        raise ConfigError(found)
    marks = (builder.marks, builder.key_marks)
    return Document(data, *marks, file, builder.text_marks, tuple(found))


def _loader() -> Any:
    """The parser in C where PyYAML was built with it."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _decoded(text: bytes, file: str) -> str:
    """The text as characters that YAML allows."""
    if len(text) > MAX_BYTES:
        message = "the file is too large; more than 1 MiB is not read"
        raise ConfigError(Problem(message, file=file, line=1, column=1))
    if text.startswith(_WIDE) or b"\0" in text[:4]:
        message = "the file is UTF-16 or UTF-32, not UTF-8"
        raise ConfigError(Problem(message, (), "save it as UTF-8", file, 1, 1))
    text = text.removeprefix(b"\xef\xbb\xbf")
    try:
        source = text.decode("utf-8")
    except UnicodeDecodeError as error:
        mark = _mark_at(text[: error.start].decode("utf-8"))
        message = f"not UTF-8: byte 0x{text[error.start]:02x}"
        found = Problem(message, (), "save it as UTF-8", file, mark.line, mark.column)
        raise ConfigError(found) from error
    odd = _UNPRINTABLE.search(source)
    if odd is not None:
        mark = _mark_at(source[: odd.start()])
        message = f"the character U+{ord(odd[0]):04X} cannot stand in a pipeline file"
        raise ConfigError(Problem(message, (), "remove it", file, mark.line, mark.column))
    return source


def _mark_at(before: str) -> Mark:
    """The place just after ``before``."""
    lines = _BREAK.split(before)
    return Mark(len(lines), len(lines[-1]) + 1)
