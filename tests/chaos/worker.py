"""The worker with something done to it: the runtime itself knows nothing of chaos.

Run as ``python -m tests.chaos.worker '{"slow": 20, "die": "commit.before", "at": 3}' worker …``:

- ``slow``: milliseconds of sleep before each commit of the state file (a fast disk hides bugs)
- ``mark``: a file that says when the first message was acknowledged, in monotonic ns
- ``die``, ``at``: SIGKILL at the ``at``-th passage of a named point (`tests.chaos.points`)
- ``freeze``, ``at``: SIGSTOP there
- ``wall``: seconds by which its wall clock is wrong, in turn, each for a second
- ``mutant``: a deliberate mistake in the code of delivery (`tests.chaos.mutants`)
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgestream.cli import main, own_process
from edgestream.clock import SECOND, SystemClock

if TYPE_CHECKING:
    from edgestream.store.thread import StoreThread
    from edgestream_connectors.mqtt.client import Client

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is done to the worker."""

    slow: float = 0
    mark: str = ""
    die: str = ""
    freeze: str = ""
    at: int = 1
    wall: tuple[float, ...] = ()
    mutant: str = ""

    def command(self) -> list[str]:
        """What starts a worker so, followed by ``worker …``."""
        return [sys.executable, "-m", "tests.chaos.worker", json.dumps(asdict(self))]


def environment() -> dict[str, str]:
    """The environment in which ``tests`` can be imported from any folder.

    Bytecode is kept, as of an installed package: without it a start takes 0.15 s more.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "connectors")))}


def slow_down(milliseconds: float) -> None:
    """Sleep before each commit of the state file."""
    from edgestream.store.thread import StoreThread  # noqa: PLC0415 - after `own_process`

    commit = StoreThread._commit

    def delayed(self: StoreThread, connection: sqlite3.Connection, group: list[Any]) -> None:
        time.sleep(milliseconds / 1000)
        commit(self, connection, group)

    StoreThread._commit = delayed  # type: ignore[method-assign]


def mark_first(path: Path) -> None:
    """Write down when the first messages were acknowledged."""
    from edgestream_connectors.mqtt.client import Client  # noqa: PLC0415 - after `own_process`

    release = Client.release

    @functools.wraps(release)
    def marked(self: Client, size: int) -> None:
        Client.release = release  # type: ignore[method-assign]
        release(self, size)
        new = path.with_suffix(".new")
        new.write_text(str(time.monotonic_ns()))
        new.replace(path)

    Client.release = marked  # type: ignore[method-assign]


def jump(offsets: Sequence[float]) -> None:
    """Let the wall clock jump every second; the last offset stays."""
    began = time.monotonic()

    def wall(_: SystemClock) -> int:
        turn = min(int(time.monotonic() - began), len(offsets) - 1)
        return time.time_ns() + int(offsets[turn] * SECOND)

    SystemClock.wall = wall  # type: ignore[method-assign]


def prepare(settings: Settings) -> None:
    """Do to this process what the settings say."""
    if settings.mutant:
        from tests.chaos.mutants import MUTANTS  # noqa: PLC0415 - a plain worker starts quickly

        MUTANTS[settings.mutant].apply()
    if settings.slow:
        slow_down(settings.slow)
    if settings.mark:
        mark_first(Path(settings.mark))
    if settings.wall:
        jump(settings.wall)
    if settings.die or settings.freeze:
        from tests.chaos.points import POINTS  # noqa: PLC0415

        number = signal.SIGKILL if settings.die else signal.SIGSTOP
        POINTS[settings.die or settings.freeze].arm(settings.at, number)


if __name__ == "__main__":
    own_process()
    prepare(Settings(**json.loads(sys.argv[1])))
    main(sys.argv[2:])
