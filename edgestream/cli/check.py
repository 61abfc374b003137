"""``edgestream check``: every problem of pipeline files, without running them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgestream.cli.load import allowed_modules, load_all
from edgestream.cli.options import modules_option
from edgestream.errors import EXIT_CONFIG, Problem, printable


@click.command("check")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@modules_option()
@click.option("--output", default="text", type=click.Choice(["text", "json"]), show_default=True)
def command(paths: tuple[Path, ...], modules: tuple[str, ...], output: str) -> int:
    """Find every problem of the pipelines in PATHS (files or folders).

    Each problem is a line: file:line:column: path: what; what to do. Exit code 78 if there are any.

    Example:  edgestream check pipelines/
    """
    specs, problems = load_all(paths, allowed_modules(modules))
    if output == "json":
        click.echo(json.dumps([describe(problem) for problem in problems], indent=2))
    else:
        for problem in problems:
            click.echo(printable(str(problem)), err=True)
        if not problems:
            click.echo(f"{len(specs)} pipeline{'s' * (len(specs) != 1)} without problems")
    return EXIT_CONFIG if problems else 0


def describe(problem: Problem) -> dict[str, object]:
    """A problem as JSON values."""
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": ".".join(map(str, problem.path)),
        "message": problem.message,
        "hint": problem.hint,
    }
