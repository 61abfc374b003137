"""The inputs kept under tests/data/corpus: one file each, named by what it holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "corpus"


def kept(target: str) -> list[bytes]:
    """All inputs of a target."""
    folder = FOLDER / target
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def keep(target: str, data: bytes, why: str = "") -> Path:
    """Write an input down."""
    folder = FOLDER / target
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{why}{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path
