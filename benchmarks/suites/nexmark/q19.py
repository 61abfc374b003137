"""Q19, the ten highest bids of each auction; where a rank changes it is told of again."""

from __future__ import annotations

from pathlib import Path

import edgestream as es
from benchmarks.suites.nexmark.best import Best


def pipeline(folder: Path) -> es.Pipeline:
    """Over the events in a folder."""
    return (
        es.pipeline("nexmark-q19")
        .source(
            es.File(str(folder / "events.ndjson")),
            time=es.Time("date_time", unit="ms", delay="2s"),
        )
        .where("event == 'bid'")
        .step(Best("auction", "price", 10))
        .sink(es.FileSink(str(folder / "q19.ndjson")))
    )
