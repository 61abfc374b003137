"""The messages of the benchmarks, and what every window over them must hold."""

from __future__ import annotations

import random
from dataclasses import dataclass

TOPIC = "sensors/{:04d}/telemetry"


@dataclass(frozen=True, slots=True)
class Message:
    """One reading."""

    device: int
    ts: int
    temperature: float

    @property
    def topic(self) -> bytes:
        """Where it is published."""
        return TOPIC.format(self.device).encode()

    @property
    def payload(self) -> bytes:
        """About 95 bytes of JSON; two of the five fields are not used by the pipeline."""
        return (
            b'{"device":"sensor-%04d","ts":%d,"temperature":%.2f,"humidity":48.2,"battery":3.71}'
            % (self.device, self.ts, self.temperature)
        )


def messages(
    count: int, devices: int, start_ms: int, per_second: float, jitter_ms: int = 0, seed: int = 1
) -> list[Message]:
    """``count`` readings of ``devices`` in turn, ``per_second`` of event time."""
    rng = random.Random(seed)
    return [
        Message(
            i % devices,
            start_ms + int(i * 1000 / per_second) - (rng.randrange(jitter_ms) if jitter_ms else 0),
            round(rng.uniform(-10, 40), 2),
        )
        for i in range(count)
    ]


def windows(sent: list[Message], size_ms: int) -> dict[tuple[str, int], tuple[int, float]]:
    """(device, window start in ms) → (count, sum of temperature)."""
    found: dict[tuple[str, int], tuple[int, float]] = {}
    for message in sent:
        key = (f"sensor-{message.device:04d}", message.ts // size_ms * size_ms)
        n, total = found.get(key, (0, 0.0))
        found[key] = (n + 1, total + message.temperature)
    return found
