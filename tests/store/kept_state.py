"""The state of every operator as each version wrote it: ``python -m tests.store.kept_state``.

A folder ``tests/data/state/<version>`` is written once, for a release, and read by a test for ever:
for each operator its saved state, and the rows it gave afterwards.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from edgestream import Json
from edgestream._version import __version__
from edgestream.graph import Graph, build
from edgestream.packing import encode_state
from edgestream.read import read_text
from edgestream.registry import installed
from edgestream.saved import snapshot
from edgestream.sources.signals import Fleet
from tests.source_tree import ROOT

FOLDER = ROOT / "tests" / "data" / "state"
STEPS = {
    "absent": "absent: {for: 30s, by: device}",
    "anomaly": "anomaly: {column: temperature, by: device}",
    "bloom": "bloom: {by: [device, temperature], capacity: 1000}",
    "changed": "changed: {column: device, by: device}",
    "deadband": "deadband: {column: temperature, by: device, band: 0.5}",
    "dedupe": "dedupe: {by: [device, temperature], within: 1h}",
    "fill": "fill: {columns: [temperature], by: device}",
    "interpolate": "interpolate: {columns: [temperature], by: device, every: 1s}",
    "lag": "lag: {column: temperature, by: device}",
    "sample": "sample: {every: 5s, by: device}",
    "smooth": "smooth: {column: temperature, by: device, alpha: 0.3}",
    "sort": "sort: {within: 5s}",
    "throttle": "throttle: {rate: 1, per: 5s, by: device}",
    "tumbling": "window: {tumbling: 1m, by: device, aggregate: {n: count(), p: p90(temperature), "
    "d: count_distinct(device), m: mean(temperature)}}",
    "hopping": "window: {hopping: 1m, every: 20s, by: device, aggregate: {n: count()}}",
    "session": "window: {session: 5s, max: 20s, by: device, aggregate: {n: count()}}",
    "counted": "window: {count: 7, by: device, aggregate: {s: sum(temperature)}}",
}
TEXT = """
name: kept
source:
  generate: {{devices: 3, rate: 1}}
  time: ts
steps:
  - {step}
sink: stdout
"""


def graph(yaml: str) -> Graph:
    return build(read_text(yaml.encode(), "kept.yaml", installed()), Json())


def push(made: Graph, first: int, count: int) -> list[dict[str, Any]]:
    """Rows of a fleet that is the same in every version, then a watermark: what leaves."""
    rows = Fleet(3, 0, 1_000_000_000).rows(first, count)
    arrived = made.push("source", rows)
    arrived += made.advance({"source": int(rows.times[-1]) - 1_000_000_000})
    return [row for _, batch in arrived for row in batch.rows()]


def text(rows: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(row, default=str, sort_keys=True) for row in rows]


def write() -> None:
    folder = FOLDER / __version__
    folder.mkdir(parents=True)
    for name, step in STEPS.items():
        yaml = TEXT.format(step=step)
        made = graph(yaml)
        push(made, 0, 100)
        states = {
            step: base64.b64encode(encode_state(state)).decode()
            for step, state in snapshot(made).items()
        }
        kept = {"pipeline": yaml, "states": states, "rows": text(push(made, 100, 60))}
        (folder / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    write()
