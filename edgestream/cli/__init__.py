"""The command line: one module a command; a command's module is imported when it is run."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from edgestream._version import __version__
from edgestream.errors import EXIT_USAGE, ConfigError, EdgestreamError, printable

COMMANDS = {
    "check": "Find every problem of pipeline files without running them.",
    "components": "List sources, operators, sinks and codecs, or show one.",
    "demo": "See it work: a broker, simulated sensors, windows, SQLite and a live page.",
    "dlq": "Look at dead letters, send them again, or drop them.",
    "doctor": "Look at this machine: packages, clock, disk, state folder, brokers.",
    "new": "Write a pipeline file to start from.",
    "plan": "Show a pipeline's graph and what each source-sink pair guarantees.",
    "salvage": "Save what can be read of a damaged state file into a fresh one.",
    "savepoint": "Keep, list, carry and bring back the state of a pipeline.",
    "schema": "Print the JSON Schema of pipeline files, for editors.",
    "simulate": "Publish the readings of simulated devices over MQTT.",
    "test": "Play the tests that stand in pipeline files; no server is needed.",
    "worker": "Run pipelines until stopped, or until bounded sources end.",
}

_ELSEWHERE = {"run": "worker", "start": "worker", "validate": "check"}
"""What others call commands of these."""


class _Commands(click.Group):
    """Commands by name, each imported only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgestream.cli.{cmd_name}")
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
        found = module.command
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for ``--help``, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for one that is not there."""
        from edgestream.errors import did_you_mean  # noqa: PLC0415

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = did_you_mean(_ELSEWHERE.get(args[0], args[0]), COMMANDS)
            ctx.fail(f"there is no command {args[0]!r}; {near or 'edgestream --help lists them'}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgestream")
def cli() -> None:
    """Async event-stream processing for the edge.

    The first minute:  edgestream demo
    """


def own_process() -> None:
    """Set up a process that is there for the command line alone, before anything is imported.

    Modules make no garbage: the collector stays off until a command is there, and never looks at
    its modules. BLAS, which nothing here uses, would start a thread for every processor, and each
    turns in a circle for a while.
    """
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main(argv: Sequence[str] | None = None) -> Any:
    """Run the command line; the exit code says what happened (see the README).

    Without ``argv`` the words are those of the process, which is set up by `own_process`.
    """
    if argv is None:
        own_process()
    try:
        result = cli.main(args=argv, prog_name="edgestream", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(printable(str(problem)), err=True)
        sys.exit(error.exit_code)
    except EdgestreamError as error:
        click.echo(printable(f"edgestream: {error}"), err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)
