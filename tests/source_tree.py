"""The source of edgestream and its connectors as syntax trees, read once."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = {"edgestream": ROOT, "edgestream_connectors": ROOT / "connectors"}


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    tree: ast.Module
    lines: int

    @property
    def unit(self) -> str:
        """What it belongs to directly under the top: ``config`` for ``edgestream.config.yaml``."""
        return [*self.name.split("."), "__init__"][1]

    def imports(self) -> Iterator[tuple[int, str]]:
        """Everything it imports at run time, with the line; relative imports do not occur."""
        for node in _without_type_checking(self.tree):
            if isinstance(node, ast.ImportFrom):
                assert node.module, f"{self.path}:{node.lineno}: a relative import"
                yield node.lineno, node.module
            elif isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def classes(self) -> Iterator[ast.ClassDef]:
        yield from (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))


def _without_type_checking(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _without_type_checking(child)


@functools.cache
def modules(package: str) -> tuple[Module, ...]:
    folder = FOLDERS[package]
    found = []
    for path in sorted((folder / package).rglob("*.py")):
        if "templates" in path.parts:
            continue  # files that are copied for users
        text = path.read_text(encoding="utf-8")
        name = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        found.append(Module(name, path, ast.parse(text), len(text.splitlines())))
    return tuple(found)
