"""The long form of fuzzing.

    python -m tests.fuzz --minutes 10               # all targets in turn
    python -m tests.fuzz --minutes 5 --only lora    # targets whose name holds a word
    python -m tests.fuzz --minutes 10 --keep 8      # keeps up to so many new inputs of each target
    python -m tests.fuzz --minutes 5 --only yaml --engine atheris   # guided by coverage

An input that breaks a rule is kept under tests/data/corpus as ``crash-…`` and replayed by the
tests from then on; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections import Counter

from tests.fuzz import corpus
from tests.fuzz.change import changed
from tests.fuzz.targets import TARGETS, Target

ROUND = 2.0
"""Seconds spent on a target before the next one has its turn."""


class Campaign:
    """What was found of one target so far."""

    def __init__(self, name: str, target: Target, seed: int) -> None:
        self.name = name
        self.runs = 0
        self.crashes: dict[str, bytes] = {}
        self.new: list[bytes] = []
        self.slowest = (0.0, b"")
        self._target = target
        self._chance = random.Random(f"{seed} {name}")
        self._pool = [*target.seeds, *corpus.kept(name)]
        self._seen: Counter[str] = Counter()
        for data in self._pool:
            self._run(data)
        self.new.clear()

    def spend(self, seconds: float) -> None:
        """Change and run inputs for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._run(changed(self._chance, self._pool, self._target.words))

    def _run(self, data: bytes) -> None:
        self.runs += 1
        began = time.perf_counter()
        try:
            said = self._target.run(data)
        except Exception as error:  # noqa: BLE001 - whatever is raised is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            key = f"{type(error).__name__} {where.filename}:{where.lineno}"
            if key not in self.crashes or len(data) < len(self.crashes[key]):
                self.crashes[key] = data
            return
        spent = time.perf_counter() - began
        if spent > self.slowest[0]:
            self.slowest = (spent, data)
        self._seen[said] += 1
        if self._seen[said] == 1 and len(self._pool) < 2_000:
            self._pool.append(data)
            self.new.append(data)

    @property
    def kinds(self) -> int:
        """How many different things became of inputs."""
        return len(self._seen)


def run_all(names: list[str], minutes: float, keep: int, seed: int) -> int:
    """Fuzz in turn; returns the exit code."""
    campaigns = [Campaign(name, TARGETS[name], seed) for name in names]
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until:
        for campaign in campaigns:
            campaign.spend(min(ROUND, max(0.0, until - time.monotonic())))
    for campaign in campaigns:
        seconds, slow = campaign.slowest
        print(
            f"{campaign.name:26} {campaign.runs:9,} runs {campaign.kinds:5} kinds "
            f"{len(campaign.crashes)} broken, slowest {seconds * 1000:.0f} ms of {len(slow)} bytes"
        )
        for key, data in campaign.crashes.items():
            print(f"    {key}: {corpus.keep(campaign.name, data, 'crash-')}")
        for data in sorted(campaign.new, key=len)[:keep]:
            corpus.keep(campaign.name, data)
    total = sum(campaign.runs for campaign in campaigns)
    broken = sum(len(campaign.crashes) for campaign in campaigns)
    print(f"{total:,} runs of {len(campaigns)} targets in {minutes:g} minutes, {broken} broken")
    return 1 if broken else 0


def with_atheris(name: str, minutes: float) -> int:
    """One target guided by coverage, where atheris is installed (it is no dependency)."""
    import atheris  # noqa: PLC0415

    target = TARGETS[name]
    folder = corpus.FOLDER / name
    arguments = [sys.argv[0], f"-max_total_time={int(minutes * 60)}", "-max_len=4096"]
    if folder.is_dir():
        arguments.append(f"-seed_inputs={','.join(map(str, folder.iterdir()))}")
    atheris.instrument_all()
    atheris.Setup(arguments, lambda data: target.run(data) and None)
    atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=int, default=0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--engine", choices=["own", "atheris"], default="own")
    given = parser.parse_args()
    names = [name for name in TARGETS if given.only in name]
    if not names:
        parser.error(f"no such target; there are: {', '.join(TARGETS)}")
    if given.engine == "atheris":
        return with_atheris(names[0], given.minutes)
    return run_all(names, given.minutes, given.keep, given.seed)


if __name__ == "__main__":
    sys.exit(main())
