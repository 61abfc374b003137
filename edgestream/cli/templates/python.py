"""Simulated sensors, minute means of each device printed as JSON lines; the same as in YAML."""

from __future__ import annotations

import edgestream as es
from edgestream import count, max, mean  # noqa: A004 - the words of the language


@es.operator
def calibrate(batch: es.Batch, offset: float = 0.0) -> es.Batch:
    """Your own numpy: columns in, columns out; arrays never change."""
    return batch.with_columns(temperature=batch["temperature"] + offset)


PIPELINE = (
    es.pipeline("my-pipeline")
    .source(es.Generate(devices=5, count=3000, start="2026-11-24T10:00:00Z"), time="ts")
    .step(calibrate.using(offset=-0.3))
    .where("temperature > -40 and temperature < 85")
    .window(
        tumbling="1m",
        by="device",
        aggregate={"n": count(), "mean": mean("temperature"), "max": max("temperature")},
    )
    .sink(es.Stdout())
)

if __name__ == "__main__":
    es.run(PIPELINE)
