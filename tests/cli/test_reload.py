"""A running worker takes changed, new and removed files, and keeps what it cannot change."""

import fcntl
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.worker import Worker

TEXT = """
name: NAME
checkpoint: 100ms
source:
  generate: {devices: 1, rate: 200, start: '2026-01-01T00:00:00Z'}
  time: {field: ts, delay: 0s}
steps:
  - window: {tumbling: 1h, by: device, emit_every: 200ms, aggregate: {n: count()}}
sink:
  sqlite: {path: OUT, table: NAME}
"""


class Folder:
    """A folder of pipelines and a worker over it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "pipelines"
        self.path.mkdir()
        self.write("a")
        self.worker = Worker(root, self.path, "--watch")

    def write(self, name: str, *changes: tuple[str, str]) -> None:
        text = TEXT.replace("NAME", name).replace("OUT", str(self.root / f"{name}.db"))
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        made = self.path / f".{name}.part"
        made.write_text(text)
        made.rename(self.path / f"{name}.yaml")

    def count(self, name: str) -> int:
        """The rows counted so far: one window, written again and again."""
        path = self.root / f"{name}.db"
        if not path.exists():
            return 0
        db = sqlite3.connect(path)
        try:
            return int(db.execute(f"SELECT coalesce(max(n), 0) FROM {name}").fetchone()[0])
        except sqlite3.OperationalError:
            return 0
        finally:
            db.close()

    def log(self) -> str:
        return self.worker.log.read_text()


def wait(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    made.worker.start()
    yield made
    made.worker.process.kill()


def test_a_running_worker_takes_what_its_files_become(folder: Folder) -> None:
    wait(lambda: folder.count("a") > 50)

    folder.write("a", ("window:", "windw:"))
    wait(lambda: "not taken: " in folder.log())
    assert "windw" in folder.log()
    before = folder.count("a")
    wait(lambda: folder.count("a") > before)

    folder.write("a", ("tumbling: 1h", "tumbling: 2h"))
    wait(lambda: "a: the change is not taken: " in folder.log())
    assert "the saved state is of" in folder.log()
    before = folder.count("a")
    wait(lambda: folder.count("a") > before)
    assert folder.worker.ready()

    before = folder.count("a")
    folder.write("a", ("steps:\n", "steps:\n  - where: temperature > -99\n"))
    wait(lambda: "a: changed; it goes on from a checkpoint" in folder.log())
    seen = []
    wait(lambda: seen.append(folder.count("a")) or seen[-1] > before)  # type: ignore[func-returns-value]
    assert min(seen) >= before, "the window kept its state"

    folder.write("b")
    wait(lambda: folder.count("b") > 0)
    (folder.path / "a.yaml").unlink()
    wait(lambda: "a: its file is gone; it stops" in folder.log())
    wait(lambda: '"name":"a"' not in folder.worker.get("/api/v1/pipelines")[1].replace(" ", ""))
    assert folder.worker.ready()
    assert folder.worker.process.terminate() == 0
    assert "Traceback" not in folder.log()


def test_sighup_reads_the_files_again(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    made.worker = Worker(tmp_path, made.path)
    made.worker.start()
    try:
        made.worker.process.signal(signal.SIGHUP)
        wait(lambda: "read 1 pipeline files again" in made.log())
        wait(lambda: made.count("a") > 0)
        made.write("a", ("steps:\n", "steps:\n  - where: temperature > -99\n"))
        made.worker.process.signal(signal.SIGHUP)
        wait(lambda: "a: changed; it goes on from a checkpoint" in made.log())
        before = made.count("a")
        wait(lambda: made.count("a") > before)
        made.write("b")
        made.worker.process.signal(signal.SIGHUP)
        wait(lambda: made.count("b") > 0)
        assert made.log().count("a: changed") == 1
        assert made.worker.process.terminate() == 0
    finally:
        made.worker.process.kill()


def test_a_worker_stops_with_the_terminal_it_was_started_on(tmp_path: Path) -> None:
    made = Folder(tmp_path)
    command = [sys.executable, "-m", "edgestream", "worker", str(made.path), "--http", "off"]
    terminal, its = pty.openpty()
    process = subprocess.Popen(
        [*command, "--state-dir", str(tmp_path / "state")],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
    )
    os.close(its)
    try:
        wait(lambda: made.count("a") > 0)
        os.close(terminal)  # the window is closed: SIGHUP
        process.wait(20)
    finally:
        process.kill()
