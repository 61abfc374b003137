"""The state of a graph under names that survive a change of the pipeline where they can.

A step's state is called ``stream.component.k``: the k-th of its kind in its stream, so that putting
a ``where`` before a window leaves the window its state. Rule: state of a step that is no longer
there is refused, never dropped in silence. What no step can have written is a `DamagedState`.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from edgestream.component import Codec, Operator, State
from edgestream.errors import ConfigError, DamagedState, Problem
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

    A step whose loss is in ``accept`` starts afresh where its state does not fit. Raises
    `DamagedState` where another's is none at all.
    """
    nodes = _names(graph)
    found = [
        Fate(name, "lost", (Problem(f"the saved state of {name} belongs to no step", (), FRESH),))
        for name in states
        if name not in nodes and ".decode." not in name and not name.endswith(_TIME)
    ]
    for name, node in nodes.items():
        if name in states:
            problems = _give(name, node, states[name], graph, trial=name in accept)
            found.append(Fate(name, "lost" if problems else "kept", problems))
        elif states and node.operator.snapshot() is not None:
            found.append(Fate(name, "new"))
    return found


def _give(name: str, node: Node, state: State, graph: Graph, *, trial: bool) -> tuple[Problem, ...]:
    """Restore a step; why it does not fit. After a ``trial`` that fails it is as it was."""
    path = graph.spec.path(node.id)
    try:
        if trial:
            _become(name, copy.deepcopy(node.operator), state)
        _become(name, node.operator, state)
    except ConfigError as error:
        return tuple(Problem(p.message, (*path, *p.path), FRESH) for p in error.problems)
    except DamagedState as error:
        if not trial:
            raise
        return (Problem(str(error), path, FRESH),)
    return ()


def _become(name: str, component: Operator | Codec, state: State) -> None:
    """Restore; raises `ConfigError` where it is of something else, `DamagedState` where of nothing.

    What it would save now must be of the same kinds: a wrong array is seen here, not a day later.
    """
    with believed(f"state of {name}"):
        state = migrated(component, state)
        component.restore(state)
        again = component.snapshot()
        arrays = {} if again is None else again.arrays
        for key, array in arrays.items():
            given = state.arrays.get(key, array)
            if (given.dtype, given.ndim) != (array.dtype, array.ndim):
                kinds = (
                    f"{given.dtype} in {given.ndim}, not {array.dtype} in {array.ndim} dimensions"
                )
                raise DamagedState(f"the saved state of {name} cannot be: {key} is {kinds}")


@contextlib.contextmanager
def believed(what: str) -> Iterator[None]:
    """Make a `DamagedState` of whatever is raised by what was not written by edgestream."""
    try:
        yield
    except (ConfigError, DamagedState):
        raise
    except Exception as error:
        raise DamagedState(f"the saved {what} cannot be: {error!r}") from error


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
    unless its name is in ``accept``; these are what is given back. Raises `DamagedState` for what
    cannot be state of the step.
    """
    lost = [fate for fate in fates(graph, states, accept) if fate.what == "lost"]
    problems = [p for fate in lost if fate.name not in accept for p in fate.problems]
    if problems:
        raise ConfigError(problems)
    for name, entry in _codecs(graph).items():
        if name in states:
            _become(name, graph.entries[entry].codec, states[name])
    for name, fronts in _times(graph).items():
        if name in states:
            with believed(f"state of {name}"):
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
