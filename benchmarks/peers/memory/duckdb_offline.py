"""DuckDB over the whole data at once, on one thread: no stream, but what a database can reach.

It has no way to read JSON from memory, so it reads the file, which is in the page cache.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.answers import Windows, Work
from benchmarks.peers.memory.child import main, numbers

_READ = """
SELECT device, ts, temperature AS t FROM read_json(?, format = 'newline_delimited',
columns = {device: 'VARCHAR', ts: 'BIGINT', temperature: 'DOUBLE'})
"""
_STATES = "count(*) n, avg(t) mean, min(t) lo, max(t) hi, stddev_samp(t) sd"
_TUMBLING = "SELECT device, ts // {every} * {every} AS start, {states} FROM ({read}) GROUP BY ALL"
_HOPPING = """
WITH panes AS (
  SELECT device, ts // {every} * {every} AS pane, count(*) n, sum(t) s, sum(t * t) q,
         min(t) lo, max(t) hi FROM ({read}) GROUP BY ALL
)
SELECT device, pane - back * {every} AS start, sum(n)::BIGINT AS c, sum(s) / c AS mean, min(lo),
       max(hi), sqrt(greatest(0, sum(q) - sum(s) * mean) / nullif(c - 1, 0))
FROM panes, range({size} // {every}) hops(back) GROUP BY ALL
"""
_SESSIONS = """
WITH gaps AS (
  SELECT *, ts - lag(ts) OVER (PARTITION BY device ORDER BY ts) AS gap FROM ({read})
), marked AS (
  SELECT *, count(*) FILTER (gap IS NULL OR gap >= {size})
         OVER (PARTITION BY device ORDER BY ts ROWS UNBOUNDED PRECEDING) AS session FROM gaps
)
SELECT device, min(ts) AS start, {states} FROM marked GROUP BY device, session
"""
_FORMS = {"tumbling": _TUMBLING, "hopping": _HOPPING, "session": _SESSIONS}


def run(_: Sequence[bytes], work: Work) -> Callable[[], Windows]:
    """One query."""
    path = Path(json.loads(Path(sys.argv[1]).read_text())["data"])
    connection = duckdb.connect(config={"threads": 1})
    query = _FORMS[work.kind].format(read=_READ, states=_STATES, size=work.size, every=work.every)
    found = connection.execute(query, [str(path)]).fetchnumpy()
    device, start, *values = found.values()
    return lambda: Windows(
        numbers(device), start, *(np.ma.filled(value, np.nan) for value in values)
    )


if __name__ == "__main__":
    main(run)
