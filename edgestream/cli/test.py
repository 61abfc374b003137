"""``edgestream test``: the tests that stand in pipeline files, played under their own clock."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from edgestream.cli.load import allowed_modules, load_spec, pipeline_files
from edgestream.cli.options import modules_option
from edgestream.errors import EXIT_BUG, EXIT_IO, ConfigError, EdgestreamError, Problem
from edgestream.spec import PipelineSpec
from edgestream.testing.scenarios import run_scenario
from edgestream.testing.scenarios.show import Report, as_json, as_junit, lines


@click.command("test")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-k",
    "--match",
    "word",
    default="",
    metavar="TEXT",
    help="Only tests whose pipeline or name holds TEXT.",
)
@modules_option()
@click.option(
    "--output", default="text", type=click.Choice(["text", "json", "junit"]), show_default=True
)
@click.option(
    "--file",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write JSON or JUnit there, and the text here.",
)
def command(
    paths: tuple[Path, ...], word: str, modules: tuple[str, ...], output: str, target: Path | None
) -> int:
    """Play the tests of the pipelines in PATHS (files or folders); no server is needed.

    Exit codes: 0 all is as expected, 1 a test failed, 78 a file has mistakes.

    Example:  edgestream test pipelines/ --output junit --file report.xml
    """
    if target is not None and output == "text":
        raise click.UsageError("--file needs --output json or --output junit")
    allowed = allowed_modules(modules)
    specs = _load(paths, allowed)
    shown = _Shown(speaks=output == "text" or target is not None)
    reports: list[Report] = []
    for path, spec in specs:
        reports += shown.play(path, spec, word, allowed)
    if word and not reports:
        raise click.UsageError(f"no test has {word!r} in its name or that of its pipeline")
    shown.summary(reports)
    if output != "text":
        made = [as_json(report) for report in reports]
        text = as_junit(reports) if output == "junit" else json.dumps(made, indent=2) + "\n"
        _write(text, target)
    return 0 if all(report.outcome.ok for report in reports) else EXIT_BUG


def _load(paths: Sequence[Path], allowed: Sequence[str]) -> list[tuple[Path, PipelineSpec]]:
    """The pipelines with their files; raises `ConfigError` with every problem."""
    files, problems = pipeline_files(paths)
    specs: list[tuple[Path, PipelineSpec]] = []
    found: list[Problem] = list(problems)
    for path in files:
        try:
            specs.append((path, load_spec(path, allowed)))
        except ConfigError as error:
            found += error.problems
    if found:
        raise ConfigError(found)
    return specs


class _Shown:
    """What is printed while tests are played: a line a test, and what went wrong."""

    def __init__(self, *, speaks: bool) -> None:
        self._speaks = speaks
        self._draws = speaks and sys.stderr.isatty()

    def play(
        self, path: Path, spec: PipelineSpec, word: str, allowed: Sequence[str]
    ) -> list[Report]:
        """Play the tests of one pipeline."""
        reports: list[Report] = []
        chosen = [test for test in spec.tests if word.lower() in f"{spec.name} {test.name}".lower()]
        if self._speaks and (chosen or not (word or spec.tests)):
            click.secho(str(path) + ("" if chosen else ": no tests"), bold=bool(chosen))
        for scenario in chosen:
            self._draw(f"  …       {scenario.name}")
            reports.append(Report(str(path), spec.name, run_scenario(spec, scenario, allowed)))
            self._draw("")
            self._show(reports[-1])
        return reports

    def summary(self, reports: Sequence[Report]) -> None:
        """How many there were."""
        if not self._speaks:
            return
        failed = sum(not report.outcome.ok for report in reports)
        seconds = sum(report.outcome.seconds for report in reports)
        told = f"{len(reports)} test{'s' * (len(reports) != 1)} in {seconds:.2f} s"
        click.secho(
            f"{told}: {failed} failed" if failed else f"{told}: all as expected",
            fg="red" if failed else "green",
        )

    def _show(self, report: Report) -> None:
        if not self._speaks:
            return
        outcome = report.outcome
        verdict = click.style("ok    ", fg="green")
        if not outcome.ok:
            verdict = click.style("FAILED", fg="red", bold=True)
        click.echo(f"  {verdict}  {report.name}  ({outcome.seconds * 1000:.0f} ms)")
        for line in lines(outcome):
            click.echo(f"            {line}")

    def _draw(self, line: str) -> None:
        """Say on a terminal which test is being played."""
        if self._draws:
            sys.stderr.write(f"\r\x1b[2K{line}")
            sys.stderr.flush()


class _Unwritable(EdgestreamError):
    """A report that cannot be written."""

    exit_code = EXIT_IO


def _write(text: str, target: Path | None) -> None:
    if target is None:
        click.echo(text, nl=False)
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _Unwritable(f"{target} cannot be written: {error.strerror}") from error
