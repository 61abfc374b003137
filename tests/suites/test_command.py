"""The command runs, checks and says so."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.suites import __main__ as command
from benchmarks.suites.case import Missing, Rows
from benchmarks.suites.theodolite.suite import THEODOLITE

ARGUMENTS = ["theodolite", "--rows", "400", "--queries", "uc2"]


def test_a_right_answer_is_ok_and_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    assert command.main([*ARGUMENTS, "--save", "--keep", str(tmp_path)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("uc2"))
    assert line.endswith("ok")
    (path,) = (tmp_path / "results").glob("suites-*.json")
    (result,) = json.loads(path.read_text())["results"]
    assert (result["query"], result["rows_in"], result["verdict"]) == ("uc2", 400, "ok")
    assert (tmp_path / "uc2.json").exists()
    assert "| theodolite | uc2 |" in (tmp_path / "results" / "README.md").read_text()


def test_a_wrong_answer_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(names: Sequence[str], folder: Path) -> Mapping[str, Rows]:
        return {name: rows[1:] for name, rows in THEODOLITE.answers(names, folder).items()}

    suite = dataclasses.replace(THEODOLITE, answers=wrong)
    monkeypatch.setattr(command, "SUITES", {"theodolite": suite})
    assert command.main(ARGUMENTS) == 1
    shown = capsys.readouterr().out
    assert "DIFFERENT" in shown
    assert "expected nothing" in shown


def test_without_what_recomputes_it_runs_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(names: Sequence[str], folder: Path) -> Mapping[str, Rows]:
        raise Missing("no database")

    suite = dataclasses.replace(THEODOLITE, answers=missing)
    monkeypatch.setattr(command, "SUITES", {"theodolite": suite})
    assert command.main(ARGUMENTS) == 0
    assert "not checked: no database" in capsys.readouterr().out
