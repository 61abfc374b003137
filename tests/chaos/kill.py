"""Kill the worker with SIGKILL again and again under QoS 1 load, then count what is in the sink.

    python -m tests.chaos.kill --kills 1000 --rate 1500 --sink sqlite --parts 4

One kill in five comes while the worker is still starting, the others some time after it has
acknowledged its first message; recovery is from the start of the process to that message.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.chaos.oracle import Verdict
from tests.chaos.rig import Rig
from tests.chaos.worker import Settings

EARLY = 0.2
"""The share of kills that hit a worker that has not got going."""
STARTING = (0.05, 0.6)
RUNNING = (0.0, 1.2)
"""Seconds, evenly distributed."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much is published, and how often the worker dies."""

    kills: int
    sink: str = "sqlite"
    rate: int = 1_500
    devices: int = 50
    commit_delay: float = 0
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Report:
    """What came out."""

    load: Load
    kills: int
    sent: int
    verdict: Verdict
    exit_code: int | None
    seconds: float
    restarts: Sequence[float] = field(repr=False)

    @property
    def passed(self) -> bool:
        return self.verdict.clean and self.exit_code == 0


def torture(folder: Path, load: Load) -> Report:
    """Publish, kill, restart, wait until everything is in the sink, stop, and judge."""
    began = time.monotonic()
    rng = random.Random(load.seed)
    settings = Settings(slow=load.commit_delay)
    with Rig(
        folder,
        load.sink,
        rate=load.rate,
        devices=load.devices,
        seed=load.seed,
        settings=settings,
    ) as rig:
        rig.begin()
        time.sleep(rng.uniform(*RUNNING))
        for _ in range(load.kills):
            rig.worker.process.kill()
            if rng.random() < EARLY:
                rig.start(first=0)
                time.sleep(rng.uniform(*STARTING))
            else:
                rig.start()
                time.sleep(rng.uniform(*RUNNING))
        if not rig.worker.process.running:
            raise RuntimeError(rig.log())
        verdict = rig.verdict()
        code = rig.stop()
        took = time.monotonic() - began
        return Report(load, load.kills, rig.sent.sent, verdict, code, took, tuple(rig.restarts))


def summary(reports: Sequence[Report]) -> dict[str, object]:
    """The figures of several runs together."""
    restarts = sorted(second for report in reports for second in report.restarts)
    kills = sum(report.kills for report in reports)
    hundredths = statistics.quantiles(restarts, n=100) if len(restarts) > 1 else [0.0] * 99
    failed = sum(not report.passed for report in reports)
    return {
        "kills": kills,
        "messages": sum(report.sent for report in reports),
        "windows": sum(report.verdict.windows for report in reports),
        "lost": sum(report.verdict.lost for report in reports),
        "duplicated": sum(report.verdict.duplicated for report in reports),
        "wrong": sum(report.verdict.wrong for report in reports),
        "failed_runs": failed,
        "share_of_kills_at_most_95": None if failed else round(3 / kills, 5),
        "recovery_s": {
            "n": len(restarts),
            "p50": round(hundredths[49], 3),
            "p95": round(hundredths[94], 3),
            "max": round(max(restarts, default=0), 3),
        },
        "seconds": round(sum(report.seconds for report in reports)),
    }


def run(load: Load, parts: int) -> list[Report]:
    """The kills of ``load`` in several runs with a seed each, one after the other."""
    reports = []
    for part in range(parts):
        kills = load.kills // parts + (part < load.kills % parts)
        piece = Load(kills, load.sink, load.rate, load.devices, load.commit_delay, load.seed + part)
        folder = Path(tempfile.mkdtemp(prefix="edgestream-chaos-"))
        report = torture(folder, piece)
        if report.passed:
            shutil.rmtree(folder)
        else:
            print(f"kept: {folder}", flush=True)
        print(json.dumps(summary([report])), flush=True)
        reports.append(report)
    return reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--rate", type=int, default=1_500)
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--commit-delay", type=float, default=0, help="milliseconds")
    parser.add_argument(
        "--sink",
        default="sqlite",
        choices=("sqlite", "postgres", "sqlite-append", "postgres-append"),
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--report", type=Path, help="a file for the figures")
    given = parser.parse_args()
    load = Load(given.kills, given.sink, given.rate, given.devices, given.commit_delay, given.seed)
    reports = run(load, given.parts)
    found = {"load": asdict(load), **summary(reports)}
    print(json.dumps(found, indent=2))
    if given.report:
        given.report.write_text(json.dumps(found, indent=2) + "\n")
    raise SystemExit(any(not report.passed for report in reports))


if __name__ == "__main__":
    main()
