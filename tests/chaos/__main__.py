"""The whole suite in its long form, one part after the other, with a report.

    python -m tests.chaos --report chaos-report          # about three hours on two cores
    python -m tests.chaos --scale 0.02                   # a fiftieth of every count
    python -m tests.chaos --only kill power

Writes ``chaos-report.json`` and ``chaos-report.md``; the exit code is 1 where a part failed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.worker import ROOT, environment

KEPT_LINES = 40


@dataclass(frozen=True, slots=True)
class Part:
    """One command; ``counts`` are options whose number is scaled."""

    name: str
    module: str
    options: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    def command(self, scale: float) -> list[str]:
        """The command, without the Python before it."""
        given = ["-m", f"tests.chaos.{self.module}", *self.options]
        for option, count in self.counts:
            given += [option, str(max(1, round(count * scale)))]
        return given


PARTS = (
    Part("kill-sqlite", "kill", ("--sink", "sqlite-append"), (("--kills", 1_000), ("--parts", 10))),
    Part(
        "kill-postgres",
        "kill",
        ("--sink", "postgres-append"),
        (("--kills", 1_000), ("--parts", 10)),
    ),
    Part(
        "kill-slow",
        "kill",
        ("--sink", "sqlite-append", "--commit-delay", "20"),
        (("--kills", 200), ("--parts", 2)),
    ),
    Part("points-sqlite", "points", ("--sink", "sqlite-append"), (("--times", 20),)),
    Part("points-postgres", "points", ("--sink", "postgres-append"), (("--times", 20),)),
    Part("webhook-kill", "webhook", (), (("--kills", 1_000), ("--parts", 8))),
    Part("webhook-points", "webhook", ("--points",), (("--times", 20), ("--parts", 4))),
    Part("mutants", "mutants"),
    Part("power", "power", ("--mutants",), (("--histories", 100_000),)),
    Part("files", "files", ("--mutants",), (("--histories", 100_000), ("--damages", 5_000))),
    Part("rot", "rot", (), (("--calls", 400), ("--damages", 5_000))),
    Part("faults", "faults"),
    Part("lora", "lora", (), (("--packets", 5_000),)),
    Part("zombie-sqlite", "zombie", ("--sink", "sqlite"), (("--laps", 10),)),
    Part("zombie-postgres", "zombie", ("--sink", "postgres"), (("--laps", 10),)),
    Part("outage-down", "outage", ("--minutes", "10")),
    Part("outage-slow", "outage", ("--minutes", "1", "--fault", "slow")),
    Part("outage-errors", "outage", ("--minutes", "1", "--fault", "errors")),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a part said."""

    name: str
    command: str
    code: int
    seconds: float
    output: list[str]


def run(part: Part, scale: float) -> Result:
    """Run a part to its end, showing what it prints."""
    began = time.monotonic()
    command = part.command(scale)
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"  {line}", end="", flush=True)
            lines.append(line.rstrip())
    took = round(time.monotonic() - began, 1)
    shown = "python " + " ".join(command)
    return Result(part.name, shown, process.returncode, took, lines[-KEPT_LINES:])


def markdown(results: list[Result], load: tuple[float, float, float]) -> str:
    """The report for people."""
    text = ["# Chaos report", "", f"{platform.platform()}, {os.cpu_count()} processors; "]
    text[-1] += f"load at the start {load[0]:.1f}. Times depend on both."
    text += ["", "| part | passed | seconds | command |", "| --- | --- | --- | --- |"]
    for each in results:
        word = "yes" if each.code == 0 else "**no**"
        text.append(f"| {each.name} | {word} | {each.seconds:g} | `{each.command}` |")
    for each in results:
        text += ["", f"## {each.name}", "", "```", *each.output, "```"]
    return "\n".join(text) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, default=Path("chaos-report"))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="*", default=[], help="what names of parts begin with")
    given = parser.parse_args()
    load = os.getloadavg()
    results = []
    for part in PARTS:
        if given.only and not part.name.startswith(tuple(given.only)):
            continue
        print(f"{part.name}: python {' '.join(part.command(given.scale))}", flush=True)
        results.append(run(part, given.scale))
        found = [asdict(result) for result in results]
        given.report.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
        given.report.with_suffix(".md").write_text(markdown(results, load))
    raise SystemExit(any(result.code for result in results))


if __name__ == "__main__":
    main()
