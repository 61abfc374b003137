"""Manual pages in Markdown: one a component, and an index of all."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from edgestream.component import Kind
from edgestream.docs.describe import Description, FieldDescription
from edgestream.registry import KINDS

_TITLES: dict[Kind, str] = {
    "source": "Sources",
    "operator": "Operators",
    "sink": "Sinks",
    "codec": "Codecs",
    "table": "Tables",
}
_ABOUT: dict[Kind, str] = {
    "source": "Where rows come from: `source:`, or one of `sources:`.",
    "operator": "What happens to rows: one of `steps:`.",
    "sink": "Where rows go: `sink:`, or one of `sinks:`.",
    "codec": "How payloads become rows and back: `decode:` of a source.",
    "table": "Where a `lookup` finds its rows: its `table:`.",
}


def page(about: Description) -> str:
    """The manual page of a component."""
    parts = [f"# {about.kind} `{about.name}`", prose(about.doc)]
    if about.extra:
        parts.append(f'Install it with `pip install "edgestream[{about.extra}]"`.')
    parts += ["## Examples", _examples(about.examples)]
    if about.fields:
        parts += ["## Fields", _shorthand(about), _fields(about.fields)]
    if about.columns:
        rows = [(f"`{name}`", prose(text)) for name, text in about.columns.items()]
        parts += ["## Columns it adds", table(("column", "what it holds"), rows)]
    if about.ports:
        listed = ", ".join(f"`from: stream.{port}`" for port in about.ports)
        parts += ["## Side outputs", f"Taken by another stream or a sink with {listed}."]
    return "\n\n".join(part for part in parts if part) + "\n"


def index(abouts: Iterable[Description]) -> str:
    """The page that lists all components."""
    known = list(abouts)
    parts = [
        "# Components",
        "Written by `python -m edgestream.docs` from the classes themselves; "
        "`edgestream components NAME` shows the same pages.",
    ]
    for kind in KINDS:
        rows = [
            (
                f"[`{about.name}`]({kind}s/{about.name}.md)",
                prose(about.summary),
                about.delivery.replace("_", " "),
                f"`{about.extra}`" if about.extra else "",
            )
            for about in known
            if about.kind == kind
        ]
        heads = ("name", "what it does", "delivery", "extra")
        parts += [f"## {_TITLES[kind]}", _ABOUT[kind], table(*_without_empty(heads, rows))]
    return "\n\n".join(parts) + "\n"


def prose(doc: str) -> str:
    """A docstring as Markdown: one kind of backticks, the paragraph on delivery marked."""
    text = doc.replace("``", "`")
    return text.replace("\n\nDelivery: ", "\n\n**Delivery:** ")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def shown(value: Any) -> str:
    """A default as it would be written in YAML."""
    if value is None or value in ("", [], {}):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def limits(field: FieldDescription) -> str:
    """The bounds of a field in words, or nothing."""
    low, high = field.minimum, field.maximum
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    if low is not None:
        return f"at least {_number(low)}"
    return "" if high is None else f"at most {_number(high)}"


def _number(bound: float | str) -> str:
    if isinstance(bound, str):
        return bound
    return f"{bound:,.0f}" if bound == int(bound) else f"{bound:g}"


def _examples(examples: Sequence[str]) -> str:
    body = "\n\n".join(textwrap.dedent(example).strip() for example in examples)
    return f"```yaml\n{body}\n```"


def _shorthand(about: Description) -> str:
    if not about.shorthand or len(about.fields) == 1:
        return ""
    return f"A value that names no field is taken for `{about.shorthand}`."


def _fields(fields: Sequence[FieldDescription]) -> str:
    rows = [(f"`{field.name}`", field.type, _default(field), _what(field)) for field in fields]
    return table(("field", "takes", "default", "what it does"), rows)


def _default(field: FieldDescription) -> str:
    if field.required:
        return "**needed**"
    text = shown(field.default)
    return f"`{text}`" if text else ""


def _what(field: FieldDescription) -> str:
    bounds = limits(field)
    example = f"Example: `{field.example}`." if field.example else ""
    bounded = f"{bounds[0].upper()}{bounds[1:]}." if bounds else ""
    return " ".join(part for part in (prose(field.help), bounded, example) if part)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _without_empty(
    heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The table without the columns in which nothing stands."""
    kept = [column for column in range(len(heads)) if any(row[column] for row in rows)]
    return [heads[column] for column in kept], [[row[column] for column in kept] for row in rows]
