"""The table of attacks in docs/security.md names every attack, and only tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = re.findall(r"^\| (X\d+) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.M)
TESTS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_attack_has_a_row_with_tests() -> None:
    assert [name for name, *_ in ROWS] == [f"X{number}" for number in range(1, 21)]
    for name, _, _, tests in ROWS:
        assert "::" in tests, name


@pytest.mark.parametrize(("file", "name"), sorted(set(TESTS)))
def test_a_named_test_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_every_file_of_attacks_is_named() -> None:
    for path in Path(__file__).parent.glob("test_x*.py"):
        assert f"tests/security/{path.name}::" in PAGE, path.name
