"""From a YAML document to a `PipelineSpec`: every problem at once, each with its place.

What cannot be read is noted and left out, and reading goes on; a spec is only given where nothing
was noted.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any, Literal, TypeAlias, TypeVar, cast

from edgestream.component import Codec, Kind, Operator
from edgestream.config.convert import annotation, build, convert
from edgestream.config.fields import options, written
from edgestream.config.values import Duration, Size
from edgestream.config.yaml import Document, load_roughly
from edgestream.errors import ConfigError, Problem, did_you_mean
from edgestream.eventid import EventId
from edgestream.eventtime import Time
from edgestream.registry import Registry, installed
from edgestream.spec import (
    MEMORY,
    DeadLetters,
    Delivery,
    Durability,
    PipelineSpec,
    SinkSpec,
    SourceSpec,
    Spool,
    StreamSpec,
)

T = TypeVar("T")
Path: TypeAlias = tuple[str | int, ...]
_Sources: TypeAlias = Mapping[str, SourceSpec]
_Streams: TypeAlias = Mapping[str, StreamSpec]
_Sinks: TypeAlias = Mapping[str, SinkSpec]
_Three: TypeAlias = tuple[_Sources, _Streams, _Sinks]

_STRAIGHT = ("source", "steps", "sink")
_NAMED = ("sources", "streams", "sinks")
_TOP = ("name", "delivery", "checkpoint", "durability", "memory", "dead_letters", "tests")
_BESIDE: Mapping[Kind, tuple[str, ...]] = {
    "source": ("decode", "time", "event_id"),
    "operator": (),
    "sink": ("from", "when_unreachable", "spool"),
    "codec": (),
}

_UNREAD = ("?",)
"""What feeds a stream or sink whose ``from:`` could not be read."""


def read_text(text: bytes, file: str, registry: Registry | None = None) -> PipelineSpec:
    """A pipeline from YAML; raises `ConfigError` whose problems carry file, line and column."""
    document = load_roughly(text, file)
    return read_document(document, registry or installed())


def read_document(document: Document, registry: Registry) -> PipelineSpec:
    """A pipeline from a loaded document; raises `ConfigError` with places."""
    notes = _Notes()
    spec = notes.attempt(lambda: _pipeline(document.data, _Parts(registry, notes), notes))
    if notes.problems or spec is None or document.problems:
        placed = [*document.problems, *(document.place(problem) for problem in notes.problems)]
        raise ConfigError(sorted(placed, key=lambda problem: (problem.line, problem.column)))
    folder = str(PurePath(document.file).parent)
    streams = {
        name: replace(stream, steps=tuple(step.beside(folder) for step in stream.steps))
        for name, stream in spec.streams.items()
    }
    return replace(spec, streams=streams)


def make(cls: type[Any], value: Any) -> Any:
    """A component from what stands behind its name: its fields, or its shorthand."""
    shorthand = cls.about.shorthand
    if shorthand and not _is_fields(cls, value):
        return build(cls, {written(shorthand): value})
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        names = ", ".join(map(written, options(cls)))
        raise ConfigError(Problem(f"expected the fields of {cls.about.name}", hint=names))
    return build(cls, value)


def takes_mapping(wanted: Any) -> bool:
    """Whether the values of a field may be mappings of names."""
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return any(map(takes_mapping, typing.get_args(wanted)))
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _is_fields(cls: type[Any], value: Any) -> bool:
    """Whether a value names fields; a mapping of which no key does may be the shorthand's own."""
    if not isinstance(value, Mapping):
        return value is None
    if not takes_mapping(annotation(cls, cls.about.shorthand)):
        return True
    known = {written(name) for name in options(cls)}
    return len(known) > 1 and any(key in known for key in value)


class _Notes:
    """The problems found so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, message: str, path: Path, hint: str = "") -> None:
        self.problems.append(Problem(message, path, hint))

    def attempt(self, read: Callable[[], T], *path: str | int) -> T | None:
        """What ``read`` gives, or None with its problems noted under ``path``."""
        try:
            return read()
        except ConfigError as error:
            self.problems += [problem.under(*path) for problem in error.problems]
        except ValueError as error:
            self.add(str(error), path)
        return None

    def unknown_keys(self, data: Mapping[str, Any], known: tuple[str, ...], *path: str) -> None:
        for key in data:
            if key not in known:
                self.add(f"unknown key {key!r}", (*path, key), did_you_mean(key, known))


class _Parts:
    """Sources, streams, steps, sinks and codecs, each from what stands in its place."""

    def __init__(self, registry: Registry, notes: _Notes) -> None:
        self.registry = registry
        self.notes = notes

    def source(self, value: Any, *path: str | int) -> SourceSpec:
        component = self.component("source", value, path)
        decode = time = event_id = None
        if isinstance(value, Mapping):
            if "decode" in value:
                decode = cast("Codec", self.component("codec", value["decode"], (*path, "decode")))
            if value.get("time") is not None:
                time = self.notes.attempt(
                    lambda: cast("Time", convert(Time, value["time"])), *path, "time"
                )
            if value.get("event_id") is not None:
                event_id = self.notes.attempt(
                    lambda: cast("EventId", convert(EventId, value["event_id"])), *path, "event_id"
                )
        return SourceSpec(component, decode, time, event_id)

    def steps(self, value: Any, *path: str | int) -> tuple[Operator, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.notes.add("expected a list of steps", path, "begin each with '- '")
            return ()
        return tuple(
            self.component("operator", step, (*path, index)) for index, step in enumerate(value)
        )

    def stream(self, value: Any, *path: str) -> StreamSpec:
        if not isinstance(value, Mapping):
            self.notes.add("expected {from: …, steps: […]}", path)
            return StreamSpec(_UNREAD)
        self.notes.unknown_keys(value, ("from", "steps"), *path)
        return StreamSpec(self.feeds(value, path), self.steps(value.get("steps"), *path, "steps"))

    def sink(self, value: Any, feeds: tuple[str, ...] | None, *path: str) -> SinkSpec:
        component = self.component("sink", value, path)
        if not isinstance(value, Mapping):
            return SinkSpec(feeds or (), component)
        if feeds is None or "from" in value:
            feeds = self.feeds(value, path)
        when = self.notes.attempt(
            lambda: convert(Literal["spool", "wait"], value.get("when_unreachable", "spool")),
            *path,
            "when_unreachable",
        )
        spool = self.notes.attempt(lambda: convert(Spool, value.get("spool", {})), *path, "spool")
        return SinkSpec(feeds, component, when or "spool", spool or Spool())

    def feeds(self, value: Mapping[str, Any], path: Path) -> tuple[str, ...]:
        if "from" not in value:
            return ()
        given = value["from"]
        listed = given if isinstance(given, list) else [given]
        if listed and all(isinstance(entry, str) and entry for entry in listed):
            return tuple(listed)
        hint = "write from: name or from: [a, b]"
        self.notes.add("expected the name of a source or stream", (*path, "from"), hint)
        return _UNREAD

    def component(self, kind: Kind, value: Any, path: Path) -> Any:
        """The one component that a mapping names; with problems noted, its class or None."""
        return self.notes.attempt(lambda: self.named(kind, value, path), *path)

    def named(self, kind: Kind, value: Any, path: Path) -> Any:
        if isinstance(value, str):
            value = {value: {}}
        names = self.registry.names(kind)
        known = "known: " + ", ".join(names)
        if not isinstance(value, Mapping):
            raise ConfigError(Problem(f"expected {_an(kind)}", hint=known))
        keys = [key for key in value if key not in _BESIDE[kind]]
        if not keys:
            raise ConfigError(Problem(f"no {kind} is named here", hint=known))
        found = [key for key in keys if key in names]
        if len(found) > 1:
            message = f"one {kind} is named at a time, found {' and '.join(found)}"
            raise ConfigError(Problem(message, (found[1],)))
        for key in keys:
            if key not in found:
                self.unknown(kind, key, bool(found), path)
        if not found:
            return None
        cls = self.registry.load(kind, found[0])
        made = self.notes.attempt(lambda: make(cls, value[found[0]]), *path, found[0])
        return cls if made is None else made

    def unknown(self, kind: Kind, key: str, named: bool, path: Path) -> None:
        """Note a key that is no component, nor one of those that may stand beside it."""
        if named:
            hint = did_you_mean(key, _BESIDE[kind])
            self.notes.add(f"unknown key {key!r} beside the {kind}", (*path, key), hint)
        else:
            hint = self.registry.hint(kind, key)
            self.notes.add(f"there is no {kind} {key!r}", (*path, key), hint)


def _an(kind: Kind) -> str:
    return f"an {kind}" if kind == "operator" else f"a {kind}"


def _pipeline(data: Any, parts: _Parts, notes: _Notes) -> PipelineSpec | None:
    if not isinstance(data, Mapping):
        raise ConfigError("expected a pipeline: name:, source:, steps:, sink:")
    notes.unknown_keys(data, (*_TOP, *_STRAIGHT, *_NAMED))
    named = [key for key in _NAMED if key in data]
    straight = [key for key in _STRAIGHT if key in data]
    if named and straight:
        message = f"{straight[0]}: and {named[0]}: cannot stand in one pipeline"
        hint = "use source:, steps:, sink: or sources:, streams:, sinks:"
        notes.add(message, (straight[0],), hint)
        return None
    delivery = notes.attempt(lambda: convert(Delivery | None, data.get("delivery")), "delivery")
    checkpoint = notes.attempt(
        lambda: convert(Duration, data.get("checkpoint", "5s")), "checkpoint"
    )
    durability = notes.attempt(
        lambda: convert(Durability | None, data.get("durability")), "durability"
    )
    memory = notes.attempt(lambda: convert(Size, data.get("memory", MEMORY)), "memory")
    letters = notes.attempt(
        lambda: convert(DeadLetters, data.get("dead_letters", {})), "dead_letters"
    )
    sources, streams, sinks = _named(data, parts, notes) if named else _straight(data, parts)
    tests = _tests(data.get("tests"), notes)
    if notes.problems:
        sources, streams, sinks = _standing_in(sources, streams, sinks)
    name = _name(data, notes)
    return PipelineSpec(
        name,
        sources,
        streams,
        sinks,
        delivery,
        checkpoint or "5s",
        memory or MEMORY,
        durability,
        tests,
        letters or DeadLetters(),
    )


def _tests(value: Any, notes: _Notes) -> tuple[Any, ...]:
    if not isinstance(value, list | None):
        notes.add("expected a list of tests", ("tests",), "begin each with '- '")
    elif value:
        from edgestream.scenario import Scenario  # noqa: PLC0415 - few pipelines have tests here

        return tuple(notes.attempt(lambda: convert(Sequence[Scenario], value), "tests") or ())
    return ()


def _name(data: Mapping[str, Any], notes: _Notes) -> str:
    if "name" not in data:
        notes.add("the pipeline has no name", (), "add name: weather")
        return "unnamed"
    return notes.attempt(lambda: str(convert(str, data["name"])), "name") or "unnamed"


def _straight(data: Mapping[str, Any], parts: _Parts) -> _Three:
    sources = {"source": parts.source(data["source"], "source")} if "source" in data else {}
    steps = parts.steps(data.get("steps"), "steps")
    streams = {"steps": StreamSpec(("source",), steps)} if steps else {}
    feeds = ("steps",) if streams else ("source",)
    sinks = {"sink": parts.sink(data["sink"], feeds, "sink")} if "sink" in data else {}
    return sources, streams, sinks


def _named(data: Mapping[str, Any], parts: _Parts, notes: _Notes) -> _Three:
    def each(key: str) -> Mapping[str, Any]:
        value = data.get(key)
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return value
        notes.add("expected a mapping of names", (key,))
        return {}

    return (
        {name: parts.source(value, "sources", name) for name, value in each("sources").items()},
        {name: parts.stream(value, "streams", name) for name, value in each("streams").items()},
        {name: parts.sink(value, None, "sinks", name) for name, value in each("sinks").items()},
    )


def _standing_in(sources: _Sources, streams: _Streams, sinks: _Sinks) -> _Three:
    """The same, where what could not be read stands in the way of no further check.

    An unread ``from:`` is taken for the first source, and an unread step for one with every port.
    So is a step of which only the class is known, unless that has ports of its own.
    """
    unread = {
        name
        for name, stream in streams.items()
        if any(step is None or (isinstance(step, type) and not step.ports) for step in stream.steps)
    }

    def known(inputs: tuple[str, ...]) -> tuple[str, ...]:
        if inputs is _UNREAD:
            return tuple(sources)[:1]
        names = [(given, given.partition(".")[0]) for given in inputs]
        return tuple(name if name in unread else given for given, name in names)

    return (
        sources,
        {
            name: StreamSpec(known(stream.inputs), tuple(filter(None, stream.steps)))
            for name, stream in streams.items()
        },
        {name: replace(sink, inputs=known(sink.inputs)) for name, sink in sinks.items()},
    )
