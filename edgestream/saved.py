"""The state of a graph under names that survive a change of the pipeline where they can.

A step's state is called ``stream.component.k``: the k-th of its kind in its stream, so that putting
a ``where`` before a window leaves the window its state. Rule: state of a step that is no longer
there is refused, never dropped in silence.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping

from edgestream.component import State
from edgestream.errors import ConfigError, Problem
from edgestream.graph import Graph, Node

FRESH = "go back to what it was, give the pipeline another name, or start afresh with --fresh"


def snapshot(graph: Graph) -> dict[str, State]:
    """The state of all steps and codecs that have some."""
    states = {name: node.operator.snapshot() for name, node in _names(graph).items()}
    states |= {
        name: graph.entries[entry].codec.snapshot() for name, entry in _codecs(graph).items()
    }
    return {name: state for name, state in states.items() if state is not None}


def restore(graph: Graph, states: Mapping[str, State]) -> None:
    """Go on from a snapshot; a step without state starts afresh.

    Raises `ConfigError` for state that no step takes, or that does not fit the step it belongs to.
    """
    nodes, codecs = _names(graph), _codecs(graph)
    problems = [
        Problem(f"the saved state of {name} belongs to no step of the pipeline", (), FRESH)
        for name in states
        if name not in nodes and ".decode." not in name
    ]
    for name, node in nodes.items():
        if name in states:
            try:
                node.operator.restore(states[name])
            except ConfigError as error:
                path = graph.spec.path(node.id)
                problems += [Problem(p.message, (*path, *p.path), FRESH) for p in error.problems]
    if problems:
        raise ConfigError(problems)
    for name, entry in codecs.items():
        if name in states:
            graph.entries[entry].codec.restore(states[name])


def topology(graph: Graph) -> str:
    """A fingerprint of what feeds what: names, kinds and connections, not settings."""
    parts = {
        "sources": {name: entry.component.about.name for name, entry in graph.entries.items()},
        "steps": {
            node.id: [node.operator.about.name, node.inputs] for node in graph.nodes.values()
        },
        "sinks": {
            name: [exit_.component.about.name, exit_.inputs] for name, exit_ in graph.exits.items()
        },
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _names(graph: Graph) -> dict[str, Node]:
    seen: Counter[str] = Counter()
    names: dict[str, Node] = {}
    for node in graph.nodes.values():
        kind = f"{node.id.rpartition('.')[0]}.{node.operator.about.name}"
        names[f"{kind}.{seen[kind]}"] = node
        seen[kind] += 1
    return names


def _codecs(graph: Graph) -> dict[str, str]:
    """What a codec learnt is kept only for a codec of the same kind."""
    return {
        f"{entry.id}.decode.{entry.codec.about.name}": entry.id for entry in graph.entries.values()
    }
