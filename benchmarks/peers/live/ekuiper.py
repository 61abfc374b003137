"""eKuiper: a stream and a rule over its REST interface; only where ``kuiperd`` is on the PATH.

It drops messages under load unless told not to (`disableBufferFullDiscard`). Rows go to a file.
"""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence

from benchmarks.data import TOPICS
from benchmarks.peers.build import Missing
from benchmarks.peers.live.engine import OUT, Engine, Job, Row, flat_reading

_STREAM = (
    f'CREATE STREAM bench () WITH (DATASOURCE="{TOPICS}", TYPE="mqtt", FORMAT="json", '
    'CONF_KEY="bench")'
)
_WINDOW = (
    "SELECT device, count(*) AS n, avg(temperature) AS mean, min(temperature) AS low, "
    "max(temperature) AS high FROM bench GROUP BY device, TUMBLINGWINDOW(ms, {size})"
)
_FILTER = (
    "SELECT device, ts, temperature * 1.8 + 32 AS temperature FROM bench WHERE temperature > 20"
)


def _command(job: Job) -> Sequence[str]:
    program = shutil.which("kuiperd")
    if program is None:
        raise Missing("kuiperd is not on the PATH, and no package registry has it")
    return ["env", f"KUIPER__BASIC__RESTPORT={job.control}", program]


def _configure(job: Job) -> bool:
    if not _answers(job):
        return False
    server = f"tcp://127.0.0.1:{job.port}"
    # it keeps what an earlier run told it
    for old in ("rules/bench", "streams/bench"):
        _ask(job, "DELETE", old, must=False)
    source = {"server": server, "qos": job.qos}
    _ask(job, "PUT", "metadata/sources/mqtt/confKeys/bench", source)
    _ask(job, "POST", "streams", {"sql": _STREAM})
    into: dict[str, object] = {
        "mqtt": {"server": server, "topic": OUT, "qos": job.qos, "sendSingle": True}
    }
    if job.task == "window":
        path = str(job.folder / "rows.ndjson")
        into = {"file": {"path": path, "fileType": "lines", "format": "json", "sendSingle": True}}
    sql = _WINDOW.format(size=job.size) if job.task == "window" else _FILTER
    options = {"disableBufferFullDiscard": True, "qos": job.qos}
    rule = {"id": "bench", "sql": sql, "actions": [into], "options": options}
    _ask(job, "POST", "rules", rule)
    return True


def _answers(job: Job) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{job.control}/", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _ask(job: Job, method: str, path: str, body: object = None, *, must: bool = True) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{job.control}/{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=10):
            return
    except urllib.error.HTTPError as error:
        if must:
            told = error.read().decode(errors="replace")
            raise RuntimeError(f"it refused {method} {path}: {told}") from error


def _rows(job: Job) -> list[Row]:
    path = job.folder / "rows.ndjson"
    # the last line may be half written
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    found = [json.loads(line) for line in lines if line]
    return [(row["device"], None, row["n"], row["mean"], row["low"], row["high"]) for row in found]


ENGINE = Engine(
    "ekuiper",
    _command,
    _configure,
    rows=_rows,
    reading=flat_reading,
    note="windows by arrival; rows to a file",
)
