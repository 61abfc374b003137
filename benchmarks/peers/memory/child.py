"""The process around an engine: reads the payloads, starts the clock, and keeps the answers.

A job is a JSON file: ``data`` (payloads, one a line), ``answers`` (where they go) and ``work`` (the
fields of `Work`). What it used is printed as one line of JSON.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.answers import Windows, Work
from benchmarks.usage import children, usage

#: device, start in ms, count, sum, sum of squares, least, greatest
Row = tuple[str, int, int, float, float, float, float]
#: the work, and how its outcome becomes `Windows`, which is not timed
Engine = Callable[[Sequence[bytes], Work], Callable[[], Windows]]


def main(engine: Engine, prepare: Callable[[Sequence[bytes], Work], None] | None = None) -> None:
    """Run the engine over the job named on the command line; ``prepare`` is not timed.

    What memory an engine takes that has been warmed up by then cannot be told.
    """
    job = json.loads(Path(sys.argv[1]).read_text())
    work = Work(**job["work"])
    payloads = Path(job["data"]).read_bytes().splitlines()
    if prepare is not None:
        prepare(payloads, work)
    before = _memory("VmRSS")
    # forget the peak of reading the data
    Path("/proc/self/clear_refs").write_text("5")
    wall, cpu = time.perf_counter(), _cpu()
    found = engine(payloads, work)
    used = {"cpu": _cpu() - cpu, "wall": time.perf_counter() - wall}
    if prepare is None:
        used |= {"before": before, "peak": _memory("VmHWM")}
    found().save(Path(job["answers"]))
    print(json.dumps(used))


def from_rows(rows: Iterable[Row]) -> Windows:
    """Windows from counts and sums, as a loop in Python keeps them."""
    columns = list(zip(*rows, strict=True)) or [()] * 7
    devices, starts, counts, sums, squares, low, high = columns
    n = np.array(counts, np.int64)
    return Windows(
        numbers(devices),
        np.array(starts, np.int64),
        n,
        np.array(sums, float) / n,
        np.array(low, float),
        np.array(high, float),
        np.array([*map(_stddev, counts, sums, squares)], float),
    )


def numbers(devices: Iterable[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """``sensor-0042`` → 42."""
    return np.array([int(device[7:]) for device in devices], np.int64)


def _stddev(n: int, total: float, squares: float) -> float:
    if n < 2:
        return math.nan
    return math.sqrt(max(0.0, (squares - total * total / n) / (n - 1)))


def _cpu() -> float:
    """Seconds of this process, and of those it has started."""
    return time.process_time() + sum(usage(child).cpu for child in children(os.getpid()))


def _memory(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
