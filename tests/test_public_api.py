"""`edgestream.__all__` is the public API: sorted, complete, importable, documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import edgestream
from edgestream.docs.pages import own
from edgestream.registry import KINDS, installed
from tests.source_tree import ROOT

SOURCE = ast.parse((ROOT / "edgestream" / "__init__.py").read_text(encoding="utf-8"))


def _order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions: the order that ruff keeps."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def _imported(body: list[ast.stmt]) -> dict[str, str]:
    return {
        alias.asname or alias.name: node.module or ""
        for node in body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }


def _type_checking() -> list[ast.stmt]:
    (block,) = [
        node
        for node in SOURCE.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return block.body


def test_it_is_sorted_and_has_nothing_twice() -> None:
    assert edgestream.__all__ == sorted(set(edgestream.__all__), key=_order)


def test_it_is_complete() -> None:
    own_imports = {
        name
        for name, module in _imported(SOURCE.body).items()
        if module.startswith("edgestream") and not name.startswith("_")
    }
    wanted = own_imports | set(edgestream._LATER) | {"__version__"}
    assert sorted(edgestream.__all__) == sorted(wanted)


def test_what_is_imported_later_is_what_type_checkers_see() -> None:
    assert _imported(_type_checking()) == edgestream._LATER


@pytest.mark.parametrize("name", edgestream.__all__)
def test_every_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(edgestream, name)
    assert not inspect.ismodule(value), f"the module edgestream.{name} took the name's place"
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value), f"{name} has no docstring"


def test_no_module_is_called_like_a_name_that_is_imported_later() -> None:
    """Importing such a module would put it in the place of the name."""
    names = {module.name for module in pkgutil.iter_modules(edgestream.__path__)}
    assert sorted(names & set(edgestream._LATER)) == []


def test_importing_every_module_leaves_the_names_alone() -> None:
    code = """
import importlib, pkgutil, edgestream
before = {name: getattr(edgestream, name) for name in edgestream.__all__}
for module in pkgutil.walk_packages(edgestream.__path__, "edgestream."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print([name for name, value in before.items() if getattr(edgestream, name) is not value])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("kind", KINDS)
def test_every_component_can_be_imported_from_the_top(kind: str) -> None:
    registry = own(installed())
    classes = [registry.load(kind, name) for name in registry.names(kind)]  # type: ignore[arg-type]
    missing = [cls.__name__ for cls in classes if cls.__name__ not in edgestream.__all__]
    assert missing == []
    assert all(getattr(edgestream, cls.__name__) is cls for cls in classes)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Mqttt'"):
        importlib.import_module("edgestream").Mqttt  # noqa: B018
