"""What a change of the pipeline would lose of the sources and sinks that are gone.

Rule: input that was accepted and not processed, rows that wait for a sink, and the place a source
had got to are given up only where that was asked for by name; and then it is said.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgestream.errors import ConfigError, Problem
from edgestream.graph import Graph
from edgestream.saved import FRESH
from edgestream.store.checkpoints import Resume
from edgestream.store.store import Store


@dataclass(frozen=True, slots=True)
class Left:
    """What a state file holds for a source or sink that a pipeline has no more."""

    name: str
    what: str


def left_behind(
    graph: Graph,
    positions: Mapping[str, Any],
    unprocessed: Mapping[str, int],
    waiting: Mapping[str, int],
) -> list[Left]:
    """What is lost: messages in the journal and rows in the outbox, each by name; positions."""
    found = [
        Left(name, f"{count} messages of the source {name} were accepted and not processed")
        for name, count in unprocessed.items()
        if count and name not in graph.entries
    ]
    found += [
        Left(name, f"the source {name} is gone, and with it the place it had got to")
        for name, position in positions.items()
        if name not in graph.entries and "seq" not in position and position
    ]
    found += [
        Left(name, f"rows wait for the sink {name}, which is gone")
        for name, count in waiting.items()
        if count and name not in graph.exits
    ]
    return found


async def without_loss(
    store: Store, resume: Resume, graph: Graph, accept: Collection[str], log: logging.Logger
) -> Resume:
    """What to start from after a change; raises `ConfigError` where something would be lost."""
    unprocessed, waiting = await store.left()
    found = left_behind(graph, resume.positions, unprocessed, waiting)
    problems = [Problem(left.what, (), FRESH) for left in found if left.name not in accept]
    if problems:
        raise ConfigError(problems)
    if not found:
        return resume
    for left in found:
        log.warning("%s: given up, as asked with --accept-loss", left.what)
        await store.give_up(left.name)
    gone = {left.name for left in found}
    # The number of a journalled source stays: its messages must not come again if it does.
    positions = {
        name: position
        for name, position in resume.positions.items()
        if name not in gone or "seq" in position
    }
    return replace(resume, positions=positions)
