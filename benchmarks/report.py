"""Tables for a person and JSON for later: medians, with ratios to ours from runs side by side."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cases import Case
from benchmarks.peers import versions
from benchmarks.runs import OURS, Run, Summary, summaries

Results = Mapping[str, Sequence[Run]]


def table(case: Case, runs: Sequence[Run]) -> str:
    """A heading, a line an engine, and which could not be run and why."""
    found = summaries(runs, case.metric)
    names = [case.metric, *case.shown]
    variants = any(one.variant for one in found)
    lines = [[*(["at"] if variants else []), "engine", *names, "× ours", "runs", ""]]
    for one in found:
        if not one.runs:
            continue
        start = [one.variant] if variants else []
        figures = [_number(one.figures.get(name)) for name in names]
        lines.append([*start, one.engine, *figures, _times(one), str(one.runs), one.note])
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    left = 2 if variants else 1
    text = [f"{case.name}: {case.title}"]
    for line in lines:
        cells = [
            cell.ljust(width) if at < left or at == len(line) - 1 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append(("  " + "  ".join(cells)).rstrip())
    text += dict.fromkeys(f"  {one.engine} not run: {one.failed}" for one in found if one.failed)
    return "\n".join(text)


def _times(one: Summary) -> str:
    if one.engine == OURS:
        return "1"
    return "–" if one.ratio is None else f"{one.ratio:.1f}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def save(folder: Path, cases: Mapping[str, Case], results: Results, load: float) -> Path:
    """Write every run, the summaries, and what machine it was; the path."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y-%m-%d-%H%M}.json"
    whole = {
        "machine": _machine(load),
        "peers": {
            "telegraf": versions.TELEGRAF,
            "bento": versions.BENTO,
            "node-red": versions.NODE_RED,
            "python": [*versions.PYTHON, *versions.PYFLINK],
        },
        "cases": {
            name: {
                "title": cases[name].title,
                "metric": cases[name].metric,
                "summary": [asdict(one) for one in summaries(runs, cases[name].metric)],
                "runs": [asdict(run) for run in runs],
            }
            for name, runs in results.items()
        },
    }
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    return path


def _machine(load: float) -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load before": load,
        "commit": commit.stdout.strip(),
    }
