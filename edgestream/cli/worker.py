"""``edgestream worker``: run pipelines."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Sequence
from pathlib import Path

import click

from edgestream.cli.load import allowed_modules
from edgestream.cli.logs import set_up_logging
from edgestream.cli.options import modules_option, state_option
from edgestream.cli.progress import Progress
from edgestream.cli.watch import Files, follow
from edgestream.config.values import Secret
from edgestream.errors import ConfigError
from edgestream.runtime.recovery import CHOICES, Choice
from edgestream.runtime.worker import Settings, Worker
from edgestream.spec import PipelineSpec
from edgestream.store.lock import Lock
from edgestream.store.store import state_dir


@click.command("worker")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--http",
    "address",
    default="127.0.0.1:0",
    show_default=True,
    metavar="HOST:PORT",
    help="Where /livez /readyz /metrics and the page are served; 'off' for nowhere.",
)
@state_option("Where state files live.  [default: /var/lib/edgestream, else yours]")
@modules_option("A package whose functions 'use:' may name (may be given again).")
@click.option(
    "--grace",
    default=25.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a graceful stop may take.",
)
@click.option("--fresh", is_flag=True, help="Forget earlier state: it is moved aside.")
@click.option(
    "--recover",
    type=click.Choice(list(CHOICES)),
    help="What to start from where a checkpoint is damaged; otherwise without effect.",
)
@click.option(
    "--accept-loss",
    "accept",
    multiple=True,
    metavar="NAME",
    help="Saved state that may be given up, by its name in 'edgestream plan' (again for more).",
)
@click.option(
    "--watch", is_flag=True, help="Take changed, new and removed files, and stay when all ended."
)
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
)
@click.option(
    "--log-format", default="text", show_default=True, type=click.Choice(["text", "json"])
)
def command(
    paths: tuple[Path, ...],
    address: str,
    state_dir: Path | None,
    modules: tuple[str, ...],
    grace: float,
    fresh: bool,
    recover: Choice | None,
    accept: tuple[str, ...],
    watch: bool,
    log_level: str,
    log_format: str,
) -> int:
    """Run the pipelines in PATHS (files or folders) until stopped, or until they end.

    SIGTERM or Ctrl-C: write a checkpoint and leave inside the grace time; again: leave at once.
    SIGHUP: read the files again; what changed goes on from a checkpoint, a bad file is not taken.
    Exit codes: 0 clean, 1 bug, 2 usage, 74 I/O, 75 locked or port in use, 77 permission, 78
    configuration.

    Example:  edgestream worker pipelines/weather.yaml --http 127.0.0.1:8080
    """
    set_up_logging(log_level, log_format)
    leave_no_core()
    allowed = allowed_modules(modules)
    files = Files(paths, allowed)
    specs, problems = files.read()
    if problems:
        raise ConfigError(problems)
    folder = state_dir or default_folder()
    if fresh:
        move_aside(folder, [spec.name for spec in specs])
    host, port = parse_address(address)
    token = token_from_environment()
    settings = Settings(folder, host, port, token, grace, allowed, recover, accept)
    return asyncio.run(run_worker(specs, settings, files, watch=watch))


def leave_no_core() -> None:
    """Let a crash of the interpreter write no image of its memory, which holds the secrets."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


async def run_worker(
    specs: Sequence[PipelineSpec], settings: Settings, files: Files, *, watch: bool
) -> int:
    """Run with a progress bar for bounded sources on a terminal; SIGHUP reads the files again."""
    worker = Worker(specs, settings)
    worker.stays, worker.reloads = watch, True

    def started() -> None:
        if worker.url:
            click.echo(f"edgestream: page, probes and metrics on {worker.url}", err=True)

    async with Progress(worker):
        following = asyncio.create_task(follow(worker, files, watch=watch), name="follow files")
        try:
            return await worker.run(started)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def default_folder() -> Path:
    """Where state files live when nothing is said."""
    return state_dir()


def move_aside(folder: Path, names: Sequence[str]) -> None:
    """Rename pipelines' state files so that they start afresh; nothing is deleted.

    Raises `StoreLocked`, with nothing renamed, if a worker uses one of them.
    """
    kept = [name for name in names if (folder / f"{name}.db").exists()]
    with contextlib.ExitStack() as locks:
        for name in kept:
            locks.callback(Lock(folder / f"{name}.lock").release)
        for name in kept:
            rename_aside(folder, name)


def rename_aside(folder: Path, name: str) -> Path:
    """Rename the state file of a pipeline whose lock is held; nothing is deleted. Its new name."""
    aside = _unused(folder, f"{name}.old")
    for suffix in (".db", ".db-wal", ".db-shm"):
        path = folder / f"{name}{suffix}"
        if path.exists():
            path.rename(folder / f"{aside}{suffix}")
    return folder / f"{aside}.db"


def _unused(folder: Path, name: str) -> str:
    """``name``, or the first of ``name.2``, ``name.3``, … that no state file has."""
    found, number = name, 1
    while (folder / f"{found}.db").exists():
        number += 1
        found = f"{name}.{number}"
    return found


def parse_address(text: str) -> tuple[str, int | None]:
    """``host:port``, or no port for ``off``; raises a usage error."""
    if text == "off":
        return "127.0.0.1", None
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter(
            "expected HOST:PORT such as 127.0.0.1:8080, or off", param_hint="--http"
        )
    return host.strip("[]"), int(port)


def token_from_environment() -> Secret | None:
    """The token of the endpoint, from ``EDGESTREAM_TOKEN``."""
    import os  # noqa: PLC0415

    return Secret.env("EDGESTREAM_TOKEN") if os.environ.get("EDGESTREAM_TOKEN") else None
