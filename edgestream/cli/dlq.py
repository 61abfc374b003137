"""``edgestream dlq``: look at the dead letters of a pipeline, send them again, or drop them.

Looking goes beside a worker, by a connection that cannot write. What writes takes the same lock as
a worker, and is refused while one runs: SQLite before 3.51.3 can damage a file in WAL mode that two
connections write.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from edgestream.batch import from_micros
from edgestream.cli.load import allowed_modules, load_specs
from edgestream.cli.logs import set_up_logging
from edgestream.cli.options import modules_option, state_option
from edgestream.cli.worker import default_folder
from edgestream.clock import SystemClock
from edgestream.config.values import nanos
from edgestream.errors import EXIT_BUG, EXIT_OK, StoreLocked, printable
from edgestream.runtime.resending import send_again
from edgestream.spec import PipelineSpec
from edgestream.store.letters import (
    STAGES,
    DeadLetter,
    Held,
    Wanted,
    find,
    held_in,
    readable,
    row_of,
)
from edgestream.store.opening import looking
from edgestream.store.store import Store

T = TypeVar("T")

_HINTS: Mapping[str, str] = {
    "decode": "The codec could not read it. Correct decode: in the pipeline file, or the sender; "
    "then send it again, or drop it.",
    "time": "It has no usable event time. Correct time: in the pipeline file, or the sender's "
    "clock; then send it again, or drop it.",
    "operator": "The step failed on this row. Correct the step; then send the row again from there "
    "on, or drop it.",
    "write": "The sink refused this row. Correct the table or the steps before it; then send the "
    "row to the sink again, or drop it.",
    "store": "The state file gave back other bytes than were written, so nobody can say which of "
    "its messages or rows are right; these are the bytes. Look after the disk; then drop it.",
}


@click.group("dlq")
def command() -> None:
    """Dead letters: payloads and rows that could not be processed.

    ls and show work beside a worker; replay and drop while none runs the pipeline.

    Example:  edgestream dlq ls pipelines/weather.yaml
    """


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    """The pipeline file, where its state is, and what its steps may import."""
    for decorate in (
        modules_option(),
        state_option(),
        click.argument("path", type=click.Path(path_type=Path, exists=True)),
    ):
        function = decorate(function)
    return function


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that choose dead letters."""
    for decorate in (
        click.option("--newer-than", metavar="AGE", help="Given up at most so long ago: 90m, 2d."),
        click.option("--older-than", metavar="AGE", help="Given up at least so long ago."),
        click.option("--reason", metavar="TEXT", help="Those whose reason holds this text."),
        click.option("--stage", type=click.Choice(STAGES), help="Where it went wrong."),
        click.option("--step", metavar="ID", help="Of this source, step or sink."),
        click.option("--id", "ids", multiple=True, type=int, help="This one; may be given again."),
    ):
        function = decorate(function)
    return function


@command.command("ls")
@_common
@_filters
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="The most.")
@click.option("--output", default="text", type=click.Choice(["text", "json"]), show_default=True)
def list_(path: Path, limit: int, output: str, **given: Any) -> None:
    """List the newest dead letters of the pipeline in PATH.

    Example:  edgestream dlq ls weather.yaml --stage decode --newer-than 1d
    """
    spec, folder, wanted = _chosen(path, **given)
    letters, held = _seen(folder, spec, wanted)
    shown = letters[-limit:]
    if output == "json":
        click.echo(json.dumps([as_json(letter) for letter in shown], indent=2))
        return
    for letter in shown:
        click.echo(_line(letter))
    more = f", the newest {limit} shown" if len(letters) > limit else ""
    click.echo(f"{len(letters)} dead letters{more}; {held.rows} in all, {held.bytes:,} bytes")
    if held.dropped:
        click.echo(f"{held.dropped} older ones had no room and were dropped")


@command.command("show")
@_common
@click.argument("number", type=int)
@click.option("--output", default="text", type=click.Choice(["text", "json"]), show_default=True)
def show(path: Path, number: int, output: str, **given: Any) -> None:
    """Show dead letter NUMBER of the pipeline in PATH, and what can be done about it.

    Example:  edgestream dlq show weather.yaml 17
    """
    spec, folder, wanted = _chosen(path, ids=(number,), **given)
    letters, _ = _seen(folder, spec, wanted)
    if not letters:
        words = f"there is no dead letter {number}; see: edgestream dlq ls {path}"
        raise click.ClickException(words)
    letter = letters[0]
    if output == "json":
        click.echo(json.dumps(as_json(letter), indent=2))
        return
    for name, value in as_json(letter).items():
        if name not in ("payload", "hex"):
            text = value if isinstance(value, str) else json.dumps(value)
            click.echo(f"{name + ':':<10} {printable(str(text))}")
    click.echo("")
    click.echo(_content(letter))
    click.echo(f"\n{_HINTS[letter.stage]}")
    if letter.form != "block":
        click.echo(f"  edgestream dlq replay {path} --id {number}")
    click.echo(f"  edgestream dlq drop {path} --id {number}")


@command.command("replay")
@_common
@_filters
def replay(path: Path, modules: tuple[str, ...], **given: Any) -> int:
    """Send dead letters of the pipeline in PATH through it again, all or those chosen.

    Payloads go through the codec and the steps as if they arrived again; rows go on from the step
    or to the sink that refused them. What fails again comes back with one attempt more.

    Example:  edgestream dlq replay weather.yaml --step source --reason "not JSON"
    """
    set_up_logging("warning")
    spec, folder, wanted = _chosen(path, modules=modules, **given)
    if not _path_of(folder, spec).exists():
        click.echo("0 sent")
        return EXIT_OK
    allowed = allowed_modules(modules)
    done = asyncio.run(_told(send_again(spec, folder, SystemClock(), wanted, allowed), spec))
    click.echo(f"{done.sent} sent, {done.back} came back")
    for number, why in done.left.items():
        click.echo(f"{number} stays: {why}", err=True)
    return EXIT_BUG if done.left or done.back else EXIT_OK


@command.command("drop")
@_common
@_filters
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(path: Path, yes: bool, **given: Any) -> None:
    """Drop dead letters of the pipeline in PATH for good, all or those chosen.

    Example:  edgestream dlq drop weather.yaml --older-than 30d --yes
    """
    spec, folder, wanted = _chosen(path, **given)
    letters = _with(folder, spec, lambda store: store.dead_letters(wanted))
    if not letters:
        click.echo("0 dropped")
        return
    if not yes:
        click.confirm(f"Drop {len(letters)} dead letters of {spec.name} for good?", abort=True)
    ids = Wanted(ids=tuple(letter.id for letter in letters))
    click.echo(f"{_with(folder, spec, lambda store: store.drop_letters(ids))} dropped")


def as_json(letter: DeadLetter) -> dict[str, Any]:
    """A letter as JSON values: ``payload`` as text (or ``hex``), a row as JSON text."""
    content = {"payload": readable(letter)}
    if not _is_row(letter) and not _is_text(letter.data):
        content = {"hex": letter.data.hex()}
    return {
        "id": letter.id,
        "at": _time(letter.at),
        "received": _time(letter.received) if letter.received else None,
        "step": letter.step,
        "stage": letter.stage,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "position": json.loads(letter.position),
        "beside": json.loads(letter.beside),
        "bytes": len(letter.data),
        **content,
    }


def _content(letter: DeadLetter) -> str:
    """The payload as text, or as a hex dump where it is none."""
    if _is_row(letter) or _is_text(letter.data):
        return "\n".join(printable(line) for line in readable(letter).splitlines())
    return "\n".join(
        f"{begin:08x}  {part.hex(' '):<47}  {_ascii(part)}"
        for begin in range(0, len(letter.data), 16)
        for part in [letter.data[begin : begin + 16]]
    )


def _ascii(part: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)


def _is_row(letter: DeadLetter) -> bool:
    """Whether it can be shown as JSON: a row that is whole, or one that was kept as text."""
    return letter.form == "text" or (letter.form == "row" and row_of(letter) is not None)


def _is_text(data: bytes) -> bool:
    try:
        return all(sign.isprintable() or sign in "\t\r\n" for sign in data.decode())
    except UnicodeDecodeError:
        return False


def _line(letter: DeadLetter) -> str:
    what = f"{letter.id:>6}  {_time(letter.at)[:19]}  {letter.step:<12} {letter.stage:<8}"
    size = f"{letter.attempts:>2}x {len(letter.data):>6} B"
    return f"{what} {size}  {printable(letter.reason[:100])}"


def _time(moment: int) -> str:
    return from_micros(moment // 1_000).isoformat(timespec="milliseconds")


def _chosen(
    path: Path, state_dir: Path | None = None, modules: tuple[str, ...] = (), **given: Any
) -> tuple[PipelineSpec, Path, Wanted]:
    """The pipeline, the folder of its state, and the letters that options choose."""
    specs = load_specs([path], allowed_modules(modules), tests=False)
    if len(specs) != 1:
        raise click.UsageError(f"{path} holds {len(specs)} pipelines; name the file of one")
    now = SystemClock().wall()
    wanted = Wanted(
        ids=tuple(given.get("ids", ())),
        step=given.get("step"),
        stage=given.get("stage"),
        reason=given.get("reason"),
        after=_ago(now, given.get("newer_than"), "--newer-than"),
        before=_ago(now, given.get("older_than"), "--older-than"),
    )
    return specs[0], state_dir or default_folder(), wanted


def _ago(now: int, age: str | None, option: str) -> int | None:
    if age is None:
        return None
    try:
        return now - int(nanos(age))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _path_of(folder: Path, spec: PipelineSpec) -> Path:
    return folder / f"{spec.name}.db"


def _existing(folder: Path, spec: PipelineSpec) -> Path:
    path = _path_of(folder, spec)
    if not path.exists():
        raise click.ClickException(
            f"there is no state file {path}: the pipeline has not run here, or with another "
            "--state-dir"
        )
    return path


def _seen(folder: Path, spec: PipelineSpec, wanted: Wanted) -> tuple[list[DeadLetter], Held]:
    """The letters, and how many there are in all; a worker may run."""
    with looking(_existing(folder, spec)) as connection:
        return find(connection, wanted), held_in(connection)


def _with(folder: Path, spec: PipelineSpec, work: Callable[[Store], Awaitable[T]]) -> T:
    """What ``work`` gives on the state file; raises `StoreLocked` while a worker runs."""
    _existing(folder, spec)

    async def run() -> T:
        async with _open(folder, spec) as store:
            return await work(store)

    return asyncio.run(_told(run(), spec))


@asynccontextmanager
async def _open(folder: Path, spec: PipelineSpec) -> Any:
    store = await Store.open(folder, spec.name)
    try:
        yield store
    finally:
        await store.close()


async def _told(work: Awaitable[T], spec: PipelineSpec) -> T:
    try:
        return await work
    except StoreLocked as error:
        raise StoreLocked(
            f"a worker runs {spec.name}, and only it may write to its state file; stop the worker "
            "first, and start it again afterwards (dlq ls and dlq show work beside it; letters are "
            f"mostly sent again after the file was corrected, which needs a restart): {error}"
        ) from error
