"""What the endpoint shows of a worker: answers from memory, nothing waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgestream._version import __version__
from edgestream.batch import Batch, to_python
from edgestream.clock import SECOND, Clock
from edgestream.component import MAIN, OVERFLOW
from edgestream.entry import Entry
from edgestream.eventtime import ENDED
from edgestream.graph import Node
from edgestream.runtime.running import Running
from edgestream.runtime.status import StepStatus
from edgestream.runtime.writer import Writer

if TYPE_CHECKING:
    from edgestream.web.metrics import Sample

STUCK = 60 * SECOND


class WorkerView:
    """Implements `edgestream.web.view.View` over the pipelines of a worker."""

    def __init__(self, pipelines: Sequence[Running], clock: Clock) -> None:
        """Look at ``pipelines``."""
        self._pipelines = pipelines
        self._clock = clock

    def live(self) -> Sequence[str]:
        """Pipelines that are stuck: work is queued, and none was finished for a minute.

        A sink or broker that cannot be reached is no reason to restart, nor is one failed pipeline
        among others.
        """
        now = self._clock.monotonic()
        return [
            f"{running.spec.name}: nothing processed for {STUCK // SECOND} s although data waits"
            for running in self._pipelines
            if running.task is not None and running.task.stuck_for(now) > STUCK
        ]

    def ready(self) -> Sequence[str]:
        """Pipelines that do not run and steps that are not connected, with why."""
        missing = []
        for running in self._pipelines:
            if running.state != "running":
                what = running.message or _trouble(running) or running.state
                missing.append(f"{running.spec.name}: {what}")
            elif trouble := _trouble(running):
                missing.append(f"{running.spec.name}: {trouble}")
            if running.state in ("failed", "stopped"):
                continue  # what its steps were doing at the end helps nobody
            missing += [
                f"{running.spec.name}.{status.id}: {status.message or status.state or 'not open'}"
                f"{_dropping(running, status)}"
                for status in statuses(running)
                if status.state not in ("connected", "ended")
            ]
        return missing

    def pipelines(self) -> Mapping[str, object]:
        """Everything the page draws."""
        return {
            "version": __version__,
            "now": self._clock.wall() / SECOND,
            "pipelines": [_describe(running) for running in self._pipelines],
        }

    def rows(self, pipeline: str, sink: str, after: int) -> Mapping[str, object] | None:
        """The last rows of a sink after row number ``after``."""
        for running in self._pipelines:
            if running.spec.name == pipeline and sink in running.writers:
                tap = running.writers[sink].tap
                first = tap.count - tap.rows
                return _rows(list(tap.batches), running.graph.exits[sink].keys, first, after)
        return None

    def metrics(self) -> Iterable[Sample]:
        """Everything counted."""
        from edgestream.runtime.samples import samples  # noqa: PLC0415 - when somebody asks

        for running in self._pipelines:
            yield from samples(running)


def statuses(running: Running) -> list[StepStatus]:
    """Of all sources and sinks that were put together."""
    return [
        *(reader.status for reader in running.readers.values()),
        *(writer.status for writer in running.writers.values()),
    ]


def _dropping(running: Running, status: StepStatus) -> str:
    """What to add of a sink that cannot be reached: how many of its rows were dropped."""
    rows = sum(w.drops.rows for w in running.writers.values() if w.status is status)
    return f"; {rows} rows dropped so far" if rows else ""


def _trouble(running: Running) -> str:
    """Why nothing is read although it runs: no room on the disk, or too many bad rows."""
    return running.trouble or (running.task.breakers.paused if running.task is not None else "")


def _describe(running: Running) -> dict[str, object]:
    fronts = [entry.watermark.front for entry in running.graph.entries.values()]
    known = [front for front in fronts if front is not None]
    marks = [node.watermark for node in running.graph.nodes.values()] or [
        entry.watermark.value for entry in running.graph.entries.values()
    ]
    mark = min(marks)
    sane = 0 < mark < ENDED
    task = running.task
    return {
        "name": running.spec.name,
        "state": running.state,
        "message": running.message or _trouble(running),
        "delivery": running.delivery,
        "started": running.started / SECOND,
        "nodes": [*_nodes(running)],
        "edges": [*_edges(running)],
        "watermark": mark / SECOND if sane else None,
        "lag": (max(known) - mark) / SECOND if sane and known else None,
        "dead_letters": task.letters.count if task else 0,
        "late": sum(node.rows_out.get("late", 0) for node in running.graph.nodes.values()),
        "checkpoints": task.checkpoints if task else 0,
        "spooled": sum(writer.undelivered for writer in running.writers.values()),
        "dropped": sum(writer.drops.rows for writer in running.writers.values()),
    }


def _nodes(running: Running) -> Iterator[dict[str, object]]:
    for name, entry in running.graph.entries.items():
        status = running.readers[name].status if name in running.readers else None
        counts = {"rejected": entry.rejected, "repeated": entry.repeated}
        ports = {port: count for port, count in counts.items() if count}
        yield {
            **_node(name, "source", entry.component, status),
            "rows_in": entry.rows_out + entry.rejected,
            "rows_out": entry.rows_out,
            "ports": ports,
        }
    for node in running.graph.nodes.values():
        yield {
            **_node(node.id, "operator", node.operator, None),
            "rows_in": node.rows_in,
            "rows_out": node.rows_out.get(MAIN, 0),
            "ports": _ports(node),
            "closes": _closes(node.operator),
            "state_bytes": node.operator.state_bytes(),
        }
    for name, exit_ in running.graph.exits.items():
        status = running.writers[name].status if name in running.writers else None
        yield {
            **_node(name, "sink", exit_.component, status),
            "rows_in": exit_.rows_in,
            "rows_out": exit_.rows_in,
            "ports": _lost(running.writers.get(name)),
        }


def _lost(writer: Writer | None) -> dict[str, int]:
    """The rows that a sink's spool had no room for; nothing is said of what never was."""
    return {"dropped": writer.drops.rows} if writer is not None and writer.drops.rows else {}


def _node(name: str, kind: str, component: Any, status: StepStatus | None) -> dict[str, object]:
    return {
        "id": name,
        "kind": kind,
        "component": component.about.name,
        "label": component.label(),
        "state": status.state if status else "",
        "message": status.message if status else "",
    }


def _ports(node: Node) -> dict[str, int]:
    """The rows that left by side ports; nothing is said of an overflow that never was."""
    ports = {port: node.rows_out.get(port, 0) for port in node.operator.ports}
    if not ports.get(OVERFLOW, 1) and OVERFLOW not in node.targets:
        del ports[OVERFLOW]
    return ports


def _closes(operator: Any) -> float | None:
    closes = getattr(operator, "next_close", None)
    moment = closes() if callable(closes) else None
    return None if moment is None else moment / SECOND


def _edges(running: Running) -> Iterator[dict[str, str]]:
    givers: list[Entry | Node] = [*running.graph.entries.values(), *running.graph.nodes.values()]
    for giver in givers:
        for port, targets in giver.targets.items():
            for target in targets:
                yield {"from": giver.id, "to": target, "port": port}


def _rows(
    batches: Sequence[Batch], keys: Sequence[str], first: int, after: int
) -> dict[str, object]:
    columns: list[str] = []
    rows: list[list[object]] = []
    number = first
    for batch in batches:
        skip = min(max(0, after - number), len(batch))
        number += len(batch)
        columns = list(batch.columns)
        if skip < len(batch):
            values = [to_python(batch.columns[name][skip:]) for name in columns]
            rows += [list(row) for row in zip(*values, strict=True)]
    return {"keys": list(keys), "columns": columns, "next": number, "rows": rows}
