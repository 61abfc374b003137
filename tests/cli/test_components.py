from __future__ import annotations

import json

import pytest

from edgestream.cli import COMMANDS
from edgestream.errors import EXIT_USAGE
from edgestream.registry import KINDS, installed
from tests.cli.run import Cli


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def test_the_list_names_everything(cli: Cli) -> None:
    ran = cli("components")
    assert ran.code == 0
    lines = ran.out.splitlines()
    for kind in KINDS:
        start = lines.index(f"{kind}s") + 1
        names = [line.split()[0] for line in lines[start:] if line.startswith("  ")]
        assert names[: len(installed().names(kind))] == installed().names(kind)
    sqlite, table = [line for line in lines if line.startswith("  sqlite ")]
    assert sqlite.endswith("(transactional)")
    assert table.endswith("in an SQLite file")
    postgres, table = [line for line in lines if line.startswith("  postgres ")]
    assert postgres.endswith("(transactional, extra postgres)")
    assert table.endswith("in PostgreSQL  (extra postgres)")


def test_the_list_as_json(cli: Cli) -> None:
    found = json.loads(cli("components", "--output", "json").out)
    assert {about["kind"] for about in found} == set(KINDS)
    for about in found:
        assert {"name", "summary", "extra", "delivery", "fields", "examples", "doc"} <= set(about)
    (mqtt,) = [a for a in found if a["kind"] == "source" and a["name"] == "mqtt"]
    assert mqtt["delivery"] == "journalled"
    fields = {field["name"]: field for field in mqtt["fields"]}
    assert fields["url"]["required"]
    assert fields["topics"]["type"] == "list of text"
    assert fields["password"]["type"] == "secret (from ${VAR})"
    assert fields["tls.ca"]["type"] == "text"
    assert fields["session_expiry"] | {"help": ""} == {
        "name": "session_expiry",
        "type": "duration",
        "default": "7d",
        "required": False,
        "help": "",
        "minimum": None,
        "maximum": None,
        "example": "",
    }


def test_one_kind(cli: Cli) -> None:
    found = json.loads(cli("components", "--kind", "codec", "--output", "json").out)
    assert [about["name"] for about in found] == installed().names("codec")


def test_a_name_of_two_kinds_shows_both_manuals(cli: Cli) -> None:
    out = cli("components", "mqtt").out
    assert "mqtt  (source)" in out
    assert "mqtt  (sink)" in out
    assert "mqtt  (sink)" not in cli("components", "mqtt", "--kind", "source").out


def test_a_manual(cli: Cli) -> None:
    out = cli("components", "window").out
    assert "  tumbling  (duration, at most 3650d)\n" in out
    assert "  by  (list of text)\n" in out
    assert "  aggregate  (mapping of names to aggregates)\n" in out
    assert "  from: stream.late\n" in out
    assert "``" not in out
    assert max(map(len, out.partition("Examples")[0].splitlines())) <= 96


def test_a_shorthand_is_told(cli: Cli) -> None:
    assert "A value that names no field is taken for path." in cli("components", "file").out


def test_what_must_be_installed_is_told(cli: Cli) -> None:
    assert 'Needs:  pip install "edgestream[postgres]"' in cli("components", "postgres").out


def test_an_unknown_name_is_a_usage_error_with_a_hint(cli: Cli) -> None:
    ran = cli("components", "windw")
    assert ran.code == 2
    assert "there is no component 'windw'; did you mean 'window'?" in ran.err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_shows_no_marks_of_its_formatting(cli: Cli, name: str) -> None:
    ran = cli(name, "--help")
    assert ran.code == 0
    assert "\b" not in ran.out
    assert "\\b" not in ran.out
    assert "Example:" in ran.out


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("wrker", "did you mean 'worker'?"),
        ("run", "did you mean 'worker'?"),
        ("frobnicate", "edgestream --help lists them"),
    ],
)
def test_a_command_that_is_not_there_says_which_was_meant(cli: Cli, word: str, hint: str) -> None:
    ran = cli(word)
    assert ran.code == EXIT_USAGE
    assert f"there is no command {word!r}; {hint}" in ran.err
