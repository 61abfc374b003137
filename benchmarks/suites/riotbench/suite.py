"""The three applications, and the columns of their answers."""

from __future__ import annotations

from pathlib import Path

from benchmarks.suites.case import Query, Suite
from benchmarks.suites.riotbench.answers import answers, unpacked
from benchmarks.suites.riotbench.data import BOUNDS, write

RIOTBENCH = Suite(
    "riotbench",
    Path(__file__).parent,
    3_000,
    100_000,
    write,
    answers,
    (
        Query(
            "etl",
            "clean, bridge, annotate, SenML",
            ("station", "time", "city", "place", "same"),
            ("latitude", "longitude", "fahrenheit", *BOUNDS),
            unpacked,
        ),
        Query(
            "stats",
            "means, trends, moments, stations",
            ("what", "station", "at"),
            ("value",),
        ),
        Query(
            "pred",
            "decision tree, linear model, error",
            ("station", "time", "class"),
            ("predicted", "error"),
        ),
    ),
    "plain Python",
)
