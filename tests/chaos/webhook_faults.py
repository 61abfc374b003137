"""What else may happen to P4, HTTP → lookup → files: each with its verdict.

Part of ``python -m tests.chaos.faults``; every name begins with ``P4.``.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.mishaps import RECONNECT, fill, mounted, resident, until
from tests.chaos.posts import AWAY, Verdict
from tests.chaos.rig import letters
from tests.chaos.webhook import NAME, Webhook

LEAST = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict and what else was seen."""

    verdict: Verdict
    told: str = ""

    @property
    def clean(self) -> bool:
        return self.verdict.clean


Fault = Callable[[Path], Outcome]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def add(function: Fault) -> Fault:
        FAULTS[f"P4.{name}"] = function
        return function

    return add


def ended(rig: Webhook, seconds: float = 20) -> int:
    """The exit code, once it is there."""
    until(lambda: not rig.worker.process.running, seconds, "the end of the worker")
    code = rig.worker.process.returncode
    assert code is not None
    return code


def answering(rig: Webhook) -> float:
    """Wait for an answer to a request that is sent from now on; the seconds it took."""
    rig.posts.watch()
    return until(lambda: rig.posts.first_since, RECONNECT, "an answer")


def growing(path: Path) -> float:
    """Wait until a file has become larger than it is; the seconds it took."""
    size = path.stat().st_size if path.exists() else 0
    return until(lambda: path.exists() and path.stat().st_size > size, RECONNECT, f"rows in {path}")


@fault("F2")
def sigterm_under_load(folder: Path) -> Outcome:
    """SIGTERM under load, three times."""
    with Webhook(folder, "ndjson.gz", least=LEAST) as rig:
        rig.begin()
        slowest = 0.0
        for _ in range(3):
            answering(rig)
            began = time.monotonic()
            rig.worker.process.signal(signal.SIGTERM)
            assert ended(rig) == 0, rig.log()
            slowest = max(slowest, time.monotonic() - began)
            rig.start()
        return Outcome(rig.verdict(), f"exit 0 within {slowest:.2f} s")


@fault("F5")
def file_held_by_another(folder: Path) -> Outcome:
    """Somebody moves the scans away and locks a new file: rows wait in the state file, and the
    other file goes on. After a SIGKILL the lock may be an older worker's: nothing is read."""
    with Webhook(folder, "csv", least=LEAST) as rig:
        rig.begin()
        growing(rig.scans)
        rig.scans.rename(rig.out / "scans-old.csv")
        held = os.open(rig.scans, os.O_RDWR | os.O_CREAT)
        fcntl.flock(held, fcntl.LOCK_EX)
        told = b"is being written by another process"
        until(lambda: told in rig.worker.log.read_bytes(), 30, "word of the lock")
        growing(rig.unknown)
        rig.worker.process.kill()
        so_far = rig.worker.log.stat().st_size
        rig.start(first=0)
        until(lambda: told in rig.worker.log.read_bytes()[so_far:], 30, "word of the lock")
        assert os.fstat(held).st_size == 0
        os.close(held)
        took = growing(rig.scans)
        return Outcome(rig.verdict(), f"back {took:.1f} s after the lock")


@fault("F7")
def disk_full(folder: Path) -> Outcome:
    """The disk of the files is full for some seconds, with a SIGKILL, then there is room again."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted(folder / "out", "4m")
    try:
        with Webhook(folder, "ndjson", least=LEAST) as rig:
            rig.begin()
            growing(rig.scans)
            filler = rig.out / "filler"
            fill(filler)
            until(lambda: "disk full" in rig.log(), 60, "word of the full disk")
            rig.worker.process.kill()
            rig.start()
            time.sleep(1)
            assert rig.worker.process.running, rig.log()
            filler.unlink()
            took = growing(rig.scans)
            return Outcome(rig.verdict(), f"back {took:.1f} s after there was room")
    finally:
        subprocess.run(["umount", str(folder / "out")], check=True)


@fault("F10")
def file_changed(folder: Path) -> Outcome:
    """The scans are something else at a start: exit 78, and it stays; put back, it goes on."""
    with Webhook(folder, "ndjson", least=LEAST) as rig:
        rig.begin()
        commit = rig.out / "scans.ndjson.commit"
        until(
            lambda: commit.exists() and json.loads(commit.read_text())["size"],
            RECONNECT,
            "a commit",
        )
        rig.worker.process.kill()
        kept = rig.scans.rename(rig.out / "kept")
        other = b"something else\n" * 100_000
        rig.scans.write_bytes(other)
        rig.start(first=0)
        assert ended(rig) == 78, rig.log()
        assert rig.scans.read_bytes() == other
        kept.rename(rig.scans)
        rig.start()
        return Outcome(rig.verdict(), "exit 78, and goes on when it is put back")


@fault("F16.reload")
def another_file(folder: Path) -> Outcome:
    """The pipeline is told under load to write the scans to another file, with a SIGKILL after."""
    with Webhook(folder, "ndjson", least=LEAST) as rig:
        rig.begin()
        growing(rig.scans)
        path = folder / NAME
        path.write_text(
            re.sub(r"\$\{SCANS_FILE.*?\}", f"{rig.out}/scans-2.ndjson", path.read_text())
        )
        rig.worker.process.signal(signal.SIGHUP)
        took = growing(rig.out / "scans-2.ndjson")
        rig.worker.process.kill()
        rig.start()
        return Outcome(rig.verdict(), f"rows in the other file after {took:.1f} s")


@fault("F16.moved")
def another_place(folder: Path) -> Outcome:
    """The state goes to another folder as a savepoint, between two runs."""
    with Webhook(folder, "csv.gz", least=LEAST) as rig:
        rig.begin()
        growing(rig.scans)
        rig.worker.process.signal(signal.SIGTERM)
        assert ended(rig) == 0, rig.log()
        given = ["--state-dir", str(folder / "state")]
        rig.command("savepoint", "create", NAME, "moved", *given)
        rig.command("savepoint", "export", NAME, "moved", "moved.savepoint", *given)
        rig.letters = letters(rig.state)
        shutil.rmtree(folder / "state")
        rig.command("savepoint", "import", NAME, "moved", "moved.savepoint", *given)
        rig.command("savepoint", "restore", NAME, "moved", *given)
        rig.start()
        return Outcome(rig.verdict())


@fault("F17")
def no_folder(folder: Path) -> Outcome:
    """The folder of the files is not there: exit 78; made, it begins."""
    with Webhook(folder, "csv", least=LEAST) as rig:
        rig.out.rmdir()
        rig.start(first=0)
        assert ended(rig) == 78, rig.log()
        assert "there is no folder" in rig.log()
        rig.out.mkdir()
        rig.begin()
        return Outcome(rig.verdict(), "exit 78")


@fault("F18")
def burst(folder: Path) -> Outcome:
    """As fast as the senders can, then nothing: memory stays within bounds."""
    with Webhook(folder, "ndjson.gz", least=LEAST) as rig:
        rig.posts.pause = 0
        rig.begin()
        most = 0
        for _ in range(12):
            time.sleep(0.5)
            most = max(most, resident(rig.worker.process.pid))
        verdict = rig.verdict()
        late = sum(n for status, n in rig.posts.statuses.items() if status not in (202, AWAY))
        told = (
            f"{len(rig.posts.acknowledged)} requests, {late} told to wait, RSS at most {most} MiB"
        )
        return Outcome(verdict, told)


@fault("rotation")
def moved_away(folder: Path) -> Outcome:
    """The files are moved away under load, again and again, with SIGKILLs between."""
    with Webhook(folder, "csv", least=LEAST) as rig:
        rig.begin()
        growing(rig.scans)
        for number in range(4):
            for path in (rig.scans, rig.unknown):
                path.rename(path.with_stem(f"{path.stem}-{number}"))
            growing(rig.scans)
            growing(rig.unknown)
            if number % 2:
                rig.worker.process.kill()
                rig.start()
        return Outcome(rig.verdict(), f"{len(rig.files())} files")
