"""P4: HTTP → lookup → files, the pipeline ``pipelines/parcel_scans.yaml`` itself, and its judge.

    python -m tests.chaos.webhook --kills 100 --parts 4      # SIGKILL at random times
    python -m tests.chaos.webhook --points --times 10        # SIGKILL at every named point

Senders repeat a request until it is answered (`tests.chaos.posts`), also while the worker is dead.
Every answered row must be in the right file once, with what the table says of its scanner, and
every unreadable one among the dead letters once; no line may be torn.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from tests.chaos import points
from tests.chaos.kill import EARLY, RUNNING, STARTING
from tests.chaos.points import Point, die_at
from tests.chaos.posts import AWAY, Posts, Verdict, judge, poisoned
from tests.chaos.rig import letters
from tests.chaos.worker import ROOT, Settings, environment
from tests.servers.process import accepts, free_port
from tests.servers.worker import Worker

NAME, TABLE = "parcel_scans.yaml", "parcel_scanners.csv"
FORMATS = ("ndjson", "csv", "ndjson.gz", "csv.gz")
LEAST = 1_000
"""Requests of a run, whatever happens to it."""


class Webhook:
    """The pipeline and its senders, in one folder; ``format`` is that of both files."""

    def __init__(
        self,
        folder: Path,
        format: str = "ndjson",
        *,
        settings: Settings | None = None,
        least: int = LEAST,
    ) -> None:
        self.out = folder / "out"
        self.out.mkdir(parents=True, exist_ok=True)
        for name in (NAME, TABLE):
            shutil.copy(ROOT / "pipelines" / name, folder)
        self.folder, self.format, self.least = folder, format, least
        self.state = folder / "state" / "parcel-scans.db"
        self.port = free_port()
        self.scans = self.out / f"scans.{format}"
        self.unknown = self.out / f"unknown.{format}"
        self.posts = Posts(self.port)
        self.restarts: list[float] = []
        self.letters: list[bytes] = []
        """Dead letters of a state file that is no more."""
        self._settings = settings or Settings()
        self.worker = self._worker(self._settings)

    def __enter__(self) -> Webhook:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.worker.process.kill()

    def _environment(self) -> dict[str, str]:
        return environment() | {
            "SCANS_LISTEN": f"127.0.0.1:{self.port}",
            "SCANS_FILE": str(self.scans),
            "SCANS_UNKNOWN": str(self.unknown),
        }

    def _worker(self, settings: Settings) -> Worker:
        path, start = self.folder / NAME, settings.command()
        return Worker(self.folder, path, start=start, env=self._environment())

    def command(self, *words: str) -> None:
        """A command of edgestream about the pipeline."""
        given = [sys.executable, "-m", "edgestream", *words]
        ran = subprocess.run(
            given, env=self._environment(), cwd=self.folder, capture_output=True, check=False
        )
        assert ran.returncode == 0, ran.stderr.decode()

    def begin(self) -> None:
        """Start the worker and the senders."""
        self.worker.start(lambda: accepts(self.port))
        self.posts.begin()

    def start(self, settings: Settings | None = None, *, first: float = 60) -> float:
        """Start the worker again; the seconds until it first answered. With ``first`` 0 nothing is
        waited for, and with ``settings`` those are used."""
        if settings is not None:
            self.worker = self._worker(settings)
        self.posts.watch()
        began = time.monotonic()
        self.worker.process.start(lambda: True)
        while time.monotonic() - began < first:
            if self.posts.first_since:
                self.restarts.append(self.posts.first_since - began)
                return self.restarts[-1]
            assert self.worker.process.running, self.log()
            time.sleep(0.005)
        assert not first, "no request was answered: " + self.log()
        return 0.0

    def files(self) -> list[Path]:
        """All that was written, under whatever name it is now."""
        return [path for path in self.out.iterdir() if path.name.endswith(self.format)]

    def log(self) -> str:
        """The end of the worker's log."""
        return self.worker.log.read_text(errors="replace")[-3000:]

    def verdict(self) -> Verdict:
        """Let every request be answered, stop the worker in good order, and compare."""
        while len(self.posts.acknowledged) < self.least:
            assert self.worker.process.running, self.log()
            time.sleep(0.02)
        self.posts.finish()
        while self._left_waiting():
            self.worker.start(lambda: accepts(self.port))
        found = judge(self.folder / TABLE, self.files(), self.posts.acknowledged)
        kept = Counter(self.letters + letters(self.state))
        spoilt = sum(map(poisoned, self.posts.acknowledged))
        return replace(
            found,
            rows=found.rows + spoilt,
            lost=found.lost + max(0, spoilt - len(kept)),
            duplicated=found.duplicated + kept.total() - len(kept),
        )

    def _left_waiting(self) -> bool:
        """Stop in good order; whether rows of a sink that was just coming back still wait."""
        so_far = self.worker.log.stat().st_size
        code = self.worker.process.terminate(30)
        assert code == 0, f"exit code {code}: {self.log()}"
        return b"wait in the state file" in self.worker.log.read_bytes()[so_far:]


@dataclass(frozen=True, slots=True)
class Report:
    """What came out; ``again`` counts what was sent again, after no answer or after one."""

    format: str
    deaths: int
    requests: int
    again: int
    verdict: Verdict
    restarts: Sequence[float]

    @property
    def passed(self) -> bool:
        return self.verdict.clean


def report(rig: Webhook, deaths: int) -> Report:
    """Judge, and count."""
    verdict = rig.verdict()
    requests = len(rig.posts.acknowledged)
    again = sum(count for status, count in rig.posts.statuses.items() if status != AWAY) - requests
    return Report(rig.format, deaths, requests, again, verdict, tuple(rig.restarts))


def torture(
    folder: Path, kills: int, format: str = "ndjson", *, seed: int = 7, slow: float = 0
) -> Report:
    """SIGKILL at random times, one in five while the worker starts."""
    rng = random.Random(seed)
    with Webhook(folder, format, settings=Settings(slow)) as rig:
        rig.begin()
        time.sleep(rng.uniform(*RUNNING))
        for _ in range(kills):
            rig.worker.process.kill()
            if rng.random() < EARLY:
                rig.start(first=0)
                time.sleep(rng.uniform(*STARTING))
            else:
                rig.start()
                time.sleep(rng.uniform(*RUNNING))
        return report(rig, kills)


def tour(
    folder: Path,
    chosen: Sequence[Point],
    format: str = "ndjson",
    *,
    times: int = 1,
    seed: int = 7,
    settings: Settings | None = None,
    least: int = LEAST,
    at: int = 0,
) -> Report:
    """Die at every point ``times`` times, at a passage that is given or drawn, in one stream."""
    rng = random.Random(seed)
    given = settings or Settings()
    with Webhook(folder, format, settings=given, least=least) as rig:
        rig.begin()
        rig.worker.process.kill()
        for _ in range(times):
            for point in chosen:
                drawn = rng.randint(1, 4) if point.reached == "often" else 1
                die_at(rig, point, at or drawn, given)
        rig.start(given)
        return report(rig, times * len(chosen))


def summary(reports: Sequence[Report]) -> dict[str, object]:
    """The figures of several runs together."""
    restarts = sorted(second for each in reports for second in each.restarts)
    hundredths = statistics.quantiles(restarts, n=100) if len(restarts) > 1 else [0.0] * 99
    verdicts = [each.verdict for each in reports]
    return {
        "deaths": sum(each.deaths for each in reports),
        "requests": sum(each.requests for each in reports),
        "sent_again": sum(each.again for each in reports),
        "rows": sum(each.rows for each in verdicts),
        "lost": sum(each.lost for each in verdicts),
        "duplicated": sum(each.duplicated for each in verdicts),
        "wrong": sum(each.wrong for each in verdicts),
        "failed_runs": sum(not each.passed for each in reports),
        "recovery_s": {
            "n": len(restarts),
            "p50": round(hundredths[49], 3),
            "p95": round(hundredths[94], 3),
            "max": round(max(restarts, default=0), 3),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--parts", type=int, default=1, help="runs, each with the next format")
    parser.add_argument("--points", action="store_true", help="die at every point instead")
    parser.add_argument("--times", type=int, default=1, help="at each point")
    parser.add_argument("--commit-delay", type=float, default=0, help="milliseconds")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    reports = []
    for part in range(given.parts):
        folder = Path(tempfile.mkdtemp(prefix="edgestream-webhook-"))
        format, seed = FORMATS[part % len(FORMATS)], given.seed + part
        if given.points:
            chosen, slow = points.points_of("file", "http"), Settings(given.commit_delay)
            times = given.times // given.parts + (part < given.times % given.parts)
            found = tour(folder, chosen, format, times=times, seed=seed, settings=slow)
        else:
            kills = given.kills // given.parts + (part < given.kills % given.parts)
            found = torture(folder, kills, format, seed=seed, slow=given.commit_delay)
        if found.passed:
            shutil.rmtree(folder)
        else:
            print(f"kept: {folder}", flush=True)
        reports.append(found)
        print(format, json.dumps(summary([found])), flush=True)
    print(json.dumps(summary(reports), indent=2))
    raise SystemExit(any(not each.passed for each in reports))


if __name__ == "__main__":
    main()
