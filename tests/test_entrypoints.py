"""The reader of entry points agrees with `importlib.metadata`, and does without it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from edgestream.entrypoints import EntryPoint, entry_points

TEXT = """
; a comment
# another
[console_scripts]
pearl = pearl:main

[edgestream.sinks]
pearl = pearl.sinks:Pearl [fast]
  shell=pearl.sinks:Shell
"""
PEARL = [
    EntryPoint("edgestream.sinks", "pearl", "pearl.sinks:Pearl [fast]", "pearl"),
    EntryPoint("edgestream.sinks", "shell", "pearl.sinks:Shell", "pearl"),
]


def only_path(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(folder) for folder in folders])


def install(folder: Path, text: str = TEXT, name: str = "pearl-1.0.dist-info") -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "entry_points.txt").write_text(text)
    return folder


def test_it_finds_what_the_standard_library_finds() -> None:
    everything = [each for found in metadata.distributions() for each in found.entry_points]
    wanted = {(each.group, each.name, each.value) for each in everything}
    assert {(each.group, each.name, each.value) for each in entry_points("")} == wanted
    assert len(wanted) > 40


def test_only_groups_that_begin_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only_path(monkeypatch, install(tmp_path))
    assert entry_points("edgestream.") == PEARL
    assert entry_points("edgestream.sources") == []


def test_a_distribution_counts_where_the_path_has_it_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = install(tmp_path / "a", "[edgestream.sinks]\nb = c:D\n", "Pearl-2.0.dist-info")
    only_path(monkeypatch, newer, install(tmp_path / "b"), tmp_path / "nowhere")
    assert entry_points("edgestream.") == [EntryPoint("edgestream.sinks", "b", "c:D", "Pearl")]


def test_a_package_in_a_zip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "all.pyz"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("pearl-1.0.dist-info/METADATA", "Name: pearl\nVersion: 1.0\n")
        packed.writestr("pearl-1.0.dist-info/entry_points.txt", TEXT)
    only_path(monkeypatch, path)
    assert entry_points("edgestream.") == PEARL


def test_it_is_loaded_without_what_its_extras_are_called() -> None:
    entry = EntryPoint("edgestream.sinks", "a", "edgestream.entrypoints:EntryPoint [fast]")
    assert entry.load() is EntryPoint
    with pytest.raises(AttributeError):
        EntryPoint("edgestream.sinks", "a", "edgestream.entrypoints:Nothing").load()


def test_the_standard_library_is_not_asked_about_folders() -> None:
    code = "import sys; from edgestream.registry import installed; installed()\n"
    code += "print('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
