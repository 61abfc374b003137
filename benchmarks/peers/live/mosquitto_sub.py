"""mosquitto_sub: reads every message and throws it away, the least that a C client needs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from benchmarks.data import TOPICS
from benchmarks.peers.build import Missing
from benchmarks.peers.live.engine import Engine, Job


def _command(job: Job) -> Sequence[str]:
    program = shutil.which("mosquitto_sub")
    if program is None:
        raise Missing("mosquitto_sub is not installed (apt-get install mosquitto-clients)")
    where = ["-h", "127.0.0.1", "-p", str(job.port), "-t", TOPICS, "-q", str(job.qos)]
    return [program, *where, "-C", str(job.count), "-F", "."]


ENGINE = Engine("mosquitto_sub", _command, reads=True, note="only reads: no window, no database")
