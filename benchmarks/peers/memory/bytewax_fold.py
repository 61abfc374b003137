"""Bytewax: `fold_window` by device, its operator for aggregates of event-time windows.

The JSON is decoded with msgspec in batches of 10,000: with 1,000, where most keys of a batch come
once, it takes 1.6 times as long. Bytewax lets its watermark follow the system clock
between events; here that clock stands still, so that windows close by event time alone however
fast the machine is (otherwise a slow run drops rows as late).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.testing import TestingSink, TestingSource, run_main

from benchmarks.answers import Windows, Work
from benchmarks.peers.memory.child import Row, from_rows, main
from benchmarks.peers.memory.plain import Event, State, merge

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
BATCH = 10_000


def run(payloads: Sequence[bytes], work: Work, batch: int = BATCH) -> Callable[[], Windows]:
    """All windows, in the order in which they close."""
    decode = msgspec.json.Decoder(Event).decode
    clock = windowing.EventClock(
        lambda event: _EPOCH + event.ts * _MS,
        work.delay * _MS,
        now_getter=lambda: _EPOCH,
        to_system_utc=lambda _: None,
    )
    out: list[tuple[str, tuple[int, State]]] = []
    flow = Dataflow("windows")
    lines = op.input("lines", flow, TestingSource(payloads, batch_size=batch))
    events = op.flat_map_batch("decode", lines, lambda batch: [*map(decode, batch)])
    keyed = op.key_on("key", events, lambda event: event.device)
    folded = windowing.fold_window(
        "fold", keyed, clock, _windower(work), _empty, _add, _both, ordered=False
    )
    op.output("out", folded.down, TestingSink(out))
    run_main(flow)
    rows = (_row(device, number, state, work) for device, (number, state) in out)
    return functools.partial(from_rows, rows)


def _windower(work: Work) -> windowing.Windower:
    if work.kind == "session":
        return windowing.SessionWindower(work.size * _MS)
    if work.kind == "hopping":
        return windowing.SlidingWindower(work.size * _MS, work.every * _MS, _EPOCH)
    return windowing.TumblingWindower(work.size * _MS, _EPOCH)


def _empty() -> State:
    return [0, 0.0, 0.0, float("inf"), float("-inf"), float("inf")]


def _add(state: State, event: Event) -> State:
    value = event.temperature
    state[0] += 1
    state[1] += value
    state[2] += value * value
    if value < state[3]:
        state[3] = value
    if value > state[4]:
        state[4] = value
    if event.ts < state[5]:
        state[5] = event.ts
    return state


def _both(have: State, more: State) -> State:
    merge(have, more)
    have[5] = min(have[5], more[5])
    return have


def _row(device: str, number: int, state: State, work: Work) -> Row:
    n, total, squares, low, high, first = state
    start = int(first) if work.kind == "session" else number * work.every
    return device, start, int(n), total, squares, low, high


if __name__ == "__main__":
    main(run)
