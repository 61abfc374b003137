"""What a source and a sink can promise together.

A source either replays or is journalled before it is acknowledged, so nothing accepted is lost;
the sink decides whether a row may be seen twice after a crash. A spool that may drop rows takes
its part back: what it keeps is delivered as promised, what it drops is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgestream.config.values import nanos
from edgestream.errors import ConfigError, Problem
from edgestream.schema import Schema
from edgestream.spec import (
    STRONGEST,
    Delivery,
    Durability,
    PipelineSpec,
    SinkSpec,
    SourceSpec,
    Spool,
)

_BY_SINK: dict[str, tuple[Delivery, str]] = {
    "transactional": ("effectively_once", "rows and commit token share the sink's transaction"),
    "idempotent": ("effectively_once", "writing a row again changes nothing"),
    "at_least_once": ("at_least_once", "after a crash its last rows may come twice"),
}


_ENDS = {"power": "power cut", "process": "crash"}


@dataclass(frozen=True, slots=True)
class Pair:
    """The guarantee of one source-sink pair, why, and for which rows it does not hold."""

    source: str
    sink: str
    delivery: Delivery
    reason: str
    but: str = ""


def feeding(spec: PipelineSpec, name: str) -> set[str]:
    """The sources that reach a stream or sink."""
    if name in spec.sources:
        return {name}
    inputs = spec.sinks[name].inputs if name in spec.sinks else spec.streams[name].inputs
    found: set[str] = set()
    for given in inputs:
        found |= feeding(spec, given.partition(".")[0])
    return found


def pairs(spec: PipelineSpec) -> Iterator[Pair]:
    """Every source-sink pair with what it holds under the pipeline's delivery."""
    for sink_name, sink in spec.sinks.items():
        strongest, usual = _BY_SINK[sink.component.delivery]
        reason = sink.component.how or usual
        but = f"but the spool holds {sink.spool}" if sink.spool.drops else ""
        for source_name in sorted(feeding(spec, sink_name)):
            how = _from(spec.sources[source_name])
            if spec.delivery == "best_effort" or spec.durability == "none":
                yield Pair(
                    source_name, sink_name, "best_effort", "as asked: nothing is journalled", but
                )
            else:
                held = min(strongest, spec.delivery or strongest, key=STRONGEST.index)
                if spec.durability == "process":
                    reason += "; not through a power cut, as asked"
                yield Pair(source_name, sink_name, held, f"{how}; {reason}", but)


def _from(source: SourceSpec) -> str:
    """How nothing of a source is lost, and where that begins."""
    component = source.component
    if component.replayable:
        how = "it is read again from its position"
    elif component.resends:
        how = "journalled before it is acknowledged, sent again until then"
    else:
        how = "journalled when it is read; what is lost on its way there is not sent again"
    if source.event_id is not None or component.payload_ids() is not None:
        how += "; what comes twice is known by its id"
    return how


def agreed(spec: PipelineSpec) -> Delivery:
    """The delivery of the whole pipeline; raises `ConfigError` where a pair cannot hold it."""
    held = list(pairs(spec))
    problems = [problem for name in spec.sinks for problem in _spool_problems(spec, name)]
    problems += [*_durability_problems(spec), *_sharing_problems(spec)]
    if spec.delivery is None and not problems:
        return min((pair.delivery for pair in held), key=STRONGEST.index)
    problems += [
        Problem(
            f"{pair.source} → {pair.sink} cannot hold {spec.delivery}: {pair.reason}",
            ("delivery",),
            f"ask for {pair.delivery}, or write to a sink with transactions or upserts",
        )
        for pair in held
        if spec.delivery is not None
        and spec.durability != "none"
        and STRONGEST.index(pair.delivery) < STRONGEST.index(spec.delivery)
    ]
    if problems or spec.delivery is None:
        raise ConfigError(problems)
    return spec.delivery


def durability(spec: PipelineSpec) -> Durability:
    """What may happen before anything that was acknowledged is lost."""
    if agreed(spec) == "best_effort":
        return "none"
    return spec.durability or "power"


def _durability_problems(spec: PipelineSpec) -> Iterator[Problem]:
    """Where delivery and durability contradict each other."""
    path = ("durability",)
    if spec.delivery == "best_effort" and spec.durability in ("power", "process"):
        message = (
            f"best_effort writes nothing down, so nothing can survive a {_ENDS[spec.durability]}"
        )
        hint = "leave out durability:, or ask for delivery: at_least_once"
        yield Problem(message, path, hint)
    if spec.delivery in ("at_least_once", "effectively_once") and spec.durability == "none":
        message = f"{spec.delivery} needs what was acknowledged to be written down first"
        hint = "write durability: process or power, or ask for delivery: best_effort"
        yield Problem(message, path, hint)


def _sharing_problems(spec: PipelineSpec) -> Iterator[Problem]:
    """Sinks that would wait for each other for ever."""
    owners: dict[str, str] = {}
    for name, sink in spec.sinks.items():
        place = sink.component.owns()
        if place and place in owners:
            message = f"{name} and {owners[place]} write to {place}, which takes one sink at a time"
            hint = "give each its own, or let one sink take the rows of both (from: [a, b])"
            yield Problem(message, spec.path(name), hint)
        owners[place] = name


def _spool_problems(spec: PipelineSpec, name: str) -> Iterator[Problem]:
    """What does not fit together in what a sink does while it cannot be reached."""
    sink = spec.sinks[name]
    path = (*spec.path(name), "spool")
    if sink.when_unreachable == "wait" and sink.spool != Spool():
        hint = "leave out spool:, or write when_unreachable: spool"
        yield Problem("with when_unreachable: wait nothing is spooled", path, hint)
        return
    if spec.delivery == "best_effort":
        hint = "use overflow: drop_oldest, or a stronger delivery"
        if sink.spool.overflow == "downsample":
            message = "best_effort keeps no rows on disk that could be downsampled"
            yield Problem(message, (*path, "overflow"), hint)
        if nanos(sink.spool.max_age):
            yield Problem("best_effort knows no age of rows", (*path, "max_age"), hint)
    elif spec.delivery is not None and sink.spool.drops:
        message = f"{spec.delivery} cannot be held by a spool that drops rows"
        hint = (
            "use overflow: pause; or leave out delivery:, then it holds for all rows that are kept"
        )
        yield Problem(message, (*path, "overflow"), hint)


def received(sink: SinkSpec, schema: Schema, keys: Sequence[str]) -> Schema:
    """The columns that reach a sink from its spool; raises `ConfigError` where they do not fit."""
    spool = sink.spool
    problems = []
    if spool.mark and spool.mark in schema.fields:
        message = f"rows have a column {spool.mark!r} already"
        problems.append(Problem(message, ("spool", "mark"), "name another"))
    for index, column in enumerate(spool.by):
        try:
            schema.kind(column)
        except ConfigError as error:
            problems += [problem.under("spool", "by", index) for problem in error.problems]
    timeless = keys and not any(schema.kind(key) in ("time", "any") for key in keys)
    if spool.order == "live_first" and timeless:
        message = "an older row would replace a newer one: no key is a time"
        hint = "leave out order:, then rows come in their order"
        problems.append(Problem(message, ("spool", "order"), hint))
    if problems:
        raise ConfigError(problems)
    return schema.with_fields({spool.mark: "bool"}) if spool.mark else schema
