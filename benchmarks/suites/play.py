"""Running the pipeline of a query as a worker does: files in, files out, with a state file."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suites.case import Query, Rows, Suite
from edgestream.cli.load import load_spec
from edgestream.clock import SystemClock
from edgestream.runtime.running import Running

ALLOWED = ("benchmarks.suites",)
"""What ``use:`` may import in the pipelines of the suites."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came out of a pipeline, and the CPU it took, in ns."""

    rows: Rows
    cpu: int


def play(suite: Suite, query: Query, folder: Path) -> Played:
    """Run a query over the data in ``folder``; raises what stops the pipeline."""
    answers = folder / f"{query.name}.ndjson"
    state = folder / "state"
    for old in folder.glob(f"{query.name}.ndjson*"):
        old.unlink()
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    with _environment(SUITE=str(folder)):
        spec = load_spec(suite.pipeline(query), ALLOWED, tests=False)
        running = Running(spec, state, SystemClock(), ALLOWED)
    gc.collect()
    before = time.process_time_ns()
    asyncio.run(running.run())
    cpu = time.process_time_ns() - before
    if running.task is not None and running.task.dead_letters:
        raise RuntimeError(f"{query.name}: {running.task.dead_letters} dead letters")
    text = answers.read_text(encoding="utf-8") if answers.exists() else ""
    return Played([json.loads(line) for line in text.splitlines()], cpu)


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
