"""What a worker imports before it has its first message: a start is little else.

The first acknowledgement after a kill waits for it. Times depend on the machine, so modules are
counted; a new one before the first message needs a reason to be there.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.servers.mosquitto import Mosquitto
from tests.servers.process import Process

PIPELINE = """
name: start
source:
  mqtt: {{url: "{url}", topics: [a/+], qos: 1}}
  time: {{field: ts, unit: ms}}
steps:
  - window:
      tumbling: 1s
      by: device
      aggregate: {{n: count(), mean: mean(t), low: min(t), high: max(t)}}
sink:
  sqlite: {{path: out.db, table: averages}}
"""
OWN, ALL = 186, 530
"""At most so many modules of edgestream and its connectors, and of everything."""
NEVER = frozenset(
    {"amqtt", "asyncpg", "cbor2", "csv", "edgestream.aggregate.digest", "edgestream.docs"}
    | {"edgestream.scenario", "edgestream.testing", "edgestream_connectors.mqtt.sink", "email"}
    | {"edgestream.web.routes", "edgestream.window.sessions", "h11", "http", "importlib.metadata"}
    | {"numpy.fft", "numpy.random", "pyarrow", "redis", "shutil", "tempfile", "unittest"}
    | {"zipfile", "zoneinfo"}
)


@pytest.mark.server
def test_a_worker_imports_little_before_its_first_message(tmp_path: Path) -> None:
    imported, threads = until_connected(tmp_path)
    inside = {name for name in imported if any(f"{name}.".startswith(f"{n}.") for n in NEVER)}
    assert inside == set()
    own = [name for name in imported if name.startswith("edgestream")]
    assert 100 < len(own) <= OWN, "only what the pipeline needs is imported before it runs"
    assert len(imported) <= ALL
    assert threads <= 3, "the loop, the state file and the sink; a numpy with threads has more"


def until_connected(folder: Path) -> tuple[list[str], int]:
    """The modules imported before the source was subscribed, and the threads there are then."""
    log = folder / "log"
    with Mosquitto(folder) as broker:
        (folder / "start.yaml").write_text(PIPELINE.format(url=broker.url))
        command = [sys.executable, "-X", "importtime", "-m", "edgestream", "worker", "start.yaml"]
        worker = Process(
            [*command, "--state-dir", "state"], log, cwd=folder, env={**os.environ, "TERM": "dumb"}
        )
        try:
            worker.start(lambda: "source mqtt: connected" in log.read_text())
            threads = len(list(Path(f"/proc/{worker.pid}/task").iterdir()))
        finally:
            worker.kill()
    before = log.read_text().partition("source mqtt: connected")[0]
    return re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", before, re.M), threads
