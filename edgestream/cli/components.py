"""``edgestream components``: what there is to build pipelines of, and the manual of each."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import cast

import click

from edgestream.component import Kind
from edgestream.docs.describe import Description, FieldDescription
from edgestream.docs.markdown import limits, shown
from edgestream.docs.pages import descriptions
from edgestream.errors import did_you_mean
from edgestream.registry import KINDS, installed

WIDTH = 96
"""The widest line of a manual."""


@click.command("components")
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(KINDS), help="Only components of this kind.")
@click.option("--output", default="text", type=click.Choice(["text", "json"]), show_default=True)
def command(name: str | None, kind: str | None, output: str) -> None:
    """List sources, operators, sinks, codecs and tables, or show the manual of NAME.

    A name may belong to several kinds, such as a source and a sink: all are shown.

    Example:  edgestream components mqtt --kind source
    """
    kinds = KINDS if kind is None else (cast("Kind", kind),)
    abouts = descriptions(installed(), kinds)
    if name is not None:
        abouts = _named(name, abouts)
    if output == "json":
        click.echo(json.dumps([about.as_json() for about in abouts], indent=2, ensure_ascii=False))
    elif name is None:
        _list(abouts, kinds)
    else:
        for number, about in enumerate(abouts):
            click.echo("\n" * (number > 0) + manual(about))


def _named(name: str, abouts: Sequence[Description]) -> list[Description]:
    found = [about for about in abouts if about.name == name]
    if not found:
        hint = did_you_mean(name, {about.name for about in abouts})
        text = f"there is no component {name!r}; {hint or 'edgestream components lists all'}"
        raise click.UsageError(text)
    return found


def _list(abouts: Sequence[Description], kinds: Iterable[Kind]) -> None:
    width = max(len(about.name) for about in abouts)
    for kind in kinds:
        click.secho(f"{kind}s", bold=True)
        for about in abouts:
            if about.kind == kind:
                notes = [about.delivery.replace("_", " "), about.extra and f"extra {about.extra}"]
                told = ", ".join(note for note in notes if note)
                line = f"  {about.name:<{width}}  {about.summary.replace('``', '')}"
                click.echo(line + (f"  ({told})" if told else ""))
    click.echo("edgestream components NAME shows the manual of one.")


def manual(about: Description) -> str:
    """The manual page of a component for a terminal."""
    parts = [click.style(f"{about.name}  ({about.kind})", bold=True), _prose(about.doc)]
    if about.extra:
        parts.append(f'Needs:  pip install "edgestream[{about.extra}]"')
    if about.fields:
        parts.append(_section("Fields", (_field(field) for field in about.fields)))
    if about.shorthand and len(about.fields) > 1:
        parts.append(f"A value that names no field is taken for {about.shorthand}.")
    if about.columns:
        columns = (f"{name}: {text}" for name, text in about.columns.items())
        parts.append(_section("Columns it adds", map(_indented, columns)))
    if about.ports:
        ports = (f"from: stream.{port}" for port in about.ports)
        parts.append(_section("Side outputs", map(_indented, ports)))
    examples = (textwrap.indent(example.strip(), "  ") for example in about.examples)
    parts.append(_section("Examples", examples))
    return "\n\n".join(parts)


def _prose(doc: str) -> str:
    paragraphs = doc.replace("``", "").split("\n\n")
    return "\n\n".join(textwrap.fill(" ".join(part.split()), WIDTH) for part in paragraphs)


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([click.style(title, bold=True), *lines])


def _field(field: FieldDescription) -> str:
    default = "needed" if field.required else shown(field.default)
    notes = [field.type, limits(field), default if field.required else default and f"= {default}"]
    head = f"  {field.name}  ({', '.join(note for note in notes if note)})"
    example = f"  Example: {field.example}" if field.example else ""
    return f"{head}\n{_indented(field.help + example, 6)}"


def _indented(text: str, by: int = 2) -> str:
    space = " " * by
    return textwrap.fill(
        text, WIDTH, initial_indent=space, subsequent_indent=space + "  " * (by < 6)
    )
