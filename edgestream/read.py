"""From a YAML document to a `PipelineSpec`: every problem at once, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from edgestream.component import Codec, Kind, Operator
from edgestream.config.convert import build, convert
from edgestream.config.fields import options
from edgestream.config.values import nanos
from edgestream.config.yaml import Document, load
from edgestream.errors import ConfigError, Problem, did_you_mean
from edgestream.eventtime import Time
from edgestream.registry import Registry, installed
from edgestream.spec import (
    STRONGEST,
    Delivery,
    PipelineSpec,
    SinkSpec,
    SourceSpec,
    Spool,
    StreamSpec,
)

T = TypeVar("T")

_STRAIGHT = ("source", "steps", "sink")
_NAMED = ("sources", "streams", "sinks")
_TOP = ("name", "delivery", "checkpoint", "tests")
_BESIDE: Mapping[Kind, tuple[str, ...]] = {
    "source": ("decode", "time"),
    "operator": (),
    "sink": ("from", "when_unreachable", "spool"),
    "codec": (),
}


def read_text(text: bytes, file: str, registry: Registry | None = None) -> PipelineSpec:
    """A pipeline from YAML; raises `ConfigError` whose problems carry file, line and column."""
    document = load(text, file)
    return read_document(document, registry or installed())


def read_document(document: Document, registry: Registry) -> PipelineSpec:
    """A pipeline from a loaded document; raises `ConfigError` with places."""
    reader = _Reader(registry)
    try:
        spec = reader.pipeline(document.data)
    except ConfigError as error:
        reader.problems += error.problems
    if reader.problems:
        raise ConfigError(document.place(problem) for problem in reader.problems)
    return spec


class _Reader:
    """Walks the tree; what cannot be read is noted and left out, and reading goes on."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.problems: list[Problem] = []

    def note(self, error: ConfigError, *path: str | int) -> None:
        self.problems += [problem.under(*path) for problem in error.problems]

    def attempt(self, make: Callable[[], T], *path: str | int) -> T | None:
        """What ``make`` gives, or None with its problems noted under ``path``."""
        try:
            return make()
        except ConfigError as error:
            self.note(error, *path)
        except ValueError as error:
            self.problems.append(Problem(str(error), path))
        return None

    def pipeline(self, data: Any) -> PipelineSpec:
        if not isinstance(data, Mapping):
            raise ConfigError(Problem("expected a pipeline: name:, source:, steps:, sink:"))
        for key in data:
            if key not in (*_TOP, *_STRAIGHT, *_NAMED):
                hint = did_you_mean(key, (*_TOP, *_STRAIGHT, *_NAMED))
                self.problems.append(Problem(f"unknown key {key!r}", (key,), hint))
        name = self._name(data)
        named = [key for key in _NAMED if key in data]
        straight = [key for key in _STRAIGHT if key in data]
        if named and straight:
            message = f"{straight[0]}: and {named[0]}: cannot stand in one pipeline"
            hint = "use source:, steps:, sink: or sources:, streams:, sinks:"
            raise ConfigError(Problem(message, (straight[0],), hint))
        parts = self._named(data) if named else self._straight(data)
        delivery = self._delivery(data)
        checkpoint = self.attempt(lambda: nanos(str(data.get("checkpoint", "5s"))), "checkpoint")
        tests = tuple(data.get("tests") or ())
        if self.problems:
            raise ConfigError(())
        return PipelineSpec(name, *parts, delivery, checkpoint or "5s", tests)

    def _name(self, data: Mapping[str, Any]) -> str:
        if "name" not in data:
            self.problems.append(Problem("the pipeline has no name", (), "add name: weather"))
            return "unnamed"
        return str(self.attempt(lambda: convert(str, data["name"]), "name"))

    def _delivery(self, data: Mapping[str, Any]) -> Delivery | None:
        given = data.get("delivery")
        if given is None or given in STRONGEST:
            return cast("Delivery | None", given)
        hint = did_you_mean(str(given), STRONGEST)
        self.problems.append(Problem(f"there is no delivery {given!r}", ("delivery",), hint))
        return None

    def _straight(self, data: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        sources = {}
        if "source" in data:
            source = self._source(data["source"], "source")
            sources = {"source": source}
        streams = {}
        if data.get("steps"):
            streams["steps"] = StreamSpec(("source",), self._steps(data["steps"], "steps"))
        sinks = {}
        if "sink" in data:
            feeds = ("steps",) if streams else ("source",)
            sinks["sink"] = self._sink(data["sink"], feeds, "sink")
        return sources, streams, sinks

    def _named(self, data: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        sources = {
            name: self._source(value, "sources", name)
            for name, value in self._map(data, "sources").items()
        }
        streams = {
            name: self._stream(value, "streams", name)
            for name, value in self._map(data, "streams").items()
        }
        sinks = {
            name: self._sink(value, None, "sinks", name)
            for name, value in self._map(data, "sinks").items()
        }
        return sources, streams, sinks

    def _map(self, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = data.get(key) or {}
        if isinstance(value, Mapping):
            return value
        self.problems.append(Problem("expected a mapping of names", (key,)))
        return {}

    def _source(self, value: Any, *path: str | int) -> SourceSpec:
        component = self._component("source", value, path)
        decode = time = None
        if isinstance(value, Mapping):
            if "decode" in value:
                decode = self._codec(value["decode"], (*path, "decode"))
            if value.get("time") is not None:
                time = self.attempt(
                    lambda: cast("Time", convert(Time, value["time"])), *path, "time"
                )
        return SourceSpec(component, decode, time)

    def _codec(self, value: Any, path: tuple[str | int, ...]) -> Codec:
        given = {value: {}} if isinstance(value, str) else value
        return cast("Codec", self._component("codec", given, path))

    def _steps(self, value: Any, *path: str | int) -> tuple[Operator, ...]:
        if not isinstance(value, list):
            self.problems.append(Problem("expected a list of steps", path, "begin each with '- '"))
            return ()
        return tuple(
            self._component("operator", step, (*path, index)) for index, step in enumerate(value)
        )

    def _stream(self, value: Any, *path: str | int) -> StreamSpec:
        if not isinstance(value, Mapping):
            self.problems.append(Problem("expected {from: …, steps: […]}", path))
            return StreamSpec(())
        for key in value:
            if key not in ("from", "steps"):
                hint = did_you_mean(key, ("from", "steps"))
                self.problems.append(Problem(f"unknown key {key!r}", (*path, key), hint))
        steps = self._steps(value.get("steps") or [], *path, "steps")
        return StreamSpec(self._feeds(value, path), steps)

    def _feeds(self, value: Mapping[str, Any], path: tuple[str | int, ...]) -> tuple[str, ...]:
        given = value.get("from")
        listed = given if isinstance(given, list) else [given]
        if all(isinstance(entry, str) and entry for entry in listed):
            return tuple(listed)
        where = (*path, "from") if "from" in value else path
        self.problems.append(Problem("from: names what feeds it", where, "from: name or [a, b]"))
        return ()

    def _sink(self, value: Any, feeds: tuple[str, ...] | None, *path: str | int) -> SinkSpec:
        component = self._component("sink", value, path)
        if not isinstance(value, Mapping):
            return SinkSpec(feeds or (), component)
        if feeds is None or "from" in value:
            feeds = self._feeds(value, path)
        when = value.get("when_unreachable", "spool")
        if when not in ("spool", "wait"):
            hint = did_you_mean(str(when), ("spool", "wait"))
            self.problems.append(
                Problem("expected spool or wait", (*path, "when_unreachable"), hint)
            )
            when = "spool"
        spool = self.attempt(lambda: build(Spool, value.get("spool") or {}), *path, "spool")
        return SinkSpec(feeds, component, cast("Any", when), spool or Spool())

    def _component(self, kind: Kind, value: Any, path: tuple[str | int, ...]) -> Any:
        """The one component that a mapping names; on problems, a stand-in that is never used."""
        return self.attempt(lambda: self._named_component(kind, value, path), *path)

    def _named_component(self, kind: Kind, value: Any, path: tuple[str | int, ...]) -> Any:
        names = self.registry.names(kind)
        if isinstance(value, str):
            value = {value: {}}
        if not isinstance(value, Mapping):
            raise ConfigError(Problem(f"expected a {kind}", hint="known: " + ", ".join(names)))
        keys = [key for key in value if key not in _BESIDE[kind]]
        if not keys:
            raise ConfigError(
                Problem(f"no {kind} is named here", hint="known: " + ", ".join(names))
            )
        known = [key for key in keys if key in names]
        if len(known) > 1:
            raise ConfigError(
                Problem(f"one {kind} is named at a time, found {' and '.join(known)}", (known[1],))
            )
        problems = []
        for key in keys:
            if key not in known:
                hint = did_you_mean(key, [*_BESIDE[kind], *([] if known else names)])
                what = "unknown key" if known else f"there is no {kind}"
                if not known:
                    hint = self.registry.hint(kind, key)
                problems.append(Problem(f"{what} {key!r}", (key,), hint))
        if problems:
            raise ConfigError(problems)
        cls = self.registry.load(kind, known[0])
        made = self.attempt(lambda: make(cls, value[known[0]]), *path, known[0])
        return made


def make(cls: type[Any], value: Any) -> Any:
    """A component from what stands behind its name: its fields, or its shorthand."""
    shorthand = cls.about.shorthand
    if shorthand and not _is_fields(cls, value):
        return build(cls, {shorthand: value})
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        names = ", ".join(options(cls))
        raise ConfigError(Problem(f"expected the fields of {cls.about.name}", hint=names))
    return build(cls, value)


def _is_fields(cls: type[Any], value: Any) -> bool:
    """Whether a value names fields; where the shorthand is itself a mapping it never does."""
    if not isinstance(value, Mapping):
        return value is None
    known = options(cls)
    if len(known) == 1:
        return False
    return any(key in known for key in value)
