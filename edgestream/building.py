"""Building a pipeline in Python: the same words as in YAML, the same `PipelineSpec`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgestream.aggregate import Aggregate
from edgestream.component import Codec, Operator, Sink, Source
from edgestream.config.values import Duration, Size
from edgestream.errors import ConfigError, Problem
from edgestream.eventid import EventId
from edgestream.eventtime import Time
from edgestream.expr import Expr
from edgestream.operators.drop import Drop
from edgestream.operators.rename import Rename
from edgestream.operators.select import Select
from edgestream.operators.set import Set
from edgestream.operators.where import Where
from edgestream.operators.window import Window
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
from edgestream.window.calendar import Unit


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline under construction; every method gives a new one.

    Steps go to the stream named last, or to ``steps``, which is fed by ``source``.
    """

    name: str
    delivery: Delivery | None = None
    checkpoint: Duration = "5s"
    sources: Mapping[str, SourceSpec] = field(default_factory=dict)
    streams: Mapping[str, StreamSpec] = field(default_factory=dict)
    sinks: Mapping[str, SinkSpec] = field(default_factory=dict)
    current: str = "steps"
    memory: Size = MEMORY
    durability: Durability | None = None
    dead_letters: DeadLetters = field(default_factory=DeadLetters)

    def source(
        self,
        component: Source,
        *,
        name: str = "source",
        decode: Codec | None = None,
        time: Time | str | None = None,
        event_id: EventId | str | None = None,
    ) -> Pipeline:
        """Read from ``component``; ``time`` and ``event_id`` may be the name of a column."""
        when = Time(time) if isinstance(time, str) else time
        named = EventId((event_id,)) if isinstance(event_id, str) else event_id
        spec = SourceSpec(component, decode, when, named)
        return replace(self, sources=_added(self.sources, name, spec))

    def stream(self, name: str, from_: str | Sequence[str]) -> Pipeline:
        """Begin a named stream: the steps that follow belong to it."""
        started = StreamSpec(_names(from_))
        return replace(self, streams=_added(self.streams, name, started), current=name)

    def step(self, operator: Operator) -> Pipeline:
        """Add any operator."""
        stream = self.streams.get(self.current, StreamSpec(("source",)))
        grown = replace(stream, steps=(*stream.steps, operator))
        return replace(self, streams={**self.streams, self.current: grown})

    def where(self, condition: Expr | str) -> Pipeline:
        """Keep the rows for which ``condition`` is true."""
        return self.step(Where(condition))

    def set(self, **columns: Expr | str) -> Pipeline:
        """Add or replace columns by expressions."""
        return self.step(Set(columns))

    def select(self, *columns: str) -> Pipeline:
        """Keep only these columns."""
        return self.step(Select(columns))

    def drop(self, *columns: str) -> Pipeline:
        """Leave out these columns."""
        return self.step(Drop(columns))

    def rename(self, **columns: str) -> Pipeline:
        """Rename columns: ``old="new"``."""
        return self.step(Rename(columns))

    def window(
        self,
        *,
        aggregate: Mapping[str, Aggregate | str],
        by: str | Sequence[str] = (),
        tumbling: Duration | None = None,
        hopping: Duration | None = None,
        every: Duration | int | None = None,
        calendar: Unit | None = None,
        zone: str | None = None,
        session: Duration | None = None,
        sliding: Duration | None = None,
        count: int | None = None,
        opens: Expr | str | None = None,
        closes: Expr | str | None = None,
        global_: bool = False,
        max: Duration | None = None,  # noqa: A002 - the word of the grammar
        late: Duration = "0s",
        emit_every: Duration | None = None,
        emit_empty: bool = False,
        forget: Duration = "1d",
    ) -> Pipeline:
        """Aggregate over windows of event time, one row a key and window."""
        return self.step(
            Window(
                tumbling=tumbling,
                hopping=hopping,
                every=every,
                calendar=calendar,
                zone=zone,
                session=session,
                sliding=sliding,
                count=count,
                opens=opens,
                closes=closes,
                global_=global_,
                max=max,
                by=_names(by),
                aggregate=aggregate,
                late=late,
                emit_every=emit_every,
                emit_empty=emit_empty,
                forget=forget,
            )
        )

    def sink(
        self,
        component: Sink,
        *,
        name: str = "sink",
        from_: str | Sequence[str] | None = None,
        when_unreachable: Any = "spool",
        spool: Spool | None = None,
    ) -> Pipeline:
        """Write to ``component``; without ``from_`` it takes the stream built last."""
        if from_ is None:
            from_ = self.current if self.current in self.streams else "source"
        spec = SinkSpec(_names(from_), component, when_unreachable, spool or Spool())
        return replace(self, sinks=_added(self.sinks, name, spec))

    def spec(self) -> PipelineSpec:
        """The finished pipeline; raises `ConfigError` with every problem."""
        return PipelineSpec(
            self.name,
            self.sources,
            self.streams,
            self.sinks,
            self.delivery,
            self.checkpoint,
            self.memory,
            self.durability,
            dead_letters=self.dead_letters,
        )

    async def run(self, *, state_dir: str | None = None, allowed: Sequence[str] = ()) -> None:
        """Run until cancelled, or until all sources have ended.

        ``allowed`` names the modules and packages whose functions ``use:`` may import.
        Raises the error that stopped it: `ConfigError`, `StoreError`, `Fatal`.
        """
        from edgestream.runtime.run import run_async  # noqa: PLC0415 - building needs no runtime

        await run_async(self.spec(), state_dir=state_dir, allowed=allowed)


def pipeline(
    name: str,
    *,
    delivery: Delivery | None = None,
    checkpoint: Duration = "5s",
    memory: Size = MEMORY,
    durability: Durability | None = None,
    dead_letters: DeadLetters | None = None,
) -> Pipeline:
    """Begin a pipeline."""
    return Pipeline(
        name,
        delivery,
        checkpoint,
        memory=memory,
        durability=durability,
        dead_letters=dead_letters or DeadLetters(),
    )


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _added(known: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    if name in known:
        raise ConfigError(Problem(f"the name {name!r} is used twice", hint="give name="))
    return {**known, name: value}
