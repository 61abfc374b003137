"""The example pipelines: each passes check, and is the same as its twin in Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgestream.cli.load import load_spec, load_specs
from edgestream.spec import PipelineSpec
from tests import twins
from tests.source_tree import ROOT

FILES = sorted((ROOT / "pipelines").glob("*.yaml"))
_VARIABLE = re.compile(r"\$\{([A-Z_]+)")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in FILES:
        for name in _VARIABLE.findall(path.read_text(encoding="utf-8")):
            monkeypatch.delenv(name, raising=False)


def test_names_differ() -> None:
    assert len(load_specs([ROOT / "pipelines"], ())) == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_passes_check_and_says_what_it_is_for(path: Path) -> None:
    spec = load_spec(path, ())
    assert spec.name == path.stem.replace("_", "-")
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_its_twin_in_python_is_equal(path: Path) -> None:
    twin = getattr(twins, path.stem, None)
    assert twin is not None, f"write {path.stem}() in tests/twins.py"
    made, read = twin().spec(), load_spec(path, ())
    assert isinstance(made, PipelineSpec)
    assert made.sources == read.sources
    assert made.streams == read.streams
    assert made.sinks == read.sinks
    assert made == read


def test_no_twin_is_without_a_file() -> None:
    names = {
        name
        for name, value in vars(twins).items()
        if callable(value) and getattr(value, "__module__", "") == twins.__name__
    }
    assert names == {path.stem for path in FILES}
