"""From a real mosquitto: windows into SQLite, the filter back to the broker, and latencies.

Runs at a pace last as long as they send, whatever is measured: they are run half as often, and so
are the peers that are far behind.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from benchmarks import live
from benchmarks.cases.case import Asked, Case, Part
from benchmarks.live import Plan

_WORKING = ("telegraf", "bento", "ekuiper", "node-red")
#: ours with the journal stands beside the peers, which have nothing like it
_BURST = ("edgestream-durable", *_WORKING, "mosquitto_sub")
_PACED = ("edgestream-durable", *_WORKING)
_QOS1 = (*_WORKING, "mosquitto_sub")
#: built by Go, and the only ones whose rows of windows say when they ended
_GO = ("telegraf", "bento")
_SELDOM = ("bento", "node-red")
_WINDOW = ("peak MiB", "B written/message", "lost", "wrong", "windows")
_FILTER = ("peak MiB", "lost", "wrong")
_TIMES = ("p99 ms", "max ms", "µs/message", "lost", "wrong", "publisher late p99 ms")
_RATES = (100, 1_000, 10_000)
_WRITING = (100, 1_000, 5_000, 20_000)


def _part(plan: Plan, peers: Sequence[str], repetitions: int) -> Part:
    run = functools.partial(live.run, plan)
    return Part(plan.variant, peers, repetitions, lambda: nullcontext(run), seldom=_SELDOM)


def _once(plan: Plan, able: Sequence[str], asked: Asked) -> Iterable[Part]:
    scaled = replace(plan, count=asked.scaled(plan.count))
    repetitions = asked.half if plan.rate else asked.repetitions
    return [_part(scaled, asked.choose(able, _GO), repetitions)]


def _by_rate(
    plan: Plan, rates: Sequence[int], seconds: int, able: Sequence[str], asked: Asked
) -> Iterable[Part]:
    seconds = 5 if asked.quick else seconds
    peers = asked.choose(able, _GO)
    for rate in rates:
        at = replace(plan, count=rate * seconds, rate=rate, variant=f"{rate:,}/s")
        yield _part(at, peers, asked.half)


def _durabilities(plan: Plan, asked: Asked) -> Iterable[Part]:
    scaled = replace(plan, count=asked.scaled(plan.count))
    for qos, durability in ((1, "power"), (1, "process"), (1, "none"), (0, "none")):
        one = replace(scaled, qos=qos, durability=durability, variant=f"QoS {qos}, {durability}")
        yield _part(one, [], asked.half)


def _windows(name: str, title: str, plan: Plan, able: Sequence[str], seconds: float) -> Case:
    title = f"MQTT → tumbling 10 s → SQLite; {title}"
    parts = functools.partial(_once, plan, able)
    return Case(name, title, "µs/message", _WINDOW, able, parts, seconds)


def _filters(name: str, title: str, plan: Plan, seconds: float) -> Case:
    parts = functools.partial(_once, plan, _WORKING)
    title = f"MQTT → filter → MQTT; {title}"
    return Case(name, title, "µs/message", _FILTER, _WORKING, parts, seconds)


def _latency(name: str, title: str, plan: Plan, able: Sequence[str], seconds: int) -> Case:
    parts = functools.partial(_by_rate, plan, _RATES, seconds, able)
    return Case(name, title, "p50 ms", _TIMES, able, parts, seconds + 5)


CASES = [
    _windows("burst", "500,000 at once, QoS 0", Plan("window", 500_000), _BURST, 15),
    _windows("paced", "20,000/s for 15 s, QoS 0", Plan("window", 300_000, rate=20_000), _PACED, 25),
    _windows(
        "qos1",
        "300,000 at once, QoS 1; ours journalled",
        Plan("window", 300_000, qos=1, durable=True),
        _QOS1,
        17,
    ),
    Case(
        "durability",
        "MQTT → tumbling 10 s → SQLite; 300,000 at once, by durability",
        "µs/message",
        ("messages/s", *_WINDOW),
        (),
        functools.partial(_durabilities, Plan("window", 300_000)),
        12,
    ),
    Case(
        "written",
        "MQTT QoS 1 → tumbling 10 s → SQLite, journalled: what a flash disk has to bear",
        "B written/payload byte",
        ("B written/message", "µs/message", "lost", "wrong"),
        (),
        # what the others write, they do not make durable
        functools.partial(_by_rate, Plan("window", 0, qos=1, durable=True), _WRITING, 20, ()),
        27,
    ),
    _filters("filter", "200,000 at once, QoS 0", Plan("filter", 200_000), 8),
    _filters("filter-paced", "10,000/s for 10 s, QoS 0", Plan("filter", 100_000, rate=10_000), 14),
    _latency(
        "latency",
        "MQTT → tumbling 1 s → SQLite: from when a window can close to its row, QoS 0, journalled",
        Plan("window", 0, devices=100, size=1_000, delay=500, durable=True, latency=True),
        _GO,
        12,
    ),
    _latency(
        "latency-filter",
        "MQTT → filter → MQTT: from publishing to receiving, QoS 0",
        Plan("filter", 0, devices=100, latency=True),
        _WORKING,
        8,
    ),
]
