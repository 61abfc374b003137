"""The files of ``docs/`` that are derived from the code, and the passages of those that are not.

Only what this distribution brings is written, so that the files do not depend on what else is
installed. A derived passage of a written page stands between two comments: see `PASSAGES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from edgestream.aggregate.functions import FUNCTIONS as AGGREGATES
from edgestream.component import Kind
from edgestream.docs.describe import Description, describe
from edgestream.docs.markdown import index, page, prose, table
from edgestream.docs.schema import pipeline_schema
from edgestream.expr import FUNCTIONS
from edgestream.registry import KINDS, Registry, installed

DISTRIBUTION = "edgestream"


def own(registry: Registry) -> Registry:
    """The components that come with edgestream itself."""
    return Registry(
        {
            kind: {
                name: entry
                for name, entry in registry.entries[kind].items()
                if entry.distribution == DISTRIBUTION
            }
            for kind in KINDS
        }
    )


def descriptions(registry: Registry, kinds: tuple[Kind, ...] = KINDS) -> list[Description]:
    """All components of a registry, by kind and name."""
    return [
        describe(kind, registry.load(kind, name)) for kind in kinds for name in registry.names(kind)
    ]


def derived(registry: Registry) -> dict[str, str]:
    """The text of every derived file by its path under ``docs/``."""
    abouts = descriptions(registry)
    schema = json.dumps(pipeline_schema(registry), indent=1, ensure_ascii=False)
    return {
        "components/README.md": index(abouts),
        **{f"components/{about.kind}s/{about.name}.md": page(about) for about in abouts},
        "pipeline.schema.json": f"{schema}\n",
    }


def function_table() -> str:
    """The functions of expressions."""
    rows = [(f"`{function.usage}`", prose(function.help)) for function in FUNCTIONS.values()]
    return table(("function", "what it gives"), rows)


def aggregate_table() -> str:
    """The functions of windows, with what they cost and how far off they may be."""
    rows = [
        (
            f"`{function.usage}`",
            prose(function.help),
            f"{function.state_bytes:,}",
            function.error or "exact",
        )
        for function in AGGREGATES.values()
    ]
    return table(("aggregate", "what it gives", "bytes", "error"), rows)


PASSAGES: Mapping[str, tuple[tuple[str, Callable[[], str]], ...]] = {
    "expressions.md": (("functions", function_table), ("aggregates", aggregate_table)),
}
"""Written pages, each with the names of its derived passages."""


def with_passages(name: str, text: str) -> str:
    """A written page with its derived passages renewed."""
    for passage, make in PASSAGES[name]:
        begin, end = f"<!-- begin {passage} -->", f"<!-- end {passage} -->"
        before, opened, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if opened and closed:
            text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


def stale(folder: Path) -> dict[str, str | None]:
    """The files of a folder that are not as the code says, with their text; None is no file."""
    wanted: dict[str, str | None] = dict(derived(own(installed())))
    for name in PASSAGES:
        if (folder / name).exists():
            wanted[name] = with_passages(name, (folder / name).read_text(encoding="utf-8"))
    for path in (folder / "components").rglob("*.md"):
        wanted.setdefault(path.relative_to(folder).as_posix(), None)
    return {name: text for name, text in wanted.items() if _read(folder / name) != text}


def refresh(folder: Path) -> list[str]:
    """Write what is stale; gives the names of the files that changed."""
    changes = stale(folder)
    for name, text in changes.items():
        path = folder / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(changes)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
