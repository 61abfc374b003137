"""What is written about edgestream is true of it: derived pages, examples, help."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import edgestream as es
from edgestream import errors
from edgestream.cli import COMMANDS
from edgestream.cli.load import load_spec
from edgestream.component import Component, Kind
from edgestream.config.fields import facts, options
from edgestream.docs.markdown import prose
from edgestream.docs.pages import own, stale
from edgestream.expr import Expr
from edgestream.read import make, read_text
from edgestream.registry import KINDS, installed
from tests.source_tree import ROOT
from tests.whole_files import blocks, read, variables, whole

DOCS = ROOT / "docs"
COMPONENTS = [
    pytest.param(kind, own(installed()).load(kind, name), id=f"{kind}-{name}")
    for kind in KINDS
    for name in own(installed()).names(kind)
]
EXAMPLES = [
    pytest.param(*found.values[:2], example, id=f"{found.id}-{number}")
    for found in COMPONENTS
    for number, example in enumerate(found.values[1].about.examples)  # type: ignore[union-attr]
]


def test_derived_pages_are_in_step_with_the_code() -> None:
    assert sorted(stale(DOCS)) == [], "run: .venv/bin/python -m edgestream.docs"


def test_entry_points_are_those_of_the_project_file() -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for kind in KINDS:
        written = project["entry-points"][f"edgestream.{kind}s"]
        known = {name: entry.value for name, entry in own(installed()).entries[kind].items()}
        assert known == written, "run: .venv/bin/pip install -e ."


@pytest.mark.parametrize(("kind", "cls"), COMPONENTS)
def test_every_component_is_documented(kind: Kind, cls: type[Component]) -> None:
    doc = inspect.cleandoc(cls.__doc__ or "")
    first = doc.partition("\n\n")[0]
    assert first.endswith("."), "a docstring begins with sentences"
    assert cls.about.examples
    if kind in ("source", "sink"):
        assert "\n\nDelivery: " in doc, "a source or sink says what it promises"
    for name, field in options(cls).items():
        text = facts(field).help
        assert text.endswith((".", "?")), f"{name}: help is a sentence"
        assert "\n" not in text, f"{name}: help is one line"


@pytest.mark.parametrize(("kind", "cls", "example"), EXAMPLES)
def test_every_example_makes_the_component(
    kind: Kind, cls: type[Component], example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in variables(example):
        monkeypatch.setenv(name, "1" * 8)
    shown = read(example)
    if kind == "codec":
        assert list(shown) == ["decode"]
        shown = {shown["decode"]: None} if isinstance(shown["decode"], str) else shown["decode"]
    if kind == "table":
        assert list(shown) == ["table"]
        shown = {"file": shown["table"]} if isinstance(shown["table"], str) else shown["table"]
    assert list(shown) == [cls.about.name]
    assert isinstance(make(cls, shown[cls.about.name]), cls)


@pytest.mark.parametrize(("kind", "cls"), COMPONENTS)
def test_a_component_is_found_under_its_own_name(kind: Kind, cls: type[Component]) -> None:
    assert installed().load(kind, cls.about.name) is cls


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_shows_an_example(name: str) -> None:
    command = importlib.import_module(f"edgestream.cli.{name}").command
    assert command.name == name
    assert f"Example:  edgestream {name}" in inspect.cleandoc(command.callback.__doc__ or "")


def test_every_error_is_on_the_page_of_errors() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    missing = [
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception) and f"`{name}`" not in page
    ]
    assert missing == []
    codes = [str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")]
    assert [code for code in codes if f"| {code} |" not in page] == []


PIECES = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]
    for number, text in enumerate(blocks(page, "yaml"))
    if {"name", "source", "steps", "sink"} & set(yaml.safe_load(text) or {})
]


@pytest.mark.parametrize("text", PIECES)
def test_pipelines_on_pages_can_be_read(text: str, tmp_path: Path) -> None:
    piece: dict[str, Any] = yaml.safe_load(text)
    if "name" in piece:
        read_text(text.encode(), "page")  # as it stands, not as PyYAML writes it
    file = tmp_path / "piece.yaml"
    if "steps" in piece and "source" not in piece:
        piece = {"source": {"file": "x.ndjson"}, **piece}
    file.write_text(whole(piece))
    load_spec(file, ())


def _results() -> list[Any]:
    page = DOCS / "expressions.md"
    lines = [line for block in blocks(page, "text") for line in block.splitlines() if "→" in line]
    return [pytest.param(*map(str.strip, line.split("→")), id=line.split("→")[0]) for line in lines]


@pytest.mark.parametrize(("expression", "result"), _results())
def test_expressions_on_the_page_give_what_it_says(expression: str, result: str) -> None:
    text = (DOCS / "expressions.md").read_text(encoding="utf-8")
    row = json.loads(text.partition("With the row `")[2].partition("`")[0])
    (given,) = es.to_python(Expr(expression).evaluate(es.from_rows([row])))
    assert json.dumps(given) == result


def test_the_delivery_paragraph_is_marked() -> None:
    assert prose("It ``is``.\n\nDelivery: kept.") == "It `is`.\n\n**Delivery:** kept."
