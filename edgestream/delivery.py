"""What a source and a sink can promise together.

A source either replays or is journalled before it is acknowledged, so nothing accepted is lost;
the sink decides whether a row may be seen twice after a crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgestream.errors import ConfigError, Problem
from edgestream.spec import STRONGEST, Delivery, PipelineSpec

_BY_SINK: dict[str, tuple[Delivery, str]] = {
    "transactional": ("effectively_once", "rows and commit token share the sink's transaction"),
    "idempotent": ("effectively_once", "writing a row again changes nothing"),
    "at_least_once": ("at_least_once", "after a crash its last rows may come twice"),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """The guarantee of one source-sink pair, and why."""

    source: str
    sink: str
    delivery: Delivery
    reason: str


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
        for source_name in sorted(feeding(spec, sink_name)):
            source = spec.sources[source_name].component
            how = "replays" if source.replayable else "journalled before it is acknowledged"
            if spec.delivery == "best_effort":
                yield Pair(source_name, sink_name, "best_effort", "as asked: nothing is journalled")
            else:
                held = min(strongest, spec.delivery or strongest, key=STRONGEST.index)
                yield Pair(source_name, sink_name, held, f"{how}; {reason}")


def agreed(spec: PipelineSpec) -> Delivery:
    """The delivery of the whole pipeline; raises `ConfigError` where a pair cannot hold it."""
    held = list(pairs(spec))
    if spec.delivery is None:
        return min((pair.delivery for pair in held), key=STRONGEST.index)
    problems = [
        Problem(
            f"{pair.source} → {pair.sink} cannot hold {spec.delivery}: {pair.reason}",
            ("delivery",),
            f"ask for {pair.delivery}, or write to a sink with transactions or upserts",
        )
        for pair in held
        if STRONGEST.index(pair.delivery) < STRONGEST.index(spec.delivery)
    ]
    if problems:
        raise ConfigError(problems)
    return spec.delivery
