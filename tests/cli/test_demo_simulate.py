"""What ``demo`` and ``simulate`` refuse, and that a second demo in one folder says nothing odd."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.run import Cli

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
