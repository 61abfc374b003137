"""What ``demo`` and ``simulate`` refuse, and that a second demo in one folder says nothing odd."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.run import Cli


def find_mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


COMMAND = [sys.executable, "-m", "edgestream"]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.mark.parametrize("seconds", ["-1", "0", "soon"])
def test_a_demo_of_no_time_is_refused(cli: Cli, tmp_path: Path, seconds: str) -> None:
    ran = cli("demo", "--dir", tmp_path / "demo", f"--seconds={seconds}")
    assert ran.code == 2
    assert "--seconds" in ran.err
    assert not (tmp_path / "demo").exists()


def test_a_topic_of_what_no_reading_has_is_refused(cli: Cli) -> None:
    ran = cli("simulate", "--topic", "a/{devise}", "--count", 1)
    assert ran.code == 2
    assert "--topic: readings have no column 'devise'; did you mean 'device'?" in ran.err


@pytest.mark.server
def test_a_second_demo_in_a_folder_warns_of_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            [*COMMAND, "demo", "--dir", "d", "--http", "127.0.0.1:0", "--seconds", "1.5"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "page       http://127.0.0.1:" in done.stdout


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.server
@pytest.mark.skipif(not find_mosquitto(), reason="amqtt runs inside the process")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_broker_ends_with_its_demo_however_that_ends(tmp_path: Path, number: int) -> None:
    command = [*COMMAND, "demo", "--dir", "d", "--http", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        port = 0
        for line in demo.stdout:
            if found := re.search(r"mosquitto on mqtt://127\.0\.0\.1:(\d+)", line):
                port = int(found[1])
            if line.startswith("page"):
                break
        assert listens(port)
        demo.send_signal(number)
        demo.wait(30)
        deadline = time.monotonic() + 30
        while listens(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not listens(port)
