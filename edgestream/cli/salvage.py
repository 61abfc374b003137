"""``edgestream salvage``: what can still be read of a damaged state file, in a fresh one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import click

from edgestream.cli.load import allowed_modules, load_specs
from edgestream.cli.options import modules_option, state_option
from edgestream.cli.worker import default_folder, rename_aside
from edgestream.store import salvage
from edgestream.store.lock import Lock
from edgestream.store.salvage import Report, Saved

WHAT = {
    "meta": "marks of the file itself",
    "journal": "blocks of input",
    "checkpoints": "checkpoints",
    "states": "states of steps, in all checkpoints",
    "heads": "numbers of the last rows for sinks",
    "outbox": "batches on their way to sinks",
    "spool": "batches that wait for sinks",
    "spools": "sums of what waits",
    "event_ids": "blocks of known event ids",
    "dead_letters": "dead letters",
}
_ALWAYS = ("journal", "checkpoints", "outbox", "spool", "dead_letters")


@click.command("salvage")
@click.argument("pipeline", type=click.Path(path_type=Path, exists=True))
@state_option()
@modules_option()
@click.option("--output", default="text", type=click.Choice(["text", "json"]), show_default=True)
def command(pipeline: Path, state_dir: Path | None, modules: tuple[str, ...], output: str) -> None:
    """Save what can be read of the damaged state file of PIPELINE into a fresh one.

    Input, checkpoints, rows for sinks and dead letters are read page by page, and what cannot be
    read is said. The old file stays beside the fresh one, unchanged. The worker is stopped.

    Example:  edgestream salvage weather.yaml
    """
    specs = load_specs([pipeline], allowed_modules(modules), tests=False)
    if len(specs) != 1:
        raise click.UsageError(f"{pipeline} holds {len(specs)} pipelines; name the file of one")
    name, folder = specs[0].name, state_dir or default_folder()
    state, made = folder / f"{name}.db", folder / f"{name}.salvaged"
    if not state.exists():
        raise click.ClickException(f"there is no state file {state}")
    with contextlib.ExitStack() as held:
        held.callback(Lock(folder / f"{name}.lock").release)
        if salvage.sound(state):
            raise click.ClickException(f"{state} is whole; there is nothing to salvage")
        made.unlink(missing_ok=True)
        report = salvage.salvage(state, made)
        old = rename_aside(folder, name)
        made.rename(state)
    if output == "json":
        said = dataclasses.asdict(report) | {"state": str(state), "old": str(old)}
        click.echo(json.dumps(said, indent=2))
        return
    for line in _lines(report):
        click.echo(line)
    click.echo(f"{state} is fresh; the old file is {old}")


def _lines(report: Report) -> Iterator[str]:
    for saved in report.tables:
        if saved.lost or saved.table in _ALWAYS:
            yield f"{saved.rows:>9,}  {WHAT[saved.table]}"
        if saved.lost:
            yield f"{'':9}  lost: {saved.lost} unreadable page{'s' * (saved.lost > 1)}{_of(saved)}"
    for first, last in _between(report):
        already = last is not None and last <= report.processed
        fate = "it was processed already" if already else "lost, unless it is sent again"
        end = "on" if last is None else f"to {last}"
        yield f"input from block {first} {end}: {fate}"
    if report.transactions:
        yield f"lost: {report.transactions} transactions behind the damage of the log"
    for what in report.damaged:
        yield f"not usable: {what}"
    if not report.same:
        yield "a new identity: sinks that append may get rows twice that they have already"
    if report.damaged and report.checkpoint is None:
        yield "no checkpoint is left: start with --recover log-start or --recover now"
    elif report.damaged:
        yield f"a start goes on from checkpoint {report.checkpoint}, by the rules for damaged ones"


def _between(report: Report) -> list[tuple[int, int | None]]:
    [journal] = [saved for saved in report.tables if saved.table == "journal"]
    return journal.between


def _of(saved: Saved) -> str:
    """How many rows may have been there, where that is known."""
    if saved.table not in ("outbox", "spool", "dead_letters"):
        return ""
    if any(last is None for _, last in saved.between):
        return ", of how many is not known"
    most = sum(last - first + 1 for first, last in saved.between if last is not None)
    return f", of {most:,} at most"
