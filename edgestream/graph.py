"""A pipeline as live objects: nodes in order, connected by ports. Synchronous and pure.

`build` copies the components of a spec, follows the columns from node to node (so that an unknown
name is an error before anything runs) and tells each codec which columns are used. Afterwards
`Graph.push` sends a batch through, and `Graph.advance` a watermark; both give what reached sinks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from edgestream.batch import Batch
from edgestream.component import MAIN, OVERFLOW, Codec, Operator, Outputs, Sink
from edgestream.delivery import received
from edgestream.entry import Entry, columns_given, demand, known_ids
from edgestream.errors import ConfigError, Problem
from edgestream.eventtime import UNKNOWN, Watermark, put_back
from edgestream.operators.failing import Refused, in_parts
from edgestream.operators.function import Use
from edgestream.operators.protocols import Sided
from edgestream.operators.timed import Timed, timed
from edgestream.schema import ColumnKind, Schema
from edgestream.spec import PipelineSpec
from edgestream.window.fronts import Fronts, Reached

Arrived: TypeAlias = list[tuple[str, Batch]]
"""What reached sinks: (sink, rows) in order."""
REJECTED = "rejected"


@dataclass(slots=True)
class Node:
    """A step: an operator with what feeds it and what it feeds."""

    id: str
    operator: Operator
    inputs: list[str]
    sides: dict[str, str] = field(default_factory=dict)
    """What feeds the first step of a stream → what ``from:`` calls it."""
    process_from: Callable[[str, Batch], Outputs] | None = None
    targets: dict[str, list[str]] = field(default_factory=dict)
    watermark: int = UNKNOWN
    rows_in: int = 0
    rows_out: dict[str, int] = field(default_factory=dict)
    by_key: tuple[str, ...] = ()
    """The sources it goes by, where it goes by the watermarks of their keys."""
    full: bool = False
    """Whether memory is full, so that the state may not grow; set between two blocks."""


@dataclass(slots=True)
class Exit:
    """A sink with what feeds it."""

    id: str
    component: Sink
    inputs: list[str]
    keys: tuple[str, ...] = ()
    schema: Schema = field(default_factory=Schema.unknown)
    rows_in: int = 0


@dataclass(slots=True)
class Graph:
    """All nodes of a running pipeline."""

    spec: PipelineSpec
    entries: dict[str, Entry]
    nodes: dict[str, Node]
    exits: dict[str, Exit]
    refused: list[Refused] = field(default_factory=list)
    """Rows on which steps failed, until the caller takes them."""

    def push(self, source: str, batch: Batch, port: str = MAIN) -> Arrived:
        """Send rows of a source through."""
        arrived: Arrived = []
        entry = self.entries[source]
        if port == MAIN:
            entry.rows_out += len(batch)
        for target in entry.targets.get(port, ()):
            self._give(target, batch, arrived, f"{source}:{port}" if port else source)
        return arrived

    def push_to(self, step: str, batch: Batch) -> Arrived:
        """Send rows through from a step on that has one input."""
        arrived: Arrived = []
        self._give(step, batch, arrived, self.nodes[step].inputs[0])
        return arrived

    def advance(self, watermarks: Mapping[str, int]) -> Arrived:
        """Send the sources' watermarks through; a node has the least of what feeds it."""
        arrived: Arrived = []
        known = dict(watermarks)
        for node in self.nodes.values():
            mark = min((known[name.partition(":")[0]] for name in node.inputs), default=UNKNOWN)
            known[node.id] = put_back(mark, node.operator.behind())
            if node.by_key and isinstance(node.operator, Timed) and mark > UNKNOWN:
                node.watermark = mark
                made = node.operator.advance_each(mark, self._reached(node, known))
                self._emit(node, made, arrived)
            elif mark > node.watermark:
                node.watermark = mark
                self._emit(node, node.operator.advance(mark), arrived)
        return arrived

    def settle(self) -> None:
        """After a restore: tell the steps that go by keys how far these have got."""
        for node in self.nodes.values():
            if node.by_key and isinstance(node.operator, Timed):
                node.operator.note(self._reached(node, {}))

    def _reached(self, node: Node, known: Mapping[str, int]) -> dict[str, Reached]:
        """How far the sources have got that feed a node."""
        found: dict[str, Reached] = {}
        for name in node.by_key:
            mark = self.entries[name].watermark
            if isinstance(mark, Fronts):
                found[name] = mark.reached
            else:
                found[name] = Reached(known.get(name, mark.value))
        return found

    def _give(self, target: str, batch: Batch, arrived: Arrived, giver: str) -> None:
        if target in self.exits:
            self.exits[target].rows_in += len(batch)
            arrived.append((target, batch))
            return
        node = self.nodes[target]
        node.rows_in += len(batch)
        new = node.operator.grows(batch) if node.full else None
        if new is not None:
            self._emit(node, [(OVERFLOW, batch.take(new))], arrived)
            if new.all():
                return
            batch = batch.take(~new)
        process = node.process_from
        try:
            made = process(node.sides[giver], batch) if process else node.operator.process(batch)
        except Exception as error:  # noqa: BLE001 - raised again unless it is about rows
            made, refused = in_parts(node.operator, node.id, batch, error)
            self.refused.append(refused)
        self._emit(node, made, arrived)

    def _emit(self, node: Node, outputs: Outputs, arrived: Arrived) -> None:
        for port, batch in outputs:
            node.rows_out[port] = node.rows_out.get(port, 0) + len(batch)
            for target in node.targets.get(port, ()):
                self._give(target, batch, arrived, f"{node.id}:{port}" if port else node.id)

    def gathered(self, source: str) -> bool:
        """Whether every way from a source to a sink goes through a step that gathers rows."""
        open_ways = [target for names in self.entries[source].targets.values() for target in names]
        while open_ways:
            target = open_ways.pop()
            if target in self.exits:
                return False
            node = self.nodes[target]
            if not node.operator.gathers:
                open_ways += [name for names in node.targets.values() for name in names]
        return True


def build(spec: PipelineSpec, default_codec: Codec, allowed: Sequence[str] = ()) -> Graph:
    """Live objects for a spec; raises `ConfigError` with every problem found on the way.

    ``allowed`` names the packages whose functions ``use:`` may import.
    """
    entries = {
        name: Entry(
            name,
            source.component.fresh(),
            (source.decode or default_codec).fresh(),
            source.time,
            Fronts(source.time) if source.time and source.time.by else Watermark(source.time),
            source.event_id,
            known_ids(source),
        )
        for name, source in spec.sources.items()
    }
    nodes: dict[str, Node] = {}
    for name in _in_order(spec):
        feeds = [_origin(spec, given) for given in spec.streams[name].inputs]
        sides = dict(zip(feeds, spec.streams[name].inputs, strict=True))
        for index, step in enumerate(spec.streams[name].steps):
            node = Node(f"{name}.{index}", step.fresh(), feeds, {} if index else sides)
            if isinstance(node.operator, Sided):
                node.process_from = node.operator.process_from
            nodes[node.id] = node
            feeds = [node.id]
    exits = {
        name: Exit(
            name,
            sink.component.fresh(),
            [_origin(spec, given) for given in sink.inputs],
        )
        for name, sink in spec.sinks.items()
    }
    graph = Graph(spec, entries, nodes, exits)
    _connect(graph)
    problems = [*_resolve(graph, allowed), *_follow(graph)]
    if problems:
        raise ConfigError(problems)
    _project(graph)
    _go_by_keys(graph)
    return graph


def _in_order(spec: PipelineSpec) -> Iterable[str]:
    left = dict(spec.streams)
    while left:
        for name, stream in list(left.items()):
            if all(given.partition(".")[0] not in left for given in stream.inputs):
                del left[name]
                yield name


def _origin(spec: PipelineSpec, given: str) -> str:
    """``node`` or ``node:port`` for ``stream``, ``stream.port``, ``source`` or ``source.port``."""
    name, _, port = given.partition(".")
    if name in spec.sources:
        return f"{name}:{port}" if port else name
    steps = spec.streams[name].steps
    if not steps:
        return _origin(spec, spec.streams[name].inputs[0])
    if not port:
        return f"{name}.{len(steps) - 1}"
    having = [index for index, step in enumerate(steps) if port in step.ports]
    if len(having) > 1:
        raise ConfigError(
            Problem(
                f"{given!r} could be a port of several steps of {name!r}",
                spec.path(name),
                "give each window a stream of its own",
            )
        )
    return f"{name}.{having[0]}:{port}"


def _receivers(graph: Graph) -> list[Node | Exit]:
    return [*graph.nodes.values(), *graph.exits.values()]


def _connect(graph: Graph) -> None:
    for receiver in _receivers(graph):
        for given in receiver.inputs:
            name, _, port = given.partition(":")
            giver = graph.entries.get(name) or graph.nodes[name]
            giver.targets.setdefault(port or MAIN, []).append(receiver.id)


def _resolve(graph: Graph, allowed: Sequence[str]) -> list[Problem]:
    """Import the functions that steps name."""
    problems: list[Problem] = []
    for node in graph.nodes.values():
        if isinstance(node.operator, Use):
            try:
                node.operator.resolve(allowed)
            except ConfigError as error:
                problems += [p.under(*graph.spec.path(node.id)) for p in error.problems]
    return problems


def _go_by_keys(graph: Graph) -> None:
    """Let steps go by the watermark of each key where they know it."""
    by = {name: entry.time.by if entry.time else () for name, entry in graph.entries.items()}
    for name, names in timed(graph.nodes, by).items():
        node = graph.nodes[name]
        if isinstance(node.operator, Timed):
            node.operator.go_by(names)
            node.by_key = tuple(names)


def _follow(graph: Graph) -> list[Problem]:
    """Infer the columns that reach every node; unknown names are problems with their place."""
    problems: list[Problem] = []
    schemas: dict[str, Schema] = {}
    keys: dict[str, tuple[str, ...]] = {}
    for entry in graph.entries.values():
        schemas[entry.id], wrong = columns_given(entry)
        problems += [problem.under(*graph.spec.path(entry.id)) for problem in wrong]
        schemas[f"{entry.id}:{REJECTED}"] = Schema({"payload": "string", "reason": "string"})
    for receiver in _receivers(graph):
        schema = schemas[receiver.inputs[0]]
        for other in receiver.inputs[1:]:
            schema = schema.merge(schemas[other])
        path = graph.spec.path(receiver.id)
        try:
            if isinstance(receiver, Node):
                if isinstance(receiver.operator, Sided):
                    known = {side: schemas[given] for given, side in receiver.sides.items()}
                    schemas[receiver.id] = receiver.operator.infer_sides(known)
                else:
                    schemas[receiver.id] = receiver.operator.infer(schema)
                for port in receiver.operator.ports:
                    schemas[f"{receiver.id}:{port}"] = receiver.operator.port_schema(port, schema)
                keys[receiver.id] = receiver.operator.keys(keys.get(receiver.inputs[0], ()))
            else:
                receiver.keys = keys.get(receiver.inputs[0], ())
                schema = received(graph.spec.sinks[receiver.id], schema, receiver.keys)
                path = (*path, receiver.component.about.name)
                receiver.schema = schema
                receiver.component.accepts(schema, receiver.keys)
        except ConfigError as error:
            problems += [problem.under(*path) for problem in error.problems]
            if isinstance(receiver, Node):
                schemas[receiver.id] = receiver.operator.infer_roughly(schema)
                for port in receiver.operator.ports:
                    schemas[f"{receiver.id}:{port}"] = Schema.unknown()
    return problems


def _project(graph: Graph) -> None:
    """Tell each codec the columns that are used, walking from the sinks back to the sources."""
    wanted: dict[str, frozenset[str] | None] = {}
    kinds: dict[str, dict[str, ColumnKind]] = {}
    certain: dict[str, frozenset[str]] = {}

    def want(giver: str, names: frozenset[str] | None) -> None:
        have = wanted.get(giver, frozenset())
        wanted[giver] = None if have is None or names is None else have | names

    for exit_ in graph.exits.values():
        for given in exit_.inputs:
            want(given, None)
    for node in reversed(graph.nodes.values()):
        leaving = wanted.get(node.id, frozenset())
        passing = node.operator.passes(leaving)
        used = node.operator.uses()
        after = kinds.get(node.id, {})
        through = node.operator.passes(frozenset(after))  # without the columns it makes itself
        demanded = {n: kind for n, kind in after.items() if through is None or n in through}
        for port in node.operator.ports:
            beside = wanted.get(f"{node.id}:{port}", frozenset())
            passing = None if passing is None or beside is None else passing | beside
            demanded |= kinds.get(f"{node.id}:{port}", {})
        entering = None if passing is None else passing | frozenset(used)
        demands = {
            name: kind for name, kind in demanded.items() if passing is None or name in passing
        } | {name: kind for name, kind in used.items() if kind != "any"}
        # What leaves a function may have been made by it, so it need not have come.
        came = node.operator.passes(certain.get(node.id, frozenset())) or frozenset()
        for given in node.inputs:
            want(given, entering)
            kinds.setdefault(given, {}).update(demands)
            certain[given] = certain.get(given, frozenset()) | came | frozenset(used)
    for entry in graph.entries.values():
        entry.certain = certain.get(entry.id, frozenset())
        demand(entry, wanted.get(entry.id, frozenset()), kinds.get(entry.id, {}))
