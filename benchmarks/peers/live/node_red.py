"""Node-RED: a function node with a Map, as its users write it; it has no windows of its own.

Its SQLite node needs a compiler at install and is not part of it, so rows go to a file.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence

from benchmarks.data import TOPICS
from benchmarks.peers import build
from benchmarks.peers.live.engine import OUT, Engine, Job, Row, flat_reading

_SETTINGS = """\
module.exports = {
  uiPort: %d, uiHost: "127.0.0.1", httpAdminRoot: false, httpNodeRoot: false,
  flowFile: "flows.json", credentialSecret: false,
  logging: {console: {level: "warn", metrics: false, audit: false}},
}
"""
_BEGIN = """\
const devices = new Map();
context.set("devices", devices);
context.set("timer", setInterval(() => {
  if (!devices.size) return;
  let rows = "";
  for (const [device, s] of devices) {
    rows += JSON.stringify([device, s.n, s.total / s.n, s.min, s.max]) + "\\n";
  }
  devices.clear();
  node.send({payload: rows});
}, %d));
"""
_ADD = """\
const devices = context.get("devices"), t = msg.payload.temperature;
const s = devices.get(msg.payload.device);
if (s === undefined) {
  devices.set(msg.payload.device, {n: 1, total: t, min: t, max: t});
} else {
  s.n += 1;
  s.total += t;
  if (t < s.min) s.min = t;
  if (t > s.max) s.max = t;
}
return null;
"""
_END = 'clearInterval(context.get("timer"));'
_FILTER = """\
const p = msg.payload;
if (!(p.temperature > 20)) return null;
msg.payload = {device: p.device, ts: p.ts, temperature: p.temperature * 1.8 + 32};
msg.topic = "%s";
return msg;
"""


def _command(job: Job) -> Sequence[str]:
    node = shutil.which("node")
    if node is None:
        raise build.Missing("Node.js is not installed")
    program = build.build("node-red")
    (job.folder / "settings.js").write_text(_SETTINGS % job.control)
    (job.folder / "flows.json").write_text(json.dumps(_flow(job)))
    settings = ["--userDir", str(job.folder), "--settings", str(job.folder / "settings.js")]
    return [node, str(program), *settings, "flows.json"]


def _flow(job: Job) -> list[dict[str, object]]:
    window = job.task == "window"
    broker = {"broker": "127.0.0.1", "port": str(job.port), "protocolVersion": "4"}
    session = {"clientid": "node-red", "cleansession": job.qos == 0, "keepalive": "60"}
    function: dict[str, object] = {"func": _FILTER % OUT, "initialize": "", "finalize": ""}
    if window:
        function = {"func": _ADD, "initialize": _BEGIN % job.size, "finalize": _END}
    into: dict[str, object] = {"type": "mqtt out", "broker": "broker", "qos": str(job.qos)}
    if window:
        into = {
            "type": "file",
            "filename": str(job.folder / "rows.ndjson"),
            "filenameType": "str",
            "appendNewline": False,
            "overwriteFile": "false",
            "encoding": "none",
        }
    return [
        {"id": "tab", "type": "tab", "label": "bench"},
        {"id": "broker", "type": "mqtt-broker", "autoConnect": True, **broker, **session},
        {
            "id": "in",
            "type": "mqtt in",
            "z": "tab",
            "topic": TOPICS,
            "qos": str(job.qos),
            "datatype": "json",
            "broker": "broker",
            "inputs": 0,
            "wires": [["work"]],
        },
        {
            "id": "work",
            "type": "function",
            "z": "tab",
            "outputs": 1,
            "libs": [],
            "wires": [["out"]],
            **function,
        },
        {"id": "out", "z": "tab", "wires": [], **into},
    ]


def _rows(job: Job) -> list[Row]:
    path = job.folder / "rows.ndjson"
    # the last line may be half written
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(device, None, *values) for device, *values in map(json.loads, lines)]


ENGINE = Engine(
    "node-red",
    _command,
    rows=_rows,
    reading=flat_reading,
    note="windows by arrival; rows to a file",
)
