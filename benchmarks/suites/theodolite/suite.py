"""The four tasks, and the columns of their answers."""

from __future__ import annotations

from pathlib import Path

from benchmarks.suites.case import Query, Suite
from benchmarks.suites.theodolite.answers import answers
from benchmarks.suites.theodolite.data import write

THEODOLITE = Suite(
    "theodolite",
    Path(__file__).parent,
    4_000,
    200_000,
    write,
    answers,
    (
        Query("uc1", "storage in SQLite", ("identifier", "timestamp", "valueInW")),
        Query(
            "uc2",
            "an hour's readings as one row",
            ("identifier", "window_start", "n"),
            ("mean", "deviation", "lowest", "highest"),
        ),
        Query(
            "uc3",
            "a day's course over 30 days",
            ("identifier", "hour", "window_start", "n"),
            ("mean",),
        ),
        Query("uc4", "sums of groups of groups", ("group", "window_start", "members"), ("power",)),
    ),
    "numpy",
)
