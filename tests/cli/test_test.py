from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.run import Cli

PIPELINE = """
name: weather
source:
  mqtt: {url: "mqtt://nowhere", topics: ["sensors/{device}/telemetry"]}
  time: {field: ts, unit: ms}
steps:
  - window: {tumbling: 10s, by: device, aggregate: {n: count()}}
sink: stdout
"""
GOOD = """
tests:
  - name: it counts
    given: [{rows: [{device: a, ts: +1s}]}]
    end: true
    expect: [{device: a, n: 1}]
"""
BAD = """
  - name: it counts twice
    given: [{rows: [{device: a, ts: +1s}]}]
    end: true
    expect: [{device: a, n: 2}]
"""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weather.yaml"
    path.write_text(PIPELINE + GOOD)
    return path


def test_all_as_expected(cli: Cli, file: Path) -> None:
    ran = cli("test", file)
    assert ran.code == 0
    first, second, last = ran.out.splitlines()
    assert first == str(file)
    assert second.startswith("  ok      it counts  (")
    assert last.startswith("1 test in ")
    assert last.endswith(": all as expected")


def test_a_failure_shows_the_rows(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE + GOOD + BAD)
    ran = cli("test", file.parent)
    assert ran.code == 1
    assert "  FAILED  it counts twice  (" in ran.out
    assert ran.out.splitlines()[4:7] == [
        "                        device  n",
        "              expected  a       2",
        "              got       a       ≠ 1",
    ]
    assert ran.out.splitlines()[-1].endswith(": 1 failed")


def test_choosing_by_name(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE + GOOD + BAD)
    assert cli("test", file, "-k", "TWICE").out.count("it counts") == 1
    assert cli("test", file, "-k", "weather").out.count("it counts") == 2
    nothing = cli("test", file, "-k", "thrice")
    assert nothing.code == 2
    assert "no test has 'thrice' in its name" in nothing.err


def test_a_file_without_tests_is_named(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE)
    ran = cli("test", file)
    assert ran.code == 0
    assert f"{file}: no tests" in ran.out


def test_json(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE + GOOD + BAD)
    ran = cli("test", file, "--output", "json")
    assert ran.code == 1
    good, bad = json.loads(ran.out)
    assert good["ok"] is True
    assert good["differences"] == []
    assert (bad["pipeline"], bad["test"], bad["ok"]) == ("weather", "it counts twice", False)
    (difference,) = bad["differences"]
    assert difference["place"] == "sink"
    (pair,) = difference["differ"]
    assert pair["columns"] == ["n"]
    assert pair["got"]["window_start"] == "2026-01-01T00:00:00Z"


def test_junit_into_a_file(cli: Cli, file: Path) -> None:
    file.write_text(PIPELINE + GOOD + BAD)
    report = file.parent / "report.xml"
    ran = cli("test", file, "--output", "junit", "--file", report)
    assert ran.code == 1
    assert "FAILED  it counts twice" in ran.out
    (suite,) = ElementTree.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    good, bad = suite
    assert list(good) == []
    (failure,) = bad
    assert failure.get("message") == "sink: 1 differs"
    assert "≠ 1" in (failure.text or "")


def test_reports_that_cannot_be_written(cli: Cli, file: Path) -> None:
    away = cli("test", file, "--output", "json", "--file", file.parent / "no" / "report.json")
    assert away.code == 74
    assert "cannot be written" in away.err
    assert cli("test", file, "--file", file.parent / "report").code == 2


@pytest.mark.parametrize("command", ["test", "check"])
def test_mistakes_are_told_with_their_place(cli: Cli, file: Path, command: str) -> None:
    file.write_text(PIPELINE + GOOD.replace("n: 1", "m: 1"))
    ran = cli(command, file)
    assert ran.code == 78
    line = 1 + file.read_text().split("m: 1")[0].count("\n")
    assert ran.err.startswith(f"{file}:{line}:26: tests.0.expect.0.m: no row here has a column 'm'")


def test_what_is_not_yaml_is_told_beside_other_files(cli: Cli, file: Path) -> None:
    (file.parent / "broken.yaml").write_text("name: [")
    ran = cli("test", file.parent)
    assert ran.code == 78
    assert "broken.yaml:1:" in ran.err
    assert ran.out == ""
