"""``edgestream savepoint``: the state of a pipeline under a name, to go back to or to carry."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from edgestream.cli.load import allowed_modules, load_specs
from edgestream.cli.options import modules_option, state_option
from edgestream.cli.worker import default_folder, rename_aside
from edgestream.clock import SECOND
from edgestream.errors import StoreError
from edgestream.store import savepoint
from edgestream.store.lock import Lock
from edgestream.store.opening import reader

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@click.group("savepoint")
def command() -> None:
    """Keep, list, carry and bring back the state of a pipeline.

    A savepoint holds the newest checkpoint, input that it has not processed, and rows that wait
    for sinks. Dead letters stay in the state file.

    Example:  edgestream savepoint create weather.yaml before-upgrade
    """


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.argument("pipeline", type=click.Path(path_type=Path)),
        state_option("Where state files live."),
        modules_option(),
    )
    for option in options:
        function = option(function)
    return function


class _Place:
    """The state folder and savepoints of one pipeline file."""

    def __init__(self, pipeline: Path, state_dir: Path | None, modules: tuple[str, ...]) -> None:
        [spec] = load_specs([pipeline], allowed_modules(modules), tests=False)
        self.name = spec.name
        self.folder = state_dir or default_folder()
        self.state = self.folder / f"{spec.name}.db"
        self.savepoints = self.folder / "savepoints"

    def path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            hint = "small letters, digits, . - and _; at most 63"
            raise click.BadParameter(f"{name!r} is not a usable name: {hint}", param_hint="NAME")
        return self.savepoints / f"{self.name}.{name}.savepoint"

    def existing(self, name: str) -> Path:
        path = self.path(name)
        if not path.exists():
            raise click.BadParameter(f"there is no savepoint {name!r}", param_hint="NAME")
        return path

    def free(self, name: str) -> Path:
        path = self.path(name)
        if path.exists():
            raise click.BadParameter(f"there is a savepoint {name!r}", param_hint="NAME")
        self.savepoints.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path


@command.command("create")
@_common
@click.argument("name", required=False)
def create(pipeline: Path, name: str | None, **where: Any) -> None:
    """Keep the state as it is now under NAME; the worker may run."""
    place = _Place(pipeline, **where)
    name = name or datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = place.free(name)
    if not place.state.exists():
        raise savepoint.unusable(f"there is no state file {place.state}")
    try:
        with contextlib.closing(reader(place.state)) as connection:
            resume = savepoint.write(connection, path)
    except sqlite3.Error as error:
        raise StoreError(f"cannot read {place.state}: {error}") from error
    click.echo(f"{name}: {path} ({path.stat().st_size:,} bytes, checkpoint {resume.generation})")


@command.command("ls")
@_common
@click.option("--output", default="text", type=click.Choice(["text", "json"]), show_default=True)
def ls(pipeline: Path, output: str, **where: Any) -> None:
    """List the savepoints of a pipeline."""
    place = _Place(pipeline, **where)
    prefix = f"{place.name}."
    found = [
        {
            "name": path.name[len(prefix) : -len(".savepoint")],
            "bytes": path.stat().st_size,
            "made": datetime.fromtimestamp(path.stat().st_mtime_ns // SECOND, UTC).isoformat(),
        }
        for path in sorted(place.savepoints.glob(f"{prefix}*.savepoint"))
    ]
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    for one in found:
        click.echo(f"{one['made']}  {one['bytes']:>12,}  {one['name']}")


@command.command("export")
@_common
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def export(pipeline: Path, name: str, file: Path, **where: Any) -> None:
    """Copy a savepoint to FILE, for another machine."""
    savepoint.copy(_Place(pipeline, **where).existing(name), file)


@command.command("import")
@_common
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_(pipeline: Path, name: str, file: Path, **where: Any) -> None:
    """Check a savepoint from elsewhere and keep it under NAME."""
    place = _Place(pipeline, **where)
    path = place.free(name)
    with tempfile.TemporaryDirectory(dir=place.folder) as trial:
        savepoint.restore(file, Path(trial) / "trial.db")
    savepoint.copy(file, path)


@command.command("restore")
@_common
@click.argument("name")
def restore(pipeline: Path, name: str, **where: Any) -> None:
    """Make a savepoint the state of the pipeline; the present state is moved aside.

    Input and rows since then are not in it: a source that can replay is read again from there, and
    sinks that append may get rows twice.
    """
    place = _Place(pipeline, **where)
    path = place.existing(name)
    made = place.folder / f"{place.name}.restored"
    with contextlib.closing(_Held(place.folder / f"{place.name}.lock")):
        made.unlink(missing_ok=True)
        resume = savepoint.restore(path, made)
        rename_aside(place.folder, place.name)
        made.rename(place.state)
    click.echo(f"{name}: restored checkpoint {resume.generation} to {place.state}")


class _Held:
    """The lock of a state file, as something that is closed."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock(path)

    def close(self) -> None:
        self._lock.release()
