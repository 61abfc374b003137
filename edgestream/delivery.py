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
from edgestream.spec import STRONGEST, Delivery, PipelineSpec, SinkSpec, Spool

_BY_SINK: dict[str, tuple[Delivery, str]] = {
    "transactional": ("effectively_once", "rows and commit token share the sink's transaction"),
    "idempotent": ("effectively_once", "writing a row again changes nothing"),
    "at_least_once": ("at_least_once", "after a crash its last rows may come twice"),
}


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
        strongest, reason = _BY_SINK[sink.component.delivery]
        but = f"but the spool holds {sink.spool}" if sink.spool.drops else ""
        for source_name in sorted(feeding(spec, sink_name)):
            source = spec.sources[source_name].component
            how = "replays" if source.replayable else "journalled before it is acknowledged"
            if spec.delivery == "best_effort":
                yield Pair(
                    source_name, sink_name, "best_effort", "as asked: nothing is journalled", but
                )
            else:
                held = min(strongest, spec.delivery or strongest, key=STRONGEST.index)
                yield Pair(source_name, sink_name, held, f"{how}; {reason}", but)


def agreed(spec: PipelineSpec) -> Delivery:
    """The delivery of the whole pipeline; raises `ConfigError` where a pair cannot hold it."""
    held = list(pairs(spec))
    problems = [problem for name in spec.sinks for problem in _spool_problems(spec, name)]
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
        and STRONGEST.index(pair.delivery) < STRONGEST.index(spec.delivery)
    ]
    if problems or spec.delivery is None:
        raise ConfigError(problems)
    return spec.delivery


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
