"""From a real mosquitto: windows into SQLite, the filter back to the broker, and latencies."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks import live
from benchmarks.cases.case import Asked, Case
from benchmarks.live import Plan
from benchmarks.runs import Run, paired

_WORKING = ("telegraf", "bento", "ekuiper", "node-red")
_ALL = (*_WORKING, "mosquitto_sub")
_SLOW = ("telegraf", "bento")
_WINDOW = ("peak MiB", "B written/message", "lost", "wrong", "windows")
_FILTER = ("peak MiB", "lost", "wrong")
_TIMES = ("p99 ms", "max ms", "µs/message", "lost", "wrong", "publisher late p99 ms")
_RATES = (100, 1_000, 10_000)
_WRITING = (100, 1_000, 5_000, 20_000)
_SECONDS = 20


def _run(plan: Plan, able: Sequence[str], asked: Asked) -> Iterator[Run]:
    scaled = replace(plan, count=asked.scaled(plan.count))
    peers = asked.choose(able, _SLOW)
    yield from paired(peers, asked.repetitions, functools.partial(live.run, scaled))


def _latencies(plan: Plan, able: Sequence[str], asked: Asked) -> Iterator[Run]:
    seconds = 5 if asked.quick else _SECONDS
    for rate in _RATES[1:2] if asked.quick else _RATES:
        at = replace(plan, count=rate * seconds, rate=rate, variant=f"{rate:,}/s")
        peers = asked.choose(able, _SLOW)
        yield from paired(peers, asked.repetitions, functools.partial(live.run, at))


def _written(plan: Plan, able: Sequence[str], asked: Asked) -> Iterator[Run]:
    del able  # what the others write, they do not make durable
    seconds = 5 if asked.quick else _SECONDS
    for rate in _WRITING:
        at = replace(plan, count=rate * seconds, rate=rate, variant=f"{rate:,}/s")
        yield from paired([], asked.repetitions, functools.partial(live.run, at))


def _durabilities(plan: Plan, able: Sequence[str], asked: Asked) -> Iterator[Run]:
    del able  # the others have no such choice
    scaled = replace(plan, count=asked.scaled(plan.count))
    for qos, durability in ((1, "power"), (1, "process"), (1, "none"), (0, "none")):
        one = replace(scaled, qos=qos, durability=durability, variant=f"QoS {qos}, {durability}")
        yield from paired([], asked.repetitions, functools.partial(live.run, one))


def _windows(name: str, title: str, plan: Plan) -> Case:
    run = functools.partial(_run, plan, _ALL)
    return Case(name, f"MQTT → tumbling 10 s → SQLite; {title}", "µs/message", _WINDOW, _ALL, run)


def _filters(name: str, title: str, plan: Plan) -> Case:
    run = functools.partial(_run, plan, _WORKING)
    return Case(name, f"MQTT → filter → MQTT; {title}", "µs/message", _FILTER, _WORKING, run)


def _latency(name: str, title: str, plan: Plan, able: Sequence[str]) -> Case:
    return Case(name, title, "p50 ms", _TIMES, able, functools.partial(_latencies, plan, able))


CASES = [
    _windows("burst", "500,000 at once, QoS 0, best effort", Plan("window", 500_000)),
    _windows(
        "burst-durable", "500,000 at once, QoS 0, journalled", Plan("window", 500_000, durable=True)
    ),
    _windows("paced", "20,000/s, QoS 0, best effort", Plan("window", 600_000, rate=20_000)),
    _windows(
        "paced-durable",
        "20,000/s, QoS 0, journalled",
        Plan("window", 600_000, rate=20_000, durable=True),
    ),
    _windows("qos1", "300,000 at once, QoS 1", Plan("window", 300_000, qos=1, durable=True)),
    Case(
        "durability",
        "MQTT → tumbling 10 s → SQLite; 300,000 at once, by durability",
        "µs/message",
        ("messages/s", *_WINDOW),
        (),
        functools.partial(_durabilities, Plan("window", 300_000), ()),
    ),
    Case(
        "written",
        "MQTT QoS 1 → tumbling 10 s → SQLite, journalled: what a flash disk has to bear",
        "B written/payload byte",
        ("B written/message", "µs/message", "lost", "wrong"),
        (),
        functools.partial(_written, Plan("window", 0, qos=1, durable=True), ()),
    ),
    _filters("filter", "200,000 at once, QoS 0", Plan("filter", 200_000)),
    _filters("filter-paced", "10,000/s, QoS 0", Plan("filter", 200_000, rate=10_000)),
    _latency(
        "latency",
        "MQTT → tumbling 1 s → SQLite: from when a window can close to its row, QoS 0, journalled",
        Plan("window", 0, devices=100, size=1_000, delay=500, durable=True, latency=True),
        _SLOW,
    ),
    _latency(
        "latency-filter",
        "MQTT → filter → MQTT: from publishing to receiving, QoS 0",
        Plan("filter", 0, devices=100, latency=True),
        _WORKING,
    ),
]
