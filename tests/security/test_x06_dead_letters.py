"""X6, dead letters: what could not be read is shown, and commands no terminal while it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run import Cli

PAYLOADS = [
    b"\x1b]0;owned\x07\x1b[2J",
    b'{"\x9b2J": \xff}',
    "\u202egpj.exe \u2028 all is well".encode(),
    b"\0\0\0",
    b'{"ts": "\\u001b[2J"}',
    b"<img src=x onerror=alert(1)>",
]
PIPELINE = """\
name: letters
source:
  file: {{path: "{folder}/rows.ndjson"}}
  time: {{field: ts, unit: ms}}
sink:
  file: "{folder}/out.ndjson"
"""


def test_what_is_shown_commands_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.ndjson").write_bytes(b"\n".join(PAYLOADS) + b"\n")
    path = tmp_path / "letters.yaml"
    path.write_text(PIPELINE.format(folder=tmp_path))
    cli, state = Cli(capsys), ("--state-dir", tmp_path / "state")
    ran = cli("worker", path, *state, "--http", "off")
    assert ran.code == 0, ran.err
    said = [cli("dlq", "ls", path, *state), cli("dlq", "ls", path, *state, "--output", "json")]
    assert len(json.loads(said[1].out)) == len(PAYLOADS)
    said += [cli("dlq", "show", path, str(n), *state) for n in range(1, len(PAYLOADS) + 1)]
    assert [one.code for one in said] == [0] * len(said)
    for one in (ran, *said):
        for line in (one.out + one.err).split("\n"):
            assert line.isprintable(), line
