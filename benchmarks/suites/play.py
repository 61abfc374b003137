"""Running the pipeline of a query as a worker does: files in, files out, with a state file."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suites.case import Query, Rows, Suite
from edgestream.cli.load import load_spec
from edgestream.clock import SystemClock
from edgestream.runtime.running import Running
from edgestream.spec import PipelineSpec

ALLOWED = ("benchmarks.suites",)
"""What ``use:`` may import in the pipelines of the suites."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came out of a pipeline, and the CPU it took, in ns."""

    rows: Rows
    cpu: int


def play(suite: Suite, query: Query, folder: Path) -> Played:
    """Run a query over the data in ``folder``; raises what stops the pipeline."""
    state = folder / "state"
    for old in [*folder.glob(f"{query.name}.ndjson*"), *folder.glob(f"{query.name}.db*")]:
        old.unlink()
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    spec = load(suite, query, folder)
    running = Running(spec, state, SystemClock(), ALLOWED)
    gc.collect()
    before = time.process_time_ns()
    asyncio.run(running.run())
    cpu = time.process_time_ns() - before
    if running.task is not None and running.task.letters.count:
        raise RuntimeError(f"{query.name}: {running.task.letters.count} dead letters")
    return Played(_rows(folder / query.name), cpu)


def load(suite: Suite, query: Query, folder: Path) -> PipelineSpec:
    """The pipeline of a query over the data in ``folder``, checked as a worker does."""
    path = suite.pipeline(query)
    if path.suffix == ".py":
        made = importlib.import_module(f"benchmarks.suites.{suite.name}.{query.name}")
        spec = made.pipeline(folder).spec()
        assert isinstance(spec, PipelineSpec)
        return spec
    with _environment(SUITE=str(folder), TABLES=str(suite.folder)):
        return load_spec(path, ALLOWED)


def _rows(path: Path) -> Rows:
    """What a pipeline left in a file or a database of this name."""
    file, database = path.with_suffix(".ndjson"), path.with_suffix(".db")
    if database.exists():
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM answers")]
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
