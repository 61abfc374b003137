"""X16: a pipeline file that names code gets none run, and not even imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.run import Cli

PIPELINE = """\
name: code
source:
  generate: {{devices: 1}}
steps:
  - {step}
sink:
  {sink}
"""
STEPS = [
    "use: intruder:run",
    "use: intruder",
    "use: os:system",
    "use: 'intruder:run.__globals__'",
    "use: {function: 'intruder:run'}",
    "use: builtins:eval",
    "intruder:run: {}",
    "'edgestream.operators.where:Where': {}",
    "'../intruder': {}",
]
SINKS = ["intruder: {}", "'intruder:Sink': {}", "'edgestream.sinks.stdout:Stdout': {}"]


@pytest.mark.parametrize(
    ("step", "sink"),
    [*((step, "stdout: json") for step in STEPS), *(("where: device == 'a'", s) for s in SINKS)],
)
def test_code_that_was_not_allowed_is_not_even_imported(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    sink: str,
) -> None:
    trace = tmp_path / "ran"
    (tmp_path / "intruder.py").write_text(f"open({str(trace)!r}, 'w').close()\nrun = print\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("EDGESTREAM_ALLOW_MODULES", raising=False)
    (tmp_path / "code.yaml").write_text(PIPELINE.format(step=step, sink=sink))
    for command in ("check", "worker"):
        ran = Cli(capsys)(command, tmp_path / "code.yaml")
        assert ran.code == 78, ran.err
        assert "code.yaml:" in ran.err
    assert "intruder" not in sys.modules
    assert not trace.exists()


def test_where_it_was_allowed_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: the same file is imported when the one who starts it says so."""
    trace = tmp_path / "ran"
    (tmp_path / "intruder2.py").write_text(f"open({str(trace)!r}, 'w').close()\nrun = print\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "code.yaml").write_text(
        PIPELINE.format(step="use: intruder2:run", sink="stdout: json")
    )
    Cli(capsys)("check", tmp_path / "code.yaml", "--allow-module", "intruder2")
    assert trace.exists()
