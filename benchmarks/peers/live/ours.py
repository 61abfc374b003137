"""edgestream: ``edgestream worker`` over a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from benchmarks.data import TOPICS
from benchmarks.peers.live.engine import OUT, Engine, Job, Row, flat_reading

_WINDOW = """\
name: bench
{delivery}
source:
  mqtt: {{url: "mqtt://127.0.0.1:{port}", topics: [{topics}], qos: {qos}}}
  time: {{field: ts, unit: ms, delay: {delay}ms, idle: 3s}}
steps:
  - window:
      tumbling: {size}ms
      by: device
      aggregate:
        n: count()
        mean: mean(temperature)
        min: min(temperature)
        max: max(temperature)
sink:
  sqlite: {{path: "{database}", table: averages}}
"""
_FILTER = """\
name: bench
{delivery}
source:
  mqtt: {{url: "mqtt://127.0.0.1:{port}", topics: [{topics}], qos: {qos}}}
steps:
  - where: temperature > 20
  - set: {{temperature: temperature * 1.8 + 32}}
  - select: [device, ts, temperature]
sink:
  mqtt: {{url: "mqtt://127.0.0.1:{port}", topic: {out}, qos: {qos}}}
"""


def _delivery(job: Job) -> str:
    if job.durability:
        return f"durability: {job.durability}"
    return "" if job.durable else "delivery: best_effort"


def _command(job: Job) -> Sequence[str]:
    form = _WINDOW if job.task == "window" else _FILTER
    path = job.folder / "pipeline.yaml"
    path.write_text(
        form.format(
            delivery=_delivery(job),
            port=job.port,
            topics=TOPICS,
            qos=job.qos,
            delay=job.delay,
            size=job.size,
            database=job.database,
            out=OUT,
        )
    )
    command = [sys.executable, "-m", "edgestream", "worker", str(path)]
    command += ["--http", f"127.0.0.1:{job.control}"]
    return [*command, "--state-dir", str(job.folder / "state")]


def _rows(job: Job) -> list[Row]:
    found = job.select("SELECT device, window_start, n, mean, min, max FROM averages")
    return [
        (device, int(datetime.fromisoformat(start).timestamp() * 1000), *values)
        for device, start, *values in found
    ]


ENGINE = Engine(
    "edgestream",
    _command,
    rows=_rows,
    counted="SELECT sum(n) FROM averages",
    last_end="SELECT unixepoch(max(window_end)) FROM averages",
    reading=flat_reading,
    event_time=True,
)
DURABLE = replace(
    ENGINE,
    name="edgestream-durable",
    command=lambda job: _command(replace(job, durable=True)),
    note="ours, journalled: a crash loses nothing",
)
