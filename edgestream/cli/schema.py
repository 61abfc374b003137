"""``edgestream schema``: the JSON Schema of pipeline files."""

from __future__ import annotations

import json

import click

from edgestream.docs.schema import pipeline_schema
from edgestream.registry import installed


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of pipeline files with all that is installed here.

    Editors that use yaml-language-server then complete keys and show what each means. Begin a
    pipeline file with the line

        # yaml-language-server: $schema=pipeline.schema.json

    Example:  edgestream schema > pipeline.schema.json
    """
    click.echo(json.dumps(pipeline_schema(installed()), indent=2, ensure_ascii=False))
