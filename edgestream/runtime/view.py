"""What the endpoint shows of a worker: answers from memory, nothing waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

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
                for status in _statuses(running)
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
        for running in self._pipelines:
            yield from _samples(running)


def _statuses(running: Running) -> list[StepStatus]:
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


def _samples(running: Running) -> Iterator[Sample]:
    pipeline = running.spec.name

    def sample(name: str, kind: Any, text: str, value: float, **labels: str) -> Sample:
        return Sample(f"edgestream_{name}", kind, text, {"pipeline": pipeline, **labels}, value)

    yield sample("up", "gauge", "Whether the pipeline runs.", float(running.state == "running"))
    yield sample("clock_jumps", "counter", "Times the clock was set.", running.jumps.count)
    for name, entry in running.graph.entries.items():
        yield sample("source_rows", "counter", "Rows read.", entry.rows_out, step=name)
        yield sample(
            "rejected_rows",
            "counter",
            "Payloads that could not be read.",
            entry.rejected,
            step=name,
        )
        if entry.ids:
            text = "Rows and payloads that came again and were dropped."
            yield sample("repeated_rows", "counter", text, entry.repeated, step=name)
    for node in running.graph.nodes.values():
        for port in ("", *node.operator.ports):
            count = node.rows_out.get(port, 0)
            yield sample("step_rows", "counter", "Rows that left.", count, step=node.id, port=port)
        if OVERFLOW in node.operator.ports:
            held, new = node.operator.state_bytes(), node.rows_out.get(OVERFLOW, 0)
            text = "Rows that memory had no room for."
            yield sample("state_bytes", "gauge", "State that is held.", held, step=node.id)
            yield sample("overflow_rows", "counter", text, new, step=node.id)
    for name, exit_ in running.graph.exits.items():
        yield sample("sink_rows", "counter", "Rows for the sink.", exit_.rows_in, step=name)
    for name, writer in running.writers.items():
        text = "Bytes that the sink has not taken."
        yield sample("undelivered_bytes", "gauge", text, writer.undelivered, step=name)
        text = "Bytes of rows that wait in the state file."
        yield sample("spooled_bytes", "gauge", text, writer.lanes.waiting.size, step=name)
        text = "Rows dropped because the spool was full or they were too old."
        yield sample("dropped_rows", "counter", text, writer.drops.rows, step=name)
        text = "Rows that were sent late."
        yield sample("replayed_rows", "counter", text, writer.replayed, step=name)
    for status in _statuses(running):
        step = status.id.partition(" ")[0]
        connected = float(status.state in ("connected", "ended"))
        yield sample("connected", "gauge", "Whether it is connected.", connected, step=step)
        for name, value in status.metrics.counters.items():
            yield sample(f"{name}", "counter", "Counted by the connector.", value, step=step)
        for name, value in status.metrics.gauges.items():
            yield sample(f"{name}", "gauge", "Set by the connector.", value, step=step)
    if running.task is not None:
        task = running.task
        yield sample("checkpoints", "counter", "Checkpoints written.", task.checkpoints)
    marks = [node.watermark for node in running.graph.nodes.values()]
    if marks and 0 < min(marks) < ENDED:
        yield sample(
            "watermark_seconds", "gauge", "Event time the pipeline has got to.", min(marks) / SECOND
        )
    yield from _dead_letters(running)


def _dead_letters(running: Running) -> Iterator[Sample]:
    """How many were made, are kept and were dropped, and which breakers are open."""
    if (task := running.task) is None:
        return

    def sample(name: str, kind: Any, text: str, value: float, **labels: str) -> Sample:
        given = {"pipeline": running.spec.name, **labels}
        return Sample(f"edgestream_{name}", kind, text, given, value)

    counts = {(name, "decode"): 0 for name in running.graph.entries} | task.letters.by
    for (step, stage), count in counts.items():
        text = "Payloads and rows that became dead letters."
        yield sample("dead_letters", "counter", text, count, step=step, stage=stage)
    for step, count in task.letters.damaged.items():
        text = "Messages and rows in damaged blocks of the state file."
        yield sample("damaged_rows", "counter", text, count, step=step)
    held = task.letters.held
    text = "Dead letters that the bounds pushed out."
    yield sample("dead_letters_dropped", "counter", text, held.dropped)
    yield sample("dead_letters_kept", "gauge", "Dead letters in the state file.", held.rows)
    yield sample("dead_letters_kept_bytes", "gauge", "Bytes of dead letters.", held.bytes)
    sinks = {name: writer.breaker for name, writer in running.writers.items()}
    for name, breaker in {**task.breakers.made(), **sinks}.items():
        text = "Whether it stands still because too many rows are bad."
        yield sample("breaker_open", "gauge", text, float(breaker.open), step=name)
