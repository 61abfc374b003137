"""What a pipeline is: values only. YAML and Python build the same `PipelineSpec`.

A straight pipeline is a graph with one source called ``source``, one stream called ``steps`` and
one sink called ``sink``; nothing else in edgestream knows the difference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from edgestream.component import Codec, Operator, Sink, Source
from edgestream.config.convert import convert_fields
from edgestream.config.fields import option
from edgestream.config.values import Bytes, Duration, Size
from edgestream.errors import ConfigError, Problem, did_you_mean
from edgestream.eventid import EventId
from edgestream.eventtime import Time

if TYPE_CHECKING:
    from edgestream.scenario import Scenario

Delivery: TypeAlias = Literal["best_effort", "at_least_once", "effectively_once"]
Overflow: TypeAlias = Literal["pause", "drop_oldest", "drop_newest", "downsample"]
Order: TypeAlias = Literal["live_first", "oldest_first"]
Durability: TypeAlias = Literal["power", "process", "none"]
STRONGEST: tuple[Delivery, ...] = ("best_effort", "at_least_once", "effectively_once")
MEMORY = Bytes(256 * 1024 * 1024)
"""The state of a pipeline may be so large by default: a normal one is a hundredth of it."""
NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A source, how its payloads are decoded, where a row's time comes from, and what names it."""

    component: Source
    decode: Codec | None = None
    time: Time | None = None
    event_id: EventId | None = None


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """Steps in order, fed by sources, streams or ports (``averages.late``)."""

    inputs: tuple[str, ...]
    steps: tuple[Operator, ...] = ()


@dataclass(frozen=True, slots=True)
class Spool:
    """How much of a sink's output may wait in the state file, what goes beyond, and in which order.

    Bytes are those of the rows as they are stored (packed), not those of the file.
    """

    max_bytes: Size = option(default="256MiB", minimum=1, help="No more than this may wait.")
    max_age: Duration = option(default="0s", help="No row may wait for longer; 0 is for ever.")
    min_free: Size = option(
        default="64MiB",
        help="While the disk of the state folder has less free, the spool does not grow.",
    )
    overflow: Overflow = option(
        default="pause",
        help="Beyond that: pause reading, drop_oldest, drop_newest, or downsample: keep every "
        "second row of each key, then every fourth.",
    )
    by: Sequence[str] = option(
        default=(),
        help="The columns that are a key for downsample; default: those that identify a row, "
        "apart from times.",
    )
    order: Literal["auto", "live_first", "oldest_first"] = option(
        default="auto",
        help="After an outage: new rows first and the others behind, or all in their order; auto "
        "is live_first into tables.",
    )
    mark: str = option(
        default="",
        help="A column of this name says whether a row was sent late: true or false.",
        example="replayed",
    )

    def __post_init__(self) -> None:
        """Convert sizes; raises `ConfigError`."""
        convert_fields(self)

    @property
    def drops(self) -> bool:
        """Whether rows beyond the budget are dropped."""
        return self.overflow != "pause"

    def __str__(self) -> str:
        """What it does, for people."""
        limits = f"up to {self.max_bytes}" + (f" and {self.max_age}" if self.max_age else "")
        then = {
            "pause": "then reading pauses",
            "drop_oldest": "then the oldest rows are dropped and counted",
            "drop_newest": "then new rows are dropped and counted",
            "downsample": "then every second row of each key is dropped and counted",
        }
        return f"{limits}, {then[self.overflow]}"


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """A sink, what feeds it, and what happens while it cannot be reached."""

    inputs: tuple[str, ...]
    component: Sink
    when_unreachable: Literal["spool", "wait"] = "spool"
    spool: Spool = field(default_factory=Spool)

    @property
    def order(self) -> Order:
        """The order after an outage: new rows wait only where somebody sees the order."""
        if self.spool.order == "auto":
            return "oldest_first" if self.component.ordered else "live_first"
        return self.spool.order


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """How many dead letters are kept, and when there are so many that the pipeline stops."""

    max_rows: int = option(
        default=100_000, minimum=1, help="Beyond so many the oldest go, and are counted."
    )
    max_bytes: Size = option(
        default="64MiB", minimum=1, help="Beyond so many bytes the oldest go, and are counted."
    )
    tolerance: float = option(
        default=0.5,
        minimum=0,
        maximum=1,
        help="The share of the last rows of a step that may be bad; 0 allows none, 1 all.",
    )
    within: int = option(
        default=1_000, minimum=1, maximum=1_000_000, help="How many rows of a step are looked at."
    )
    when_exceeded: Literal["auto", "pause", "stop"] = option(
        default="auto",
        help="Beyond the tolerance: pause and try again, or stop with exit code 65; auto stops "
        "where the source ends by itself, as a file does.",
    )
    retry_after: Duration = option(
        default="1m", help="The first pause; it doubles while the rows stay bad, up to an hour."
    )

    def __post_init__(self) -> None:
        """Convert what was given; raises `ConfigError`."""
        convert_fields(self)


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A whole pipeline; equal specs run the same."""

    name: str
    sources: Mapping[str, SourceSpec]
    streams: Mapping[str, StreamSpec]
    sinks: Mapping[str, SinkSpec]
    delivery: Delivery | None = None
    checkpoint: Duration = "5s"
    memory: Size = MEMORY
    durability: Durability | None = None
    tests: tuple[Scenario, ...] = field(default=(), compare=False)
    dead_letters: DeadLetters = field(default_factory=DeadLetters)

    def __post_init__(self) -> None:
        """Check names and references; raises `ConfigError` with all problems."""
        settings = _Settings(self.checkpoint, self.memory)
        object.__setattr__(self, "checkpoint", settings.checkpoint)
        object.__setattr__(self, "memory", settings.memory)
        problems = [*self._name_problems(), *self._reference_problems()]
        if problems:
            raise ConfigError(problems)

    @property
    def straight(self) -> bool:
        """Whether it is written with ``source:``, ``steps:`` and ``sink:``."""
        return (
            set(self.sources) == {"source"}
            and set(self.sinks) == {"sink"}
            and set(self.streams) <= {"steps"}
        )

    def path(self, node: str) -> tuple[str | int, ...]:
        """Where a source, stream, step (``stream.3``) or sink stands in YAML."""
        name, _, index = node.partition(".")
        if name in self.sources:
            return ("source",) if self.straight else ("sources", name)
        if name in self.sinks:
            return ("sink",) if self.straight else ("sinks", name)
        steps: tuple[str | int, ...] = ("steps",) if self.straight else ("streams", name, "steps")
        if not index:
            return steps if self.straight else steps[:-1]
        position = int(index)
        step = self.streams[name].steps[position]
        return (*steps, position, step.about.name)

    def _name_problems(self) -> list[Problem]:
        problems = []
        for name, path in [
            (self.name, ("name",)),
            *((name, self.path(name)) for name in [*self.sources, *self.streams, *self.sinks]),
        ]:
            if not NAME.fullmatch(name):
                hint = "use a small letter, then small letters, digits, - and _; at most 63"
                problems.append(Problem(f"{name!r} is not a usable name", path, hint))
        seen: set[str] = set()
        parts = {"sources": self.sources, "streams": self.streams, "sinks": self.sinks}
        for key, names in parts.items():
            twice = [name for name in names if name in seen]
            problems += [Problem(f"the name {name!r} is used twice", (key, name)) for name in twice]
            seen.update(names)
        if not self.sources:
            problems.append(Problem("there is no source", (), "add source: or sources:"))
        if not self.sinks:
            problems.append(Problem("there is no sink", (), "add sink: or sinks:"))
        return problems

    def _reference_problems(self) -> list[Problem]:
        if not self.sources:
            return []
        problems = []
        known = [*self.sources, *self.streams]
        for name, inputs in [
            *((name, stream.inputs) for name, stream in self.streams.items()),
            *((name, sink.inputs) for name, sink in self.sinks.items()),
        ]:
            path = self.path(name) if self.straight else (*self.path(name), "from")
            if not inputs:
                problems.append(Problem("nothing feeds it", self.path(name), "add from:"))
            for given in inputs:
                target, _, port = given.partition(".")
                if target not in known:
                    message = f"there is no source or stream {target!r}"
                    problems.append(Problem(message, path, did_you_mean(target, known)))
                elif port and port not in self.ports(target):
                    message = f"{target!r} has no port {port!r}"
                    problems.append(Problem(message, path, did_you_mean(port, self.ports(target))))
        return problems + self._cycles()

    def _cycles(self) -> list[Problem]:
        left = dict(self.streams)
        while left:
            ready = [
                name
                for name, stream in left.items()
                if all(i.partition(".")[0] not in left for i in stream.inputs)
            ]
            if not ready:
                names = ", ".join(sorted(left))
                return [Problem(f"the streams {names} feed each other in a circle", ("streams",))]
            for name in ready:
                del left[name]
        return []

    def ports(self, name: str) -> list[str]:
        """The side outputs of a source or stream."""
        if name in self.sources:
            return ["rejected"]
        return sorted({port for step in self.streams[name].steps for port in step.ports})


@dataclass
class _Settings:
    """The values of a pipeline itself, converted like any other field."""

    checkpoint: Duration = option(default="5s", help="Time between checkpoints.")
    memory: Size = option(
        default=MEMORY, minimum=1, help="How large the state of all steps may become together."
    )

    def __post_init__(self) -> None:
        convert_fields(self)
