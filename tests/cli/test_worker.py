import os
import pty
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.process import free_port
from tests.servers.small_disk import small_disk
from tests.servers.worker import Worker

COMMAND = [sys.executable, "-m", "edgestream"]
ENDLESS = """
name: endless
source:
  generate: {devices: 3, rate: 100}
  time: ts
steps:
  - window: {tumbling: 1s, by: device, aggregate: {n: count()}}
sink:
  sqlite: {path: OUT, table: t}
"""
BOUNDED = """
name: bounded
source:
  generate: {devices: 3, rate: 0, count: 3000, start: '2026-01-01T00:00:00Z'}
  time: ts
steps:
  - window: {tumbling: 1m, by: device, aggregate: {n: count()}}
sink:
  sqlite: {path: OUT, table: t}
"""


def pipeline(folder: Path, text: str) -> Path:
    path = folder / "p.yaml"
    path.write_text(text.replace("OUT", str(folder / "out.db")))
    return path


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def worker(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = Worker(tmp_path, pipeline(tmp_path, ENDLESS))
    yield made
    made.process.kill()


def test_a_bounded_pipeline_ends_with_0_and_a_second_run_finds_nothing_new(tmp_path: Path) -> None:
    path = pipeline(tmp_path, BOUNDED)
    for _ in range(2):
        done = run("worker", path, "--state-dir", tmp_path / "state", "--http", "off")
        assert (done.returncode, done.stdout) == (0, "")
        rows = sqlite3.connect(tmp_path / "out.db").execute("SELECT sum(n), count(*) FROM t")
        assert rows.fetchone() == (3000, 51)
    again = run("worker", path, "--state-dir", tmp_path / "state", "--http", "off", "--fresh")
    assert again.returncode == 0
    assert (tmp_path / "state" / "bounded.old.db").exists()


def test_sigterm_writes_a_checkpoint_and_exits_0(worker: Worker) -> None:
    worker.start()
    time.sleep(0.5)
    assert worker.process.terminate() == 0
    states = sqlite3.connect(worker.log.parent / "state" / "endless.db")
    assert states.execute("SELECT count(*) FROM checkpoints").fetchone()[0] >= 1


def test_a_second_signal_leaves_at_once(tmp_path: Path) -> None:
    text = ENDLESS.replace("sqlite: {path: OUT, table: t}", "redis: {url: URL, hash: 'a:{device}'}")
    with socket.socket() as silent:  # accepts and never answers: a sink that hangs
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        worker = Worker(tmp_path, pipeline(tmp_path, text.replace("URL", url)), "--grace", "60")
        worker.start(lambda: worker.get("/livez")[0] == 200)
        time.sleep(0.5)
        try:
            worker.process.signal(signal.SIGTERM)
            time.sleep(0.5)
            assert worker.process.running
            worker.process.signal(signal.SIGTERM)
            assert worker.process.terminate() == 128 + signal.SIGTERM
        finally:
            worker.process.kill()


def test_probes_metrics_page_and_rows(worker: Worker) -> None:
    worker.start()
    time.sleep(2.5)
    assert worker.get("/livez")[0] == 200
    status, text = worker.get("/metrics")
    assert status == 200
    assert 'edgestream_source_rows_total{pipeline="endless",step="source"}' in text
    assert '"name":"endless"' in worker.get("/api/v1/pipelines")[1].replace(" ", "")
    assert "window_start" in worker.get("/api/v1/pipelines/endless/rows?sink=sink&after=0")[1]
    assert "<html" in worker.get("/")[1]


def test_an_absent_broker_is_waited_for_and_readyz_says_so(tmp_path: Path) -> None:
    port = free_port()
    text = ENDLESS.replace(
        "generate: {devices: 3, rate: 100}",
        f'mqtt: {{url: "mqtt://127.0.0.1:{port}", topics: [a/#]}}',
    )
    worker = Worker(tmp_path, pipeline(tmp_path, text))
    try:
        worker.start(lambda: "cannot reach" in worker.get("/readyz")[1])
        status, body = worker.get("/readyz")
        assert status == 503
        assert f"mqtt://127.0.0.1:{port}" in body
        assert worker.get("/livez")[0] == 200
        assert worker.process.terminate() == 0
    finally:
        worker.process.kill()


def test_a_locked_state_file_exits_75(worker: Worker, tmp_path: Path) -> None:
    worker.start()
    done = run("worker", tmp_path / "p.yaml", "--state-dir", tmp_path / "state", "--http", "off")
    assert done.returncode == 75
    assert f"in use by another worker (process {worker.process.pid})" in done.stderr
    assert "Traceback" not in done.stderr


def test_fresh_leaves_the_state_of_a_running_worker_where_it_is(
    worker: Worker, tmp_path: Path
) -> None:
    worker.start()
    state = tmp_path / "state"
    done = run("worker", tmp_path / "p.yaml", "--state-dir", state, "--http", "off", "--fresh")
    assert done.returncode == 75
    assert "in use by another worker" in done.stderr
    assert (state / "endless.db").exists()
    assert not (state / "endless.old.db").exists()


def test_fresh_keeps_what_an_earlier_one_moved_aside(tmp_path: Path) -> None:
    path = pipeline(tmp_path, BOUNDED)
    for _ in range(3):
        again = run("worker", path, "--state-dir", tmp_path / "state", "--http", "off", "--fresh")
        assert again.returncode == 0
    kept = sorted(file.name for file in (tmp_path / "state").glob("*.db"))
    assert kept == ["bounded.db", "bounded.old.2.db", "bounded.old.db"]


def test_a_port_in_use_exits_75(tmp_path: Path) -> None:
    path = pipeline(tmp_path, BOUNDED)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("worker", path, "--http", address, "--state-dir", tmp_path / "state")
    assert done.returncode == 75
    assert "is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_pauses_reading_until_there_is_room(tmp_path: Path) -> None:
    text = BOUNDED.replace("rate: 0, count: 3000", "rate: 3000, count: 9000").replace(
        "steps:\n  - window: {tumbling: 1m, by: device, aggregate: {n: count()}}\n", ""
    )
    with small_disk(tmp_path / "state", "4m") as disk:
        worker = Worker(tmp_path, pipeline(tmp_path, text))
        try:
            worker.start()
            disk.fill()
            wait(lambda: "the disk is full" in worker.get("/readyz")[1])
            assert worker.get("/livez")[0] == 200
            disk.empty()
            wait(lambda: not worker.process.running)
        finally:
            worker.process.kill()
    assert worker.process.returncode == 0
    rows = sqlite3.connect(tmp_path / "out.db").execute("SELECT count(*) FROM t")
    assert rows.fetchone() == (9000,)
    log = worker.log.read_text()
    assert log.count("the disk is full") == log.count("going on") == 1
    assert "Traceback" not in log


def wait(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_mistake_exits_78_with_its_place(tmp_path: Path) -> None:
    path = pipeline(tmp_path, ENDLESS.replace("tumbling: 1s", "tumblin: 1s"))
    done = run("worker", path)
    assert done.returncode == 78
    assert f"{path}:7:14: steps.0.window.tumblin: unknown field 'tumblin'" in done.stderr
    assert "did you mean 'tumbling'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_progress_of_a_bounded_source_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    path = pipeline(
        tmp_path, BOUNDED.replace("count: 3000", "count: 300").replace("rate: 0", "rate: 300")
    )
    command = [*COMMAND, "worker", str(path), "--state-dir", str(tmp_path / "s"), "--http", "off"]
    parent, child = pty.openpty()
    process = subprocess.Popen(command, stderr=child, stdout=child)
    os.close(child)
    seen = b""
    while True:
        try:
            seen += os.read(parent, 4096)
        except OSError:
            break
    os.close(parent)
    assert process.wait(20) == 0
    assert "█" in seen.decode()
    assert "100%  300 rows" in seen.decode()


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    done = run("wroker")
    assert done.returncode == 2
    assert "did you mean 'worker'?" in done.stderr
