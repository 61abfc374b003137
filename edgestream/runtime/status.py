"""What can be seen of a running pipeline: states, messages and counts of its steps."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from edgestream.batch import Batch

Connection: TypeAlias = Literal["", "connecting", "connected", "waiting", "ended"]
PipelineState: TypeAlias = Literal["starting", "running", "stopping", "stopped", "failed"]
TAP_ROWS = 2_000


class StepMetrics:
    """Counters and gauges of one step (the `Metrics` of its context)."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.counters: dict[str, float] = {}
        self.gauges: dict[str, float] = {}

    def add(self, name: str, amount: float = 1) -> None:
        """Count up."""
        self.counters[name] = self.counters.get(name, 0) + amount

    def set(self, name: str, value: float) -> None:
        """Set a gauge."""
        self.gauges[name] = value


@dataclass(slots=True)
class StepStatus:
    """A source or sink: whether it is connected, and if not why; one log line a change."""

    id: str
    log: logging.Logger
    state: Connection = ""
    message: str = ""
    metrics: StepMetrics = field(default_factory=StepMetrics)

    def change(self, state: Connection, message: str = "") -> None:
        """Note a state; what is new is logged once."""
        if (state, message) == (self.state, self.message):
            return
        if state == "waiting":
            self.log.warning("%s: %s", self.id, message)
        elif state == "connected" and self.state == "waiting":
            self.log.warning("%s: connected again", self.id)
        else:
            self.log.info("%s: %s", self.id, message or state)
        self.state, self.message = state, message


class Tap:
    """The last rows that reached a sink, for the page: references to batches, nothing copied."""

    def __init__(self) -> None:
        """Empty."""
        self.batches: deque[Batch] = deque()
        self.rows = 0
        self.count = 0

    def add(self, batch: Batch) -> None:
        """Remember a batch and let go of the oldest."""
        self.batches.append(batch)
        self.rows += len(batch)
        self.count += len(batch)
        while self.rows > TAP_ROWS and len(self.batches) > 1:
            self.rows -= len(self.batches.popleft())
