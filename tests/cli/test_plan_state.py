"""``edgestream plan`` says what becomes of saved state."""

import json
from pathlib import Path

import pytest

from tests.cli.run import Cli

TEXT = """
name: p
source:
  generate: {devices: 2, rate: 0, count: 200, start: '2026-01-01T00:00:00Z'}
  time: ts
steps:
  - window: {tumbling: 1h, by: device, aggregate: {n: count()}}
sink:
  sqlite: {path: OUT, table: t}
"""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def test_what_is_kept_lost_and_new(tmp_path: Path, cli: Cli) -> None:
    path, state = tmp_path / "p.yaml", tmp_path / "state"
    path.write_text(TEXT.replace("OUT", str(tmp_path / "o.db")))

    def fates() -> dict[str, str] | None:
        ran = cli("plan", path, "--state-dir", state, "--output", "json")
        assert ran.code == 0, ran.err
        [plan] = json.loads(ran.out)
        found = plan["state"]
        return None if found is None else {one["name"]: one["fate"] for one in found}

    assert fates() is None
    assert cli("worker", path, "--state-dir", state, "--http", "off").code == 0
    assert fates() == {"steps.window.0": "kept"}
    text = path.read_text()
    path.write_text(text.replace("  - window", "  - dedupe: {by: device, within: 1m}\n  - window"))
    assert fates() == {"steps.dedupe.0": "new", "steps.window.0": "kept"}
    path.write_text(text.replace("1h", "2h"))
    shown = cli("plan", path, "--state-dir", state).out
    assert "state lost steps.window.0: the saved state is of" in shown
    assert "--accept-loss NAME gives it up" in shown
    assert cli("worker", path, "--state-dir", state, "--http", "off").code == 78
    accept = ("--accept-loss", "steps.window.0")
    assert cli("worker", path, "--state-dir", state, "--http", "off", *accept).code == 0
    assert fates() == {"steps.window.0": "kept"}
