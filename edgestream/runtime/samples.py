"""What is counted of a pipeline, as the series of ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from edgestream.clock import SECOND
from edgestream.component import OVERFLOW
from edgestream.eventtime import ENDED
from edgestream.runtime.running import Running
from edgestream.runtime.view import statuses
from edgestream.web.metrics import Sample


def _sampler(running: Running) -> Callable[..., Sample]:
    """What makes the series of one pipeline."""

    def sample(name: str, kind: Any, text: str, value: float, **labels: str) -> Sample:
        given = {"pipeline": running.spec.name, **labels}
        return Sample(f"edgestream_{name}", kind, text, given, value)

    return sample


def samples(running: Running) -> Iterator[Sample]:
    """Everything counted of one pipeline."""
    sample = _sampler(running)
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
    yield from _steps(running)
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
    for status in statuses(running):
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


def _steps(running: Running) -> Iterator[Sample]:
    """What left each step, what it holds, and how often its table could not be read."""
    sample = _sampler(running)

    for node in running.graph.nodes.values():
        for port in ("", *node.operator.ports):
            count = node.rows_out.get(port, 0)
            yield sample("step_rows", "counter", "Rows that left.", count, step=node.id, port=port)
        if OVERFLOW in node.operator.ports:
            held, new = node.operator.state_bytes(), node.rows_out.get(OVERFLOW, 0)
            text = "Rows that memory had no room for."
            yield sample("state_bytes", "gauge", "State that is held.", held, step=node.id)
            yield sample("overflow_rows", "counter", text, new, step=node.id)
    for refresher in running.refreshers:
        text = "Times it could not read its table again."
        count = refresher.failures
        yield sample("refresh_failures", "counter", text, count, step=refresher.step)


def _dead_letters(running: Running) -> Iterator[Sample]:
    """How many were made, are kept and were dropped, and which breakers are open."""
    if (task := running.task) is None:
        return
    sample = _sampler(running)

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
