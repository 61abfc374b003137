"""What is wrong with the tests of a pipeline, found without playing them: every problem at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from edgestream.codecs.json import Json
from edgestream.component import Codec
from edgestream.entry import Entry
from edgestream.errors import ConfigError, Problem, did_you_mean
from edgestream.graph import Graph
from edgestream.scenario import ONLY, Given, Row, Scenario, iso, offset
from edgestream.schema import ColumnKind, Schema
from edgestream.testing.scenarios.give import give, own_columns

Path: TypeAlias = tuple[str | int, ...]
_WORDS: Mapping[ColumnKind, str] = {
    "float": "a number",
    "int": "a number",
    "bool": "true or false",
    "string": "text",
    "time": "a time such as 2026-11-24T10:00:00Z, or +3s",
    "any": "a plain value",
}


def check_scenarios(graph: Graph) -> None:
    """Hold the tests of a pipeline against its graph; raises `ConfigError` with paths."""
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, scenario in enumerate(graph.spec.tests):
        found = [*_given_problems(graph, scenario), *_expected_problems(graph, scenario)]
        if scenario.name in seen:
            found.append(Problem(f"the name {scenario.name!r} is used twice", ("name",)))
        seen.add(scenario.name)
        problems += [problem.under("tests", index) for problem in found]
    if problems:
        raise ConfigError(problems)


def named(name: str, known: Iterable[str], what: str, path: Path) -> str:
    """The source or sink that a name stands for; raises `ConfigError`."""
    names = list(known)
    if name in names:
        return name
    if name != ONLY:
        raise ConfigError(Problem(f"there is no {what} {name!r}", path, did_you_mean(name, names)))
    if len(names) == 1:
        return names[0]
    hint = "known: " + ", ".join(names)
    raise ConfigError(Problem(f"which {what}? there are {len(names)}", path, hint))


def _given_problems(graph: Graph, scenario: Scenario) -> Iterator[Problem]:
    for index, (at, given) in enumerate(scenario.blocks):
        path: Path = ("source",) if given.source else ()
        try:
            source = named(given.source, graph.entries, "source", path)
        except ConfigError as error:
            yield from (problem.under("given", index) for problem in error.problems)
            continue
        entry = graph.entries[source]
        codec = (graph.spec.sources[source].decode or Json()).fresh()
        found = list(_row_problems(entry, codec, given))
        if not found:
            try:
                give(entry, codec, given, scenario.began, scenario.began + at)
            except ConfigError as error:
                found += error.problems
        yield from (problem.under("given", index) for problem in found)


def _row_problems(entry: Entry, codec: Codec, given: Given) -> Iterator[Problem]:
    beside = entry.component.schema()
    if entry.component.gives_rows and given.payloads:
        hint = "write rows:"
        yield Problem("this source gives rows, not payloads", ("payloads",), hint)
    yield from _cell_problems(given.columns, beside, "the source gives no column", ("columns",))
    inside = Schema({}) if entry.component.gives_rows else codec.schema()
    known = inside.merge(beside).with_fields(beside.fields)
    field = entry.time.field if entry.time is not None else ""
    for index, row in enumerate(given.rows):
        cells = {
            name: value for name, value in row.items() if name != field or offset(value) is None
        }
        yield from _cell_problems(cells, known, "the source gives no column", ("rows", index))
    if given.columns and not own_columns(entry) and not beside.open:
        yield Problem("this source adds no columns", ("columns",))


def _expected_problems(graph: Graph, scenario: Scenario) -> Iterator[Problem]:
    expect = scenario.expect
    for name, rows in expect.sinks.items():
        path = expect.path(name)
        try:
            sink = named(name, graph.exits, "sink", path)
        except ConfigError as error:
            yield from error.problems
            continue
        schema = graph.exits[sink].schema
        for index, row in enumerate(rows):
            yield from _cell_problems(row, schema, "no row here has a column", (*path, index))
    for index, fault in enumerate(scenario.faults):
        try:
            named(fault.sink, graph.exits, "sink", ("faults", index))
        except ConfigError as error:
            yield from error.problems
    for index, letter in enumerate(scenario.dead_letters.letters or ()):
        if letter.source != ONLY:
            try:
                named(letter.source, graph.entries, "source", ("dead_letters", index, "source"))
            except ConfigError as error:
                yield from error.problems


def _cell_problems(row: Row, schema: Schema, unknown: str, path: Path) -> Iterator[Problem]:
    for name, value in row.items():
        if name not in schema.fields and not schema.open:
            hint = did_you_mean(name, schema.fields)
            yield Problem(f"{unknown} {name!r}", (*path, name), hint)
            continue
        kind = schema.fields.get(name, "any")
        if not fits(kind, value):
            yield Problem(f"expected {_WORDS[kind]}, got {_shown(value)}", (*path, name))


def fits(kind: ColumnKind, value: Any) -> bool:
    """Whether a column of a kind can hold a value."""
    if value is None:
        return True
    if kind in ("float", "int", "bool"):
        return isinstance(value, int | float)
    if kind == "string":
        return isinstance(value, str)
    if kind == "time":
        return offset(value) is not None or iso(value) is not None
    return isinstance(value, str | int | float)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return repr(value)
