"""Pieces of pipeline files, as pages and examples show them, made whole."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from edgestream.component import Kind
from edgestream.config.yaml import load

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def blocks(page: Path, language: str) -> list[str]:
    """The code of a language in a Markdown page."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def variables(text: str) -> list[str]:
    """The environment variables without which a text cannot be read."""
    return _VARIABLE.findall(text)


def read(text: str) -> Any:
    """A piece of a pipeline file by the rules of such files: to PyYAML the word ``on`` is true."""
    return json.loads(json.dumps(load(text.encode(), "piece").data))


def whole(piece: Mapping[str, Any]) -> str:
    """A pipeline of which a page shows only a source, steps or a sink."""
    if "name" in piece:
        return yaml.safe_dump(dict(piece))
    around = {"name": "example", "source": "generate", "sink": "stdout"}
    return yaml.safe_dump({**around, **piece}, sort_keys=False)


def around_example(kind: Kind, example: str) -> str:
    """A pipeline that uses what an example of a component shows."""
    shown = read(example)
    # rows of any shape, so that columns an example names may be there
    source = {"file": {"path": "x.ndjson", "format": "ndjson"}}
    place: dict[Kind, dict[str, Any]] = {
        "source": {"source": shown},
        "operator": {"source": source, "steps": [shown]},
        "sink": {"source": source, "sink": shown},
        "codec": {"source": {**source, **shown}},
        "table": {"source": source, "steps": [{"lookup": {**shown, "on": "device"}}]},
    }
    return whole(place[kind])
