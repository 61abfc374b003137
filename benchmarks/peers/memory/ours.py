"""edgestream: the codec, event time and the window operator, fed block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.answers import Windows, Work
from benchmarks.peers.memory.child import main, numbers
from edgestream import Batch, Json, Time, Window, concat

BLOCK = 4_096
"""What the runtime joins from reads that wait."""


def run(payloads: Sequence[bytes], work: Work) -> Callable[[], Windows]:
    """Decode, take the time, add to the windows and let the watermark follow, block by block."""
    codec = Json()
    codec.want(frozenset({"device", "ts", "temperature"}), {"temperature": "float"})
    time_of = Time("ts", "ms")
    window = _window(work)
    out: list[Batch] = []
    front = 0
    for first in range(0, len(payloads), BLOCK):
        decoded = codec.decode(payloads[first : first + BLOCK])
        times, _ = time_of.read(decoded.columns["ts"], decoded.count)
        window.process(Batch(decoded.columns, times))
        front = max(front, int(times.max()))
        out += [rows for _, rows in window.advance(front - work.delay * 1_000_000)]
    out += [rows for _, rows in window.advance(np.iinfo(np.int64).max)]
    return lambda: _windows(concat(out))


def _windows(rows: Batch) -> Windows:
    device = rows["device"]
    return Windows(
        numbers(device.to_list()),
        rows["window_start"].astype("datetime64[ms]").astype(np.int64),
        *(rows[name] for name in ("n", "mean", "min", "max", "stddev")),
    )


def _window(work: Work) -> Window:
    size, every = f"{work.size}ms", f"{work.every}ms"
    form = {
        "tumbling": {"tumbling": size},
        "hopping": {"hopping": size, "every": every},
        "session": {"session": size},
    }[work.kind]
    of = {name: f"{name}(temperature)" for name in ("mean", "min", "max", "stddev")}
    return Window(by="device", aggregate={"n": "count()", **of}, **form)


if __name__ == "__main__":
    main(run)
