"""Running an engine over payloads in memory: a process of its own, on one processor."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.answers import Windows, Work, compare, truth
from benchmarks.data import Data
from benchmarks.peers import build
from benchmarks.pinned import pinned
from benchmarks.runs import OURS, Run

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Engine:
    """The module that is run; ``slow`` ones are run half as often."""

    module: str
    note: str = ""
    slow: bool = False
    python: str = "python"
    """Which of the interpreters that `build` makes; none is this one."""


ENGINES = {
    OURS: Engine("ours", python=""),
    # the loop in Python needs no more than the project itself has
    "python": Engine("plain", note="a loop with msgspec and dictionaries", python=""),
    "bytewax": Engine("bytewax_fold", note="10,000 at a time", slow=True),
    "bytewax-each": Engine("bytewax_events", note="event by event", slow=True),
    "streamz": Engine("streamz_frames", note="pandas, 10,000 at a time"),
    "streamz-each": Engine("streamz_events", note="event by event", slow=True),
    "pyflink": Engine("pyflink_sql", note="SQL in its JVM, warm", python="pyflink", slow=True),
    "polars": Engine("polars_offline", note="all at once, no stream"),
    "duckdb": Engine("duckdb_offline", note="all at once, no stream"),
}
PEERS = tuple(name for name in ENGINES if name != OURS)
SLOW = tuple(name for name, engine in ENGINES.items() if engine.slow)


class Bench:
    """Data in a folder, and the truth about it; `run` measures one engine over it."""

    def __init__(self, folder: Path, data: Data, work: Work, variant: str = "") -> None:
        """Write the data."""
        self._folder = folder
        self._data = data
        self._work = work
        self._variant = variant
        self._path = data.write(folder / "data.ndjson")
        self._truth = truth(data, work)

    def run(self, name: str) -> Run:
        """One engine once; where it cannot run, why."""
        engine = ENGINES[name]
        count = len(self._data)
        try:
            python = str(build.build(engine.python)) if engine.python else sys.executable
            used = self._child(python, engine.module)
        except (build.Missing, RuntimeError) as why:
            return Run(name, self._variant, note=engine.note, failed=str(why))
        found = Windows.load(self._folder / "answers.npz")
        figures = {
            "ns/event": used["cpu"] / count * 1e9,
            "M events/s": count / used["wall"] / 1e6,
            "windows": float(len(found)),
            "wrong": float(compare(self._truth, found)),
        }
        if "peak" in used:
            figures["+MiB"] = used["peak"] - used["before"]
        return Run(name, self._variant, figures, engine.note)

    def _child(self, python: str, module: str) -> dict[str, float]:
        job = self._folder / "job.json"
        answers = self._folder / "answers.npz"
        answers.unlink(missing_ok=True)
        job.write_text(
            json.dumps(
                {
                    "data": str(self._path),
                    "answers": str(answers),
                    "work": asdict(self._work),
                }
            )
        )
        command = [python, "-m", f"benchmarks.peers.memory.{module}", str(job)]
        with pinned(1):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"it failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        used: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return used
