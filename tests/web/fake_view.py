"""A worker that is not there: plausible, moving figures to develop and test the page with.

``python -m tests.web.fake_view [PORT [SCENE]]`` serves it; scenes: busy waiting broken.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from edgestream.web.metrics import Sample
from edgestream.web.server import start

WINDOW = 10
DEVICES = [f"{place}-{n}" for place in ("roof", "yard", "lab", "cellar") for n in range(1, 5)]


class FakeView:
    """``weather`` (a window of averages), ``trackers`` (two sinks) and ``archive`` (failed)."""

    def __init__(self, scene: str = "busy", speed: float = 1.0) -> None:
        self.scene = scene
        self.started = time.time() - 3 * 3600 - 754
        self._speed = speed

    def live(self) -> Sequence[str]:
        return ["weather: the loop has not moved for 30 s"] if self.scene == "broken" else []

    def ready(self) -> Sequence[str]:
        if self.scene == "busy":
            return []
        return ["weather.source mqtt: cannot reach mqtt://localhost:1883: connection refused"]

    def pipelines(self) -> Mapping[str, Any]:
        now = time.time()
        every = [self._weather(now)]
        if self.scene == "busy":
            every += [self._trackers(now), self._archive(now)]
        return {"version": "0.1.0", "now": now, "pipelines": every}

    def rows(self, pipeline: str, sink: str, after: int) -> Mapping[str, Any] | None:
        if (pipeline, sink) == ("weather", "averages"):
            return self._averages(after)
        if (pipeline, sink) == ("trackers", "positions"):
            return self._positions(after)
        if (pipeline, sink) == ("weather", "late") and self.scene == "busy":
            at = self.started + 600
            rows = [[DEVICES[n], iso(at + 600 * n), 14.25 + n / 3] for n in range(4)]
            return {
                "keys": [],
                "columns": ["device", "ts", "temperature"],
                "next": 4,
                "rows": rows[after:],
            }
        if (pipeline, sink) in {("weather", "late"), ("trackers", "alarms"), ("archive", "files")}:
            return {"keys": [], "columns": ["device", "ts"], "next": 0, "rows": []}
        return None

    def metrics(self) -> Iterable[Sample]:
        labels = {"pipeline": "weather", "node": "source"}
        yield Sample("edgestream_rows_out_total", "counter", "Rows given on.", labels, 91_532)
        yield Sample("edgestream_lag_seconds", "gauge", "Behind.", {"pipeline": "weather"}, 2.125)

    def _count(self, now: float, rate: float) -> int:
        wobble = 40 * math.sin(now / 7) + 15 * math.sin(now / 2.3)
        return int((now - self.started) * rate + wobble * rate / 100)

    def _weather(self, now: float) -> dict[str, Any]:
        waiting = self.scene != "busy"
        read = 0 if waiting else self._count(now, 4200)
        kept = int(read * 0.994)
        windows = 0 if waiting else int((now - self.started) / WINDOW) * len(DEVICES)
        late = 0 if waiting else 17 + int((now - self.started) / 600)
        watermark = None if waiting else now - 2.1 - 0.4 * math.sin(now)
        source = "waiting" if self.scene == "broken" else "connecting" if waiting else "connected"
        message = "cannot reach mqtt://localhost:1883: connection refused" if waiting else ""
        nodes = [
            node(
                "source",
                "source",
                "mqtt",
                "sensors/+/telemetry",
                read,
                read,
                source,
                message,
                rejected=0 if waiting else 4,
            ),
            node(
                "steps.0", "operator", "where", "temperature > -40 and temperature < 85", read, kept
            ),
            node(
                "window", "operator", "window", "tumbling 10s by device", kept, windows, late=late
            ),
            node(
                "averages", "sink", "sqlite", "weather.db · averages", windows, windows, "connected"
            ),
            node("late", "sink", "file", "late.ndjson", late, late, "connected"),
        ]
        if watermark is not None:
            nodes[2]["closes"] = (watermark // WINDOW + 1) * WINDOW
        edges = [
            edge("source", "steps.0"),
            edge("steps.0", "window"),
            edge("window", "averages"),
            edge("window", "late", "late"),
        ]
        return pipeline(
            "weather",
            self.started,
            nodes,
            edges,
            watermark=watermark,
            late=late,
            lag=None if waiting else now - watermark,
            dead_letters=0 if waiting else 4,
            checkpoints=0 if waiting else int((now - self.started) / 5),
            message=message if self.scene == "broken" else "",
        )

    def _trackers(self, now: float) -> dict[str, Any]:
        lora, gps = self._count(now, 2.4), self._count(now, 21)
        nodes = [
            node("lora", "source", "lora", "/dev/ttyUSB0 868.1 MHz", lora, lora, "connected"),
            node("gps", "source", "gps", "gpsd://localhost:2947", gps, gps, "connected"),
            node("merge", "operator", "set", "speed = speed * 3.6", lora + gps, lora + gps),
            node(
                "track",
                "operator",
                "window",
                "hopping 1m, every 5s by device",
                lora + gps,
                gps // 4,
                late=0,
            ),
            node("fast", "operator", "where", "speed > 120", lora + gps, 12),
            node(
                "positions",
                "sink",
                "postgres",
                "fleet.positions",
                gps // 4,
                gps // 4 - 1860,
                "connecting",
                "cannot reach postgres://db:5432: timed out; trying again in 8 s",
            ),
            node("alarms", "sink", "mqtt", "alarms/{device}", 0, 0, "connected"),
        ]
        edges = [
            edge("lora", "merge"),
            edge("gps", "merge"),
            edge("merge", "track"),
            edge("merge", "fast"),
            edge("track", "positions"),
            edge("fast", "alarms"),
        ]
        return pipeline(
            "trackers",
            self.started + 11_000,
            nodes,
            edges,
            delivery="at_least_once",
            spooled=1860 * 96,
            watermark=now - 4.7,
            lag=4.7,
            checkpoints=128,
        )

    def _archive(self, now: float) -> dict[str, Any]:
        nodes = [
            node("source", "source", "file", "/data/in/*.csv", 120_000, 120_000),
            node(
                "files",
                "sink",
                "file",
                "/mnt/nas/archive.parquet",
                118_000,
                118_000,
                "",
                "no space left on device",
            ),
        ]
        return pipeline(
            "archive",
            self.started + 11_500,
            nodes,
            [edge("source", "files")],
            state="failed",
            message="files: no space left on device (errno 28); free some and restart",
        )

    def _averages(self, after: int) -> dict[str, Any]:
        last = 0 if self.scene != "busy" else int((time.time() - 2.1) / WINDOW * self._speed)
        first = max(last - 80, 0)
        rows = []
        for number in range(max(first, after // len(DEVICES)), last):
            for place, device in enumerate(DEVICES):
                if number * len(DEVICES) + place >= after:
                    rows.append(average(number, place, device))
        return {
            "keys": ["device"],
            "columns": ["device", "window_start", "window_end", "n", "avg", "p95"],
            "next": last * len(DEVICES),
            "rows": rows,
        }

    def _positions(self, after: int) -> dict[str, Any]:
        last = int((time.time() - 4.7) / 5)
        rows = [
            [
                f"van {n}",
                iso(step * 5),
                iso(step * 5 + 60),
                40.4 + math.sin(step / 50 + n) / 50,
                -3.7 + math.cos(step / 40 + n) / 50,
                62 + 30 * math.sin(step / 9 + n * 2),
            ]
            for step in range(max(last - 60, (after + 2) // 3), last)
            for n in range(3)
        ]
        columns = ["device", "window_start", "window_end", "lat", "lon", "speed"]
        return {"keys": ["device"], "columns": columns, "next": last * 3, "rows": rows}


def average(number: int, place: int, device: str) -> list[Any]:
    noise = random.Random(number * 100 + place)
    base = 14 + place * 1.1 + 3 * math.sin(number / 17 + place / 3) + noise.gauss(0, 0.25)
    starts = number * WINDOW
    return [
        device,
        iso(starts),
        iso(starts + WINDOW),
        2600 + place * 9 + round(40 * math.sin(number / 11 + place)) + noise.randrange(12),
        round(base, 3),
        round(base + 1.2 + noise.random() * 0.8, 3),
    ]


def iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node(
    name: str,
    kind: str,
    component: str,
    label: str,
    rows_in: int,
    rows_out: int,
    state: str = "",
    message: str = "",
    **ports: int,
) -> dict[str, Any]:
    return {
        "id": name,
        "kind": kind,
        "component": component,
        "label": label,
        "rows_in": rows_in,
        "rows_out": rows_out,
        "state": state,
        "message": message,
        "ports": ports,
    }


def edge(start: str, end: str, port: str = "") -> dict[str, str]:
    return {"from": start, "to": end, "port": port}


def pipeline(
    name: str,
    started: float,
    nodes: list[dict[str, Any]],
    edges: list[dict[str, str]],
    **other: object,
) -> dict[str, Any]:
    known = {
        "state": "running",
        "message": "",
        "delivery": "effectively_once",
        "watermark": None,
        "lag": None,
        "dead_letters": 0,
        "late": 0,
        "checkpoints": 0,
        "spooled": 0,
    }
    return {"name": name, "started": started, "nodes": nodes, "edges": edges, **known, **other}


async def main(port: int = 8080, scene: str = "busy") -> None:
    server = await start(FakeView(scene), "127.0.0.1", port, None)
    print(server.url, flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()


if __name__ == "__main__":
    asyncio.run(main(*([int(sys.argv[1])] if sys.argv[1:] else []), *sys.argv[2:3]))
