"""P3: a LoRa modem on a serial port → windows → MQTT, through SIGKILLs, pulled plugs and noise.

    python -m tests.chaos.lora --packets 2000

The radio repeats nothing: while the worker is down or the plug is out, nothing is sent here, for
it would be lost by nature. A packet that was damaged may cost itself and the next one.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.chaos.worker import environment
from tests.servers.modem import Rylr
from tests.servers.mosquitto import Mosquitto
from tests.servers.worker import Worker

STEP = 20
"""Milliseconds of event time between packets."""
EVERY = 50
"""Packets between two faults."""
PIPELINE = """
name: lora
checkpoint: 300ms
source:
  lora_serial: {{port: {port}, address: 1}}
  time: {{field: ts, unit: ms, delay: 0s, idle: 60s}}
steps:
  - window: {{tumbling: 1s, by: d, aggregate: {{n: count(), low: min(v), high: max(v)}}}}
sink:
  mqtt: {{url: "{url}", topic: "windows/{{d}}", qos: 1}}
"""


@dataclass(frozen=True, slots=True)
class Report:
    """Packets sent and missing, what may be missing, and windows that came again."""

    sent: int
    lost: int
    spoilt: int
    duplicated: int
    again: int
    differing: int
    faults: int

    @property
    def clean(self) -> bool:
        return self.lost <= self.spoilt and not self.duplicated and not self.differing


class Listener:
    """All windows that were published, in the order of their coming."""

    def __init__(self, port: int) -> None:
        self.windows: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = lambda _, __, message: self._came(message.payload)
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("windows/#", qos=1)
        self._client.loop_start()

    def _came(self, payload: bytes) -> None:
        row = json.loads(payload)
        self.windows[int(row["d"]), str(row["window_start"])].append(row)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def suffer(folder: Path, packets: int, seed: int = 7) -> Report:
    """Send packets, with a fault after every fifty."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    port = folder / "ttyLORA"
    start = time.time_ns() // 1_000_000_000 * 1_000
    spoilt = faults = 0
    with Mosquitto(folder / "broker") as broker, Rylr(port) as modem:
        listener = Listener(broker.port)
        path = folder / "lora.yaml"
        path.write_text(PIPELINE.format(port=port, url=broker.url))
        worker = Worker(folder, path, env=environment())
        worker.start()
        try:
            for number in range(packets):
                modem.receive(_packet(number, start + number * STEP), number % 5, pieces=2)
                time.sleep(0.004)
                if number % EVERY == EVERY - 1:
                    faults += 1
                    spoilt += _fault(rng, modem, worker)
            modem.receive(_packet(packets, start + packets * STEP + 10_000), 9)
            _settle(listener, start + (packets - 1) * STEP)
            assert worker.process.terminate(30) == 0, worker.log.read_text()[-2000:]
        finally:
            worker.process.kill()
            listener.close()
    return _judged(listener, packets, start, spoilt, faults)


def _packet(number: int, ts: int) -> bytes:
    return json.dumps({"d": number % 5, "ts": ts, "v": number}, separators=(",", ":")).encode()


def _fault(rng: random.Random, modem: Rylr, worker: Worker) -> int:
    """Do something bad; how many packets that may cost."""
    time.sleep(0.5)  # what was sent is journalled: before that, nobody could send it again
    kind = rng.choice(("kill", "kill", "plug", "garbage", "half"))
    if kind == "kill":
        worker.process.kill()
        worker.start()
    elif kind == "plug":
        modem.unplug()
        deadline = time.monotonic() + 30
        while worker.ready() and time.monotonic() < deadline:
            time.sleep(0.05)
        modem.plug()
        while not worker.ready():
            assert time.monotonic() < deadline, worker.log.read_text()[-2000:]
            time.sleep(0.05)
    elif kind == "garbage":
        modem.send(rng.randbytes(300).replace(b"+", b"-") + b"\r\n")
        return 1
    else:
        modem.send(b'+RCV=3,40,{"d":3,')
        return 1
    return 0


def _settle(listener: Listener, newest: int) -> None:
    deadline = time.monotonic() + 60
    last = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(newest // 1_000))
    while time.monotonic() < deadline:
        if any(begin.startswith(last) for _, begin in list(listener.windows)):
            break
        time.sleep(0.1)
    time.sleep(1)


def _judged(listener: Listener, packets: int, start: int, spoilt: int, faults: int) -> Report:
    truth: dict[tuple[int, str], list[int]] = defaultdict(list)
    for number in range(packets):
        second = (start + number * STEP) // 1_000
        begin = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        truth[number % 5, begin].append(number)
    lost = duplicated = again = differing = 0
    got = {(d, begin[:19]): rows for (d, begin), rows in listener.windows.items()}
    for key, numbers in truth.items():
        rows = got.get(key, [])
        again += max(0, len(rows) - 1)
        differing += any(row != rows[0] for row in rows)
        count = int(rows[0]["n"]) if rows else 0
        lost += max(0, len(numbers) - count)
        duplicated += max(0, count - len(numbers))
    return Report(packets, lost, spoilt, duplicated, again, differing, faults)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    report = suffer(Path(tempfile.mkdtemp(prefix="edgestream-lora-")), given.packets, given.seed)
    print(report)
    raise SystemExit(not report.clean)


if __name__ == "__main__":
    main()
