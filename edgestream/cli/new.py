"""``edgestream new``: a commented pipeline to start from; nothing is ever overwritten."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from edgestream.errors import EXIT_IO, EdgestreamError
from edgestream.spec import NAME

PLACEHOLDER = "my-pipeline"
"""The name of the pipeline in every template, and of the files it reads and writes."""


@dataclass(frozen=True, slots=True)
class Template:
    """A pipeline file, the sample data it reads, and what to do next with it."""

    file: str
    about: str
    next: tuple[str, ...]
    sample: str = ""

    @property
    def suffix(self) -> str:
        """The suffix of the pipeline file."""
        return Path(self.file).suffix


_CHECK = "edgestream check {file}"
_WORKER = "edgestream worker {file}"
TEMPLATES = {
    "mqtt-sqlite": Template(
        "mqtt-sqlite.yaml",
        "JSON over MQTT, means of each device into a SQLite file.",
        (_CHECK, "edgestream plan {file}", _WORKER + " --http 127.0.0.1:8080"),
    ),
    "file-stdout": Template(
        "file-stdout.yaml",
        "A file of JSON lines, means of each device printed; runs at once.",
        (_CHECK, _WORKER),
        sample="file-stdout.ndjson",
    ),
    "lora-postgres": Template(
        "lora-postgres.yaml",
        "LoRa nodes over a serial modem, means of each node into PostgreSQL.",
        ('pip install "edgestream[postgres]"', _CHECK, "edgestream doctor", _WORKER),
    ),
    "python": Template(
        "python.py", "The same in Python, with a function of your own.", ("python {file}",)
    ),
}


@click.command("new")
@click.argument("name", default=PLACEHOLDER)
@click.option(
    "--template",
    "chosen",
    default="mqtt-sqlite",
    show_default=True,
    type=click.Choice(list(TEMPLATES)),
    help="What to start from.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write.  [default: NAME.yaml, or NAME.py]",
)
def command(name: str, chosen: str, output: Path | None) -> None:
    """Write a commented pipeline called NAME to start from.

    A file that is there already is left alone, and the exit code is 74.

    Example:  edgestream new weather --template file-stdout
    """
    if not NAME.fullmatch(name):
        text = "use a small letter, then small letters, digits, - and _; at most 63"
        raise click.BadParameter(text, param_hint="NAME")
    template = TEMPLATES[chosen]
    target = output or Path(f"{name}{template.suffix}")
    write(target, _text(template.file, name))
    click.echo(f"wrote {target}")
    if template.sample:
        sample = Path(f"{name}.ndjson")  # the pipeline reads it where it is run
        if not sample.exists():
            write(sample, _text(template.sample, name))
            click.echo(f"wrote {sample}")
    click.echo("next:")
    for line in template.next:
        click.echo("  " + line.format(file=shlex.quote(str(target))))


def write(path: Path, text: str) -> None:
    """Write a new file; an error where there is one, or no folder for it."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _Refused(f"{path} is there already; choose another NAME or --output") from None
    except OSError as error:
        raise _Refused(f"{path} cannot be written: {error.strerror}") from error


class _Refused(EdgestreamError):
    """A file that cannot be written."""

    exit_code = EXIT_IO


def _text(file: str, name: str) -> str:
    source = resources.files("edgestream") / "cli" / "templates" / file
    return source.read_text(encoding="utf-8").replace(PLACEHOLDER, name)
