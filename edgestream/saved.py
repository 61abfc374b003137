"""The state of a graph under names that survive a change of the pipeline where they can.

A step's state is called ``stream.component.k``: the k-th of its kind in its stream, so that putting
a ``where`` before a window leaves the window its state. Rule: state of a step that is no longer
there is refused, never dropped in silence.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from edgestream.component import Codec, Operator, State
from edgestream.errors import ConfigError, Problem
from edgestream.graph import Graph, Node
from edgestream.window.fronts import Fronts

_TIME = ".time"
FRESH = (
    "go back to what it was, give the pipeline another name, give this state up with "
    "--accept-loss NAME, or all with --fresh (edgestream plan shows the names)"
)


def snapshot(graph: Graph) -> dict[str, State]:
    """The state of all steps and codecs that have some."""
    states = {name: node.operator.snapshot() for name, node in _names(graph).items()}
    states |= {
        name: graph.entries[entry].codec.snapshot() for name, entry in _codecs(graph).items()
    }
    states |= {name: fronts.save() for name, fronts in _times(graph).items()}
    return {name: state for name, state in states.items() if state is not None}


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the saved state of one step, or of a step that has none.

    ``kept`` goes on; ``new`` starts empty; ``lost`` does not fit, or its step is gone.
    """

    name: str
    what: Literal["kept", "new", "lost"]
    problems: tuple[Problem, ...] = ()


def fates(graph: Graph, states: Mapping[str, State], accept: Collection[str] = ()) -> list[Fate]:
    """Give a new graph all saved state that fits it, and tell what became of each.

    A step whose loss is in ``accept`` starts afresh where its state does not fit.
    """
    nodes = _names(graph)
    found = [
        Fate(name, "lost", (Problem(f"the saved state of {name} belongs to no step", (), FRESH),))
        for name in states
        if name not in nodes and ".decode." not in name and not name.endswith(_TIME)
    ]
    for name, node in nodes.items():
        if name in states:
            problems = _give(node, states[name], graph, trial=name in accept)
            found.append(Fate(name, "lost" if problems else "kept", problems))
        elif states and node.operator.snapshot() is not None:
            found.append(Fate(name, "new"))
    return found


def _give(node: Node, state: State, graph: Graph, *, trial: bool) -> tuple[Problem, ...]:
    """Restore a step; why it does not fit. After a ``trial`` that fails it is as it was."""
    try:
        state = migrated(node.operator, state)
        if trial:
            copy.deepcopy(node.operator).restore(state)
        node.operator.restore(state)
    except ConfigError as error:
        path = graph.spec.path(node.id)
        return tuple(Problem(p.message, (*path, *p.path), FRESH) for p in error.problems)
    return ()


def migrated(component: Operator | Codec, state: State) -> State:
    """State of an older version in the form of the present one, step by step."""
    while (migrate := component.migrations.get(state.version)) is not None:
        newer = migrate(state)
        if newer.version <= state.version:
            raise ConfigError(f"the migration of state {state.version} leads nowhere")
        state = newer
    return state


def restore(graph: Graph, states: Mapping[str, State], accept: Collection[str] = ()) -> list[Fate]:
    """Go on from a snapshot; a step without state starts afresh.

    Raises `ConfigError` for state that no step takes, or that does not fit the step it belongs to,
    unless its name is in ``accept``; these are what is given back.
    """
    lost = [fate for fate in fates(graph, states, accept) if fate.what == "lost"]
    problems = [p for fate in lost if fate.name not in accept for p in fate.problems]
    if problems:
        raise ConfigError(problems)
    for name, entry in _codecs(graph).items():
        if name in states:
            codec = graph.entries[entry].codec
            codec.restore(migrated(codec, states[name]))
    for name, fronts in _times(graph).items():
        if name in states:
            fronts.load(states[name])
    return lost


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


def _times(graph: Graph) -> dict[str, Fronts]:
    """How far the keys of sources have got, where their time has ``by``."""
    marks = {entry.id: entry.watermark for entry in graph.entries.values()}
    return {f"{name}{_TIME}": mark for name, mark in marks.items() if isinstance(mark, Fronts)}


def _codecs(graph: Graph) -> dict[str, str]:
    """What a codec learnt is kept only for a codec of the same kind."""
    return {
        f"{entry.id}.decode.{entry.codec.about.name}": entry.id for entry in graph.entries.values()
    }
