"""The tests of a pipeline as values: rows given to its sources, rows expected at its sinks.

A time is written as ISO 8601 text, or as ``+3s`` and ``-5s``: so long after or before the test's
``start``. What is here knows no pipeline; `edgestream.testing.scenarios` holds it against one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from edgestream.config.convert import build, convert, convert_fields
from edgestream.config.fields import option
from edgestream.config.values import Duration, Nanos, nanos
from edgestream.errors import ConfigError, Problem

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = tuple[Row, ...]
ONLY = ""
"""Stands for the name of the only source or sink there is."""

_OFFSET = re.compile(r"([+-])\s*(\d.*)")
_FAULT = re.compile(r"sink(?:\s+([a-z][a-z0-9_-]*))??\s+is\s+down\s+from\s+(\S+)\s+to\s+(\S+)")


def offset(text: object) -> int | None:
    """The nanoseconds of ``+3s`` or ``-5s``; None for anything else."""
    match = _OFFSET.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        size = int(nanos(match[2]))
    except ValueError:
        return None
    return size if match[1] == "+" else -size


def iso(text: object) -> int | None:
    """The nanoseconds since the epoch of ISO 8601 text (UTC without a zone); None for others."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


@dataclass(frozen=True, slots=True)
class Given:
    """Rows or payloads that arrive together at one source."""

    source: str = option(default=ONLY, help="The source; may be left out where there is one.")
    at: Duration | None = option(
        default=None, help="When they arrive, after the start; default: with what comes before."
    )
    rows: Sequence[Mapping[str, Any]] = option(
        default=(),
        help="Rows, made payloads by the source's codec; +3s in the time field is a time.",
    )
    payloads: Sequence[Any] = option(
        default=(), help="Payloads as they are: text, or a mapping that is written as JSON."
    )
    columns: Mapping[str, Any] = option(
        factory=dict, help="What the source adds to every row, such as topic."
    )

    def __post_init__(self) -> None:
        """Convert, and look for what does not fit together; raises `ConfigError`."""
        convert_fields(self)
        problems = [
            Problem("a row holds plain values", ("rows", index, key), "write payloads: for these")
            for index, row in enumerate(self.rows)
            for key, value in row.items()
            if isinstance(value, Mapping | list | tuple)
        ]
        if bool(self.rows) == bool(self.payloads):
            hint = "give one of rows: and payloads:"
            problems.append(Problem("rows or payloads must be given", (), hint))
        problems += [
            Problem("a payload is text, or a mapping that is written as JSON", ("payloads", index))
            for index, payload in enumerate(self.payloads)
            if not isinstance(payload, str | Mapping)
        ]
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter that is expected, by what is said of it."""

    reason: str = option(default="", help="Text that its reason holds.")
    payload: str | None = option(default=None, help="Its whole payload.")
    source: str = option(default=ONLY, help="The source it came from.")

    def __post_init__(self) -> None:
        """Convert; raises `ConfigError`."""
        convert_fields(self)


@dataclass(frozen=True, slots=True)
class Letters:
    """How many dead letters there are, or which."""

    count: int = 0
    letters: tuple[Letter, ...] | None = None

    @classmethod
    def from_config(cls, value: object) -> Letters:
        """A number, or a list of what is expected of each."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        if isinstance(value, list):
            letters: tuple[Letter, ...] = convert(Sequence[Letter], value)
            return cls(len(letters), letters)
        raise ValueError("expected how many, or a list such as [{reason: not JSON}]")


@dataclass(frozen=True, slots=True)
class Expected:
    """The rows that arrive at sinks, by the name of the sink; others are not looked at."""

    sinks: Mapping[str, Rows]

    @classmethod
    def from_config(cls, value: object) -> Expected:
        """A mapping of sinks to rows, or the rows of the only sink."""
        if isinstance(value, Mapping):
            return cls(convert(Mapping[str, Sequence[Mapping[str, Any]]], value))
        return cls({ONLY: convert(Sequence[Mapping[str, Any]], value)})

    def path(self, sink: str, *rest: str | int) -> tuple[str | int, ...]:
        """Where rows of a sink stand in YAML."""
        return ("expect", *([sink] if sink else []), *rest)


@dataclass(frozen=True, slots=True)
class Fault:
    """A sink that cannot be reached from one time after the start to another."""

    sink: str
    begin: Duration
    end: Duration

    @classmethod
    def from_config(cls, value: object) -> Fault:
        """``sink averages is down from 5s to 20s``; the only sink needs no name."""
        match = _FAULT.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"expected: sink averages is down from 5s to 20s; got {value!r}")
        made = cls(match[1] or ONLY, nanos(match[2]), nanos(match[3]))
        if nanos(made.end) <= nanos(made.begin):
            raise ValueError(f"{made.end} is not after {made.begin}")
        return made


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test of a pipeline."""

    name: str = option(help="What is shown.")
    start: str = option(
        default="2026-01-01T00:00:00Z", help="What the clock says at the beginning."
    )
    given: Sequence[Given] = option(default=(), help="What arrives, in the order of its times.")
    wait: Duration = option(default="0s", help="How long the clock then goes on in silence.")
    end: bool = option(default=False, help="Whether the sources end at last.")
    restart_at: Sequence[Duration] = option(
        default=(), help="When the worker is stopped and goes on from its checkpoint."
    )
    faults: Sequence[Fault] = option(
        default=(), help="What fails: `sink averages is down from 5s to 20s`."
    )
    expect: Expected = option(default=Expected({}), help="The rows that arrive at sinks.")
    dead_letters: Letters = option(default=Letters(), help="What cannot be read; default: nothing.")
    dropped: int = option(
        default=0, minimum=0, help="How many rows the spools of sinks that are down drop."
    )
    in_order: bool = option(default=False, help="Whether rows must arrive in the order written.")

    def __post_init__(self) -> None:
        """Convert, and look for what does not fit together; raises `ConfigError`."""
        convert_fields(self)
        problems = list(self._time_problems())
        if not self.name:
            problems.append(Problem("a test needs a name", ("name",)))
        if problems:
            raise ConfigError(problems)

    @classmethod
    def from_config(cls, value: object) -> Scenario:
        """A mapping of the fields above."""
        if not isinstance(value, Mapping):
            raise ValueError("expected a test: {name: …, given: […], expect: …}")
        return build(cls, value)

    @property
    def began(self) -> int:
        """The start in nanoseconds since the epoch."""
        return iso(self.start) or 0

    @property
    def blocks(self) -> Iterator[tuple[Nanos, Given]]:
        """What is given, each with the time it arrives at."""
        now = Nanos(0)
        for given in self.given:
            now = now if given.at is None else nanos(given.at)
            yield now, given

    @property
    def lasts(self) -> Nanos:
        """How long it takes, on its own clock."""
        last = max((at for at, _ in self.blocks), default=Nanos(0))
        return Nanos(last + nanos(self.wait))

    def _time_problems(self) -> Iterator[Problem]:
        if iso(self.start) is None:
            hint = "write for example 2026-11-24T10:00:00Z"
            yield Problem(f"{self.start!r} is not a time", ("start",), hint)
        before = Nanos(0)
        for index, (at, _) in enumerate(self.blocks):
            if at < before:
                message = f"{at} is before {before}, when the rows above arrive"
                yield Problem(message, ("given", index, "at"), "write them in their order")
            before = max(before, at)
        for index, given in enumerate(self.restart_at):
            if nanos(given) > self.lasts:
                message = f"the test is over after {self.lasts}"
                yield Problem(message, ("restart_at", index), "give wait: more time")
