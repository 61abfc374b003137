"""What was measured on a day, in one file: cases that are run again replace those of that name."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers import versions
from benchmarks.runs import Run, summaries

FOLDER = Path(__file__).with_name("results")
DAYS = "[0-9]*.json"
"""The files of the days, among those of the suites."""
_VERSIONS = {
    "telegraf": versions.TELEGRAF,
    "bento": versions.BENTO,
    "node-red": versions.NODE_RED,
    "python": [*versions.PYTHON, *versions.PYFLINK],
}


class Unreadable(Exception):
    """A file that does not hold results."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where, when and from which commit something was measured."""

    when: str
    commit: str
    processor: str
    cores: int
    python: str
    load: float

    @classmethod
    def now(cls, load: float) -> Machine:
        """This machine; ``load`` is what it had to do before."""
        return cls(
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            _commit(),
            _processor(),
            os.cpu_count() or 1,
            platform.python_version(),
            round(load, 2),
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """All runs of a case; ``shown`` are the figures that stand beside its ``metric``."""

    title: str
    metric: str
    shown: tuple[str, ...]
    machine: Machine
    runs: tuple[Run, ...]


def load(path: Path) -> dict[str, Measured]:
    """The cases of a file; none where it is not there yet."""
    if not path.exists():
        return {}
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        return {name: _measured(case) for name, case in whole["cases"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as why:
        raise Unreadable(f"{path} holds no results ({why!r}); move it away, or mend it") from why


def merge(path: Path, name: str, measured: Measured, names: list[str]) -> dict[str, Measured]:
    """Put a case into the file, in place of what was there of that name; all that is in it now.

    ``names`` is the order of the cases. The file is replaced as a whole, so that a call that is
    stopped in the middle spoils nothing.
    """
    cases = {**load(path), name: measured}
    order = [
        *(name for name in names if name in cases),
        *(name for name in cases if name not in names),
    ]
    cases = {name: cases[name] for name in order}
    whole = {"peers": _VERSIONS, "cases": {name: _plain(case) for name, case in cases.items()}}
    replace(path, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    return cases


def replace(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def newest(folder: Path, form: str) -> Path | None:
    """The file of the last day."""
    return max(folder.glob(form), default=None)


def today() -> str:
    """The name of the files of this day, in UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _measured(case: Mapping[str, Any]) -> Measured:
    return Measured(
        case["title"],
        case["metric"],
        tuple(case["shown"]),
        Machine(**case["machine"]),
        tuple(Run(**run) for run in case["runs"]),
    )


def _plain(case: Measured) -> dict[str, Any]:
    return {
        "title": case.title,
        "metric": case.metric,
        "shown": case.shown,
        "machine": asdict(case.machine),
        "summary": [asdict(one) for one in summaries(case.runs, case.metric)],
        "runs": [asdict(run) for run in case.runs],
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(models, "") or platform.machine()


def _commit() -> str:
    """The commit, with a + where files have been changed since; results are none of them."""
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results"
    )
    return (commit.strip() or "unknown") + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return done.stdout
