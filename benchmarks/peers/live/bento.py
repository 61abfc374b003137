"""Bento: `system_window`, `group_by_value` and a mapping into `sql_insert`; a mapping as filter.

The aggregates stand inside the ``if``: above it, they would be computed for every message of a
group, which is quadratic (three times the CPU, and nothing warns). The rows of a window are
inserted together. With QoS 0, where nobody could send a message again, it keeps none for trying it
again (`auto_replay_nacks`), which saves a fifth. Taking the two fields out before the buffer costs
more than it saves.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.data import TOPICS
from benchmarks.peers import build
from benchmarks.peers.live.engine import OUT, Engine, Job, Row, flat_reading

_COMMON = """\
http: {{enabled: false}}
logger: {{level: WARN}}
input:
  mqtt:
    urls: ["tcp://127.0.0.1:{port}"]
    topics: ["{topics}"]
    client_id: bento
    qos: {qos}
    clean_session: {clean}
    auto_replay_nacks: {replay}
"""
_WINDOW = """\
buffer:
  system_window:
    size: {size}ms
pipeline:
  threads: 1
  processors:
    - group_by_value: {{value: '${{! json("device") }}'}}
    - mapping: |
        root = if batch_index() == 0 {{
          json("temperature").from_all().(t -> {{
            "device": json("device"), "n": t.length(), "mean": t.sum() / t.length(),
            "min": t.min(), "max": t.max(), "ended": meta("window_end_timestamp")
          }})
        }} else {{ deleted() }}
output:
  sql_insert:
    driver: sqlite
    dsn: "file:{database}?_pragma=busy_timeout(5000)"
    table: averages
    columns: [device, n, mean, min, max, ended]
    args_mapping: root = [this.device, this.n, this.mean, this.min, this.max, this.ended]
    init_statement: |
      CREATE TABLE IF NOT EXISTS averages
      (device TEXT, n INTEGER, mean REAL, min REAL, max REAL, ended TEXT)
    batching: {{count: 1000, period: {period}}}
"""
_FILTER = """\
pipeline:
  threads: 1
  processors:
    - mapping: |
        root = if this.temperature > 20 {{
          {{"device": this.device, "ts": this.ts, "temperature": this.temperature * 1.8 + 32}}
        }} else {{ deleted() }}
output:
  mqtt:
    urls: ["tcp://127.0.0.1:{port}"]
    topic: {out}
    client_id: bento-out
    qos: {qos}
    max_in_flight: 64
"""


def _command(job: Job) -> Sequence[str]:
    program = build.build("bento")
    path = job.folder / "bento.yaml"
    form = _COMMON + (_WINDOW if job.task == "window" else _FILTER)
    path.write_text(
        form.format(
            port=job.port,
            topics=TOPICS,
            qos=job.qos,
            clean=str(job.qos == 0).lower(),
            replay=str(job.qos > 0).lower(),
            size=job.size,
            period="20ms" if job.prompt else "100ms",
            database=job.database,
            out=OUT,
        )
    )
    return [str(program), "-c", str(path)]


def _rows(job: Job) -> list[Row]:
    found = job.select("SELECT device, n, mean, min, max FROM averages")
    return [(device, None, *values) for device, *values in found]


ENGINE = Engine(
    "bento",
    _command,
    rows=_rows,
    counted="SELECT sum(n) FROM averages",
    last_end="SELECT unixepoch(max(ended)) FROM averages",
    reading=flat_reading,
    note="windows by arrival",
)
