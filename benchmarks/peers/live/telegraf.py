"""Telegraf: `basicstats` into `outputs.sql`, and a Starlark filter into `outputs.mqtt`.

Its windows go by arrival: with the time of the payload it discards what is not of the present
period. The grace lets a reading that waited across a period's end count in the next one.
A topic per device is broken in this version, so the filter has one topic. `metricpass` with
`processors.scale` instead of Starlark takes as long, within 2 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.data import TOPICS
from benchmarks.peers import build
from benchmarks.peers.live.engine import OUT, Engine, Job, Reading, Row

_INPUT = """\
[agent]
  interval = "1s"
  round_interval = true
  metric_batch_size = 5000
  metric_buffer_limit = 1000000
  flush_interval = "{flush}"
  flush_jitter = "0s"
  omit_hostname = true
  quiet = true

[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["{topics}"]
  topic_tag = ""
  client_id = "telegraf"
  persistent_session = {session}
  qos = {qos}
  max_undelivered_messages = 20000
  data_format = "json"
  tag_keys = ["device"]
  fieldinclude = [{fields}]
"""
_WINDOW = """
[[aggregators.basicstats]]
  period = "{size}ms"
  grace = "60s"
  drop_original = true
  stats = ["count", "mean", "min", "max"]

[[outputs.sql]]
  driver = "sqlite"
  data_source_name = "file:{database}?_pragma=busy_timeout(5000)"
"""
_FILTER = """
[[processors.starlark]]
  source = '''
def apply(metric):
    celsius = metric.fields["temperature"]
    if celsius <= 20:
        return None
    metric.fields["temperature"] = celsius * 1.8 + 32
    return metric
'''

[[outputs.mqtt]]
  servers = ["tcp://127.0.0.1:{port}"]
  topic = "{out}"
  qos = {qos}
  client_id = "telegraf-out"
  layout = "non-batch"
  data_format = "json"
"""


def _command(job: Job) -> Sequence[str]:
    program = build.build("telegraf")
    path = job.folder / "telegraf.conf"
    form = _INPUT + (_WINDOW if job.task == "window" else _FILTER)
    path.write_text(
        form.format(
            port=job.port,
            topics=TOPICS,
            qos=job.qos,
            session=str(job.qos > 0).lower(),
            fields='"temperature"' if job.task == "window" else '"temperature", "ts"',
            flush="20ms" if job.prompt else "200ms",
            size=job.size,
            database=job.database,
            out=OUT,
        )
    )
    return [str(program), "--config", str(path)]


def _rows(job: Job) -> list[Row]:
    columns = ", ".join(f"temperature_{name}" for name in ("count", "mean", "min", "max"))
    found = job.select(f"SELECT device, {columns} FROM mqtt_consumer")
    return [(device, None, int(n), *values) for device, n, *values in found]


def _reading(found: Mapping[str, Any]) -> Reading:
    fields = found["fields"]
    return found["tags"]["device"], int(fields["ts"]), float(fields["temperature"])


ENGINE = Engine(
    "telegraf",
    _command,
    rows=_rows,
    counted="SELECT sum(temperature_count) FROM mqtt_consumer",
    last_end="SELECT unixepoch(substr(max(timestamp), 1, 19)) FROM mqtt_consumer",
    reading=_reading,
    note="windows by arrival",
)
