"""The tests in the example pipelines, in the templates and on the page about tests pass."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from edgestream.cli.load import load_spec
from edgestream.read import read_text
from edgestream.scenario import Scenario
from edgestream.spec import PipelineSpec
from edgestream.testing.scenarios import run_scenario
from edgestream.testing.scenarios.show import lines
from tests.source_tree import ROOT
from tests.whole_files import blocks

FILES = sorted((ROOT / "pipelines").glob("*.yaml"))
PAGE = [
    text for text in blocks(ROOT / "docs" / "testing.md", "yaml") if "name" in yaml.safe_load(text)
]


def _tests() -> list[Any]:
    found: list[tuple[str, PipelineSpec]] = [(path.stem, load_spec(path, ())) for path in FILES]
    found += [(f"page-{index}", read_text(t.encode(), "page")) for index, t in enumerate(PAGE)]
    return [
        pytest.param(spec, test, id=f"{name}: {test.name}")
        for name, spec in found
        for test in spec.tests
    ]


@pytest.mark.parametrize(("spec", "scenario"), _tests())
def test_it_goes_as_expected(spec: PipelineSpec, scenario: Scenario) -> None:
    outcome = run_scenario(spec, scenario)
    assert outcome.ok, "\n".join(lines(outcome))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_example_shows_bad_or_late_input_and_silence(path: Path) -> None:
    tests = load_spec(path, ()).tests
    assert len(tests) >= 3
    assert any(test.wait for test in tests), "one shows what silence does"
    assert any(test.dead_letters.count or " late" in test.name for test in tests)


def test_the_page_has_whole_pipelines() -> None:
    assert PAGE
    assert all(read_text(text.encode(), "page").tests for text in PAGE)


def test_the_python_on_the_page_runs() -> None:
    (code,) = blocks(ROOT / "docs" / "testing.md", "python")
    pipeline = read_text(PAGE[0].encode(), "page")
    exec(code, {"weather": SimpleNamespace(spec=lambda: pipeline)})


def test_the_demo_runs_the_example() -> None:
    example = (ROOT / "pipelines" / "weather.yaml").read_bytes()
    assert (ROOT / "edgestream" / "cli" / "templates" / "weather.yaml").read_bytes() == example
