"""Entry points of installed packages, read from their folders on ``sys.path``.

They are what `importlib.metadata` gives, which takes as long to be imported as all components of a
pipeline, and reads every package again for each group. It is asked about what is no folder: a
package inside a zip file.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDERS = (".dist-info", ".egg-info")


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A name in a group that stands for ``module:Class``, and the distribution that says so."""

    group: str
    name: str
    value: str
    distribution: str = ""

    def load(self) -> Any:
        """What it stands for; raises ImportError or AttributeError."""
        module, _, attribute = self.value.partition(" ")[0].partition(":")
        return getattr(importlib.import_module(module), attribute)


def entry_points(prefix: str) -> list[EntryPoint]:
    """All in groups that begin so; a distribution counts where ``sys.path`` has it first."""
    seen: set[str] = set()
    found: list[EntryPoint] = []
    for place in sys.path:
        folder = Path(place)
        for distribution, text in _folders(folder) if folder.is_dir() else _packed(folder):
            name = distribution.lower().replace("-", "_")
            if name not in seen:
                seen.add(name)
                found += _read(text, prefix, distribution) if prefix in text else ()
    return found


def _folders(folder: Path) -> Iterator[tuple[str, str]]:
    """The distributions in a folder, each with the text of its entry points."""
    try:
        with os.scandir(folder) as listed:
            names = sorted(entry.name for entry in listed if entry.name.endswith(FOLDERS))
    except PermissionError:
        return  # nothing can be imported from there either
    for name in names:
        written = folder / name / "entry_points.txt"
        distribution = name.rpartition(".")[0].partition("-")[0]
        yield distribution, written.read_text("utf-8") if written.is_file() else ""


def _packed(file: Path) -> Iterator[tuple[str, str]]:
    """The same of what is no folder."""
    if not file.is_file():
        return
    from importlib import metadata  # noqa: PLC0415 - see above

    for found in metadata.distributions(path=[str(file)]):
        yield found.name, found.read_text("entry_points.txt") or ""


def _read(text: str, prefix: str, distribution: str) -> Iterator[EntryPoint]:
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif group.startswith(prefix) and line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield EntryPoint(group, name.strip(), value.strip(), distribution)
