"""X6, log: what data says neither begins a line of its own nor commands the terminal."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from edgestream.cli.logs import set_up_logging
from edgestream.runtime.status import StepStatus
from tests.cli.run import Cli

HOSTILE = [
    "a\n12:00:00 I edgestream: all is well",
    "a\r12:00:00 I edgestream: all is well",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b2J",
    "a\x00b",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "a\u2028b\u2029c\x85d",
    "\ud800",
    "\x7f",
]


@pytest.fixture(params=["text", "json"])
def style(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def written(style: str, capsys: pytest.CaptureFixture[str], log: Callable[[], None]) -> str:
    set_up_logging("debug", style)
    log()
    return capsys.readouterr().err


@pytest.mark.parametrize("text", HOSTILE)
def test_a_message_is_one_line(style: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = StepStatus("source mqtt", logging.getLogger("edgestream.p"))
    line = written(style, capsys, lambda: status.change("waiting", f"the broker said {text}"))
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert line[:-1].encode("utf-8", "replace").decode().isprintable()
    if style == "json":
        assert json.loads(line)["message"] == f"source mqtt: the broker said {text}"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_traceback_cannot_forge_a_line(
    style: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        try:
            raise ValueError(text)
        except ValueError:
            logging.getLogger("edgestream.p").exception("stopped by a bug")

    lines = written(style, capsys, fail).splitlines()
    assert "stopped by a bug" in lines[0]
    assert all(line.startswith("    ") and line.isprintable() for line in lines[1:])
    assert len(lines) == 1 or style == "text"


def test_a_name_in_a_pipeline_file_commands_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text('name: p\nsource: {"\\e[2J\\nall is well": 1}\n"\\u202e": 1\n')
    ran = Cli(capsys)("check", path)
    assert ran.code == 78
    assert all(line.startswith(str(path)) for line in ran.err.splitlines())
    assert ran.err.replace("\n", "").isprintable()
