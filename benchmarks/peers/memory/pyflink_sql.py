"""PyFlink: one SQL query with windows of event time, from file to file, on one task slot.

Everything runs in its JVM; Python only says what. What is measured is its steady state: the query
has run once before over a part of the data, so the JVM is up and has compiled what is hot.
"""

from __future__ import annotations

import csv
import functools
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from pyflink.table import EnvironmentSettings, TableEnvironment

from benchmarks.answers import Windows, Work
from benchmarks.peers.memory.child import main, numbers

WARM = 200_000
_READ = """
CREATE TEMPORARY TABLE readings_{name} (device STRING, ts BIGINT, temperature DOUBLE,
moment AS TO_TIMESTAMP_LTZ(ts, 3),
WATERMARK FOR moment AS moment - INTERVAL '{delay}' SECOND)
WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json')
"""
_WRITE = """
CREATE TEMPORARY TABLE windows_{name} (device STRING, window_start TIMESTAMP_LTZ(3), c BIGINT,
mean DOUBLE, lo DOUBLE, hi DOUBLE, sd DOUBLE)
WITH ('connector' = 'filesystem', 'path' = '{out}', 'format' = 'csv')
"""
_QUERY = """
INSERT INTO windows_{name} SELECT device, window_start, COUNT(*), AVG(temperature),
MIN(temperature), MAX(temperature), STDDEV_SAMP(temperature)
FROM TABLE({windows}) GROUP BY device, window_start, window_end
"""
_OF = {
    "tumbling": "TUMBLE(TABLE {table}, DESCRIPTOR(moment), INTERVAL '{size}' SECOND)",
    "hopping": "HOP(TABLE {table}, DESCRIPTOR(moment), INTERVAL '{every}' SECOND,"
    " INTERVAL '{size}' SECOND)",
    "session": "SESSION(TABLE {table} PARTITION BY device, DESCRIPTOR(moment),"
    " INTERVAL '{size}' SECOND)",
}


@functools.cache
def _flink() -> TableEnvironment:
    made = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    made.get_config().set("parallelism.default", "1")
    made.get_config().set("pipeline.object-reuse", "true")
    return made


def _query(name: str, path: Path, out: Path, work: Work) -> None:
    seconds = {"size": work.size // 1000, "every": work.every // 1000}
    windows = _OF[work.kind].format(table=f"readings_{name}", **seconds)
    flink = _flink()
    flink.execute_sql(_READ.format(name=name, path=path, delay=work.delay // 1000))
    flink.execute_sql(_WRITE.format(name=name, out=out))
    flink.execute_sql(_QUERY.format(name=name, windows=windows)).wait()


def _folder() -> Path:
    return Path(json.loads(Path(sys.argv[1]).read_text())["data"]).parent


def prepare(payloads: Sequence[bytes], work: Work) -> None:
    """Write what the query reads, and let it run over the first part."""
    for name, part in (("warm", payloads[:WARM]), ("whole", payloads)):
        (_folder() / f"flink-{name}.ndjson").write_bytes(b"\n".join(part) + b"\n")
        shutil.rmtree(_folder() / f"flink-{name}", ignore_errors=True)
    _query("warm", _folder() / "flink-warm.ndjson", _folder() / "flink-warm", work)


def run(_: Sequence[bytes], work: Work) -> Callable[[], Windows]:
    """One query."""
    _query("whole", _folder() / "flink-whole.ndjson", _folder() / "flink-whole", work)
    return lambda: _windows(_folder() / "flink-whole")


def _windows(out: Path) -> Windows:
    device, start, count, *values = zip(*_rows(out), strict=True)
    return Windows(
        numbers(device),
        np.array([int(datetime.fromisoformat(at).timestamp() * 1000) for at in start], np.int64),
        np.array(count).astype(np.int64),
        # of a single value there is no stddev: an empty field
        *(np.array([float(text or "nan") for text in column]) for column in values),
    )


def _rows(out: Path) -> Iterator[list[str]]:
    for path in sorted(out.rglob("part-*")):
        with path.open(newline="") as file:
            yield from csv.reader(file)


if __name__ == "__main__":
    main(run, prepare)
