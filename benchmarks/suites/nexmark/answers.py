"""The answers of Nexmark by DuckDB, which has an environment of its own with the other peers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers import build
from benchmarks.suites.case import Missing, Rows

_HERE = Path(__file__).parent


def answers(names: Sequence[str], folder: Path) -> Mapping[str, Rows]:
    """What each query must give over the events in ``folder``."""
    if not build.python().exists():
        raise Missing("DuckDB is not there; python -m benchmarks.peers python gets it")
    queries = [_HERE / f"{name}.sql" for name in names]
    command = [str(build.python()), str(_HERE / "duck.py"), str(folder), *map(str, queries)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"DuckDB failed: {done.stderr.strip()[-600:]}")
    return {name: _rows(folder / f"{name}.sql.ndjson") for name in names}


def _rows(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
