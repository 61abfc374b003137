"""polars over the whole data at once, on one thread: no stream, but what columns can reach."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence

os.environ["POLARS_MAX_THREADS"] = "1"

import polars as pl

from benchmarks.answers import Windows, Work
from benchmarks.peers.memory.child import main, numbers

_SCHEMA = {"device": pl.String, "ts": pl.Int64, "temperature": pl.Float64}
_ALL = ["n", "total", "squares", "min", "max"]


def run(payloads: Sequence[bytes], work: Work) -> Callable[[], Windows]:
    """Read, group, aggregate."""
    table = pl.read_ndjson(io.BytesIO(b"\n".join(payloads)), schema=_SCHEMA)
    rows = _sessions(table, work.size) if work.kind == "session" else _aligned(table, work)
    mean = pl.col("total") / pl.col("n")
    spread = (pl.col("squares") - pl.col("total") * mean) / (pl.col("n") - 1)
    rows = rows.with_columns(
        mean=mean, stddev=pl.when(pl.col("n") > 1).then(spread.clip(lower_bound=0).sqrt())
    )
    return lambda: Windows(
        numbers(rows["device"]),
        rows["start"].to_numpy(),
        rows["n"].cast(pl.Int64).to_numpy(),
        *(rows[name].to_numpy() for name in ("mean", "min", "max", "stddev")),
    )


def _states() -> list[pl.Expr]:
    value = pl.col("temperature")
    sums = value.sum().alias("total"), (value * value).sum().alias("squares")
    return [pl.len().alias("n"), *sums, value.min().alias("min"), value.max().alias("max")]


def _aligned(table: pl.DataFrame, work: Work) -> pl.DataFrame:
    pane = (pl.col("ts") // work.every * work.every).alias("start")
    panes = table.group_by("device", pane).agg(_states())
    if work.kind == "tumbling":
        return panes
    copies = [
        panes.with_columns(pl.col("start") - back) for back in range(0, work.size, work.every)
    ]
    sums = [pl.col(name).sum() for name in ("n", "total", "squares")]
    both = [*sums, pl.col("min").min(), pl.col("max").max()]
    return pl.concat(copies).group_by("device", "start").agg(both)


def _sessions(table: pl.DataFrame, gap: int) -> pl.DataFrame:
    opens = (pl.col("ts").diff().fill_null(gap) >= gap).cum_sum().over("device")
    marked = table.sort("device", "ts").with_columns(opens.alias("session"))
    found = marked.group_by("device", "session").agg(pl.col("ts").min().alias("start"), *_states())
    return found.select("device", "start", *_ALL)


if __name__ == "__main__":
    main(run)
