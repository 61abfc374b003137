"""What an engine at a broker is asked to do, and what the measuring asks it for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Task = Literal["window", "filter"]
#: device, start in ms (None where windows go by arrival), count, mean, least, greatest
Row = tuple[str, int | None, int, float, float, float]
#: device, ts, temperature in °F
Reading = tuple[str, int, float]
OUT = "out"


@dataclass(frozen=True, slots=True)
class Job:
    """One run: count, mean, min and max of tumbling windows by device into SQLite, or the filter.

    The filter passes readings above 20 °C on to the topic `OUT`, in °F. ``control``
    is a free port for whatever the engine serves. ``prompt`` asks for answers
    soon, of engines that otherwise gather them for longer.
    """

    task: Task
    folder: Path
    port: int
    count: int
    control: int
    qos: int = 0
    durable: bool = False
    durability: str = field(default="", kw_only=True)
    size: int = 10_000
    delay: int = 2_000
    prompt: bool = False

    @property
    def database(self) -> Path:
        """Where the rows of windows go."""
        return self.folder / "out.db"

    def select(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database; none while there is no such table."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            try:
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []


@dataclass(frozen=True, slots=True)
class Engine:
    """How one engine is started and read.

    ``command`` writes the configuration and raises `Missing` where the engine cannot be had;
    ``configure`` is asked again and again once it runs, until it is told the rest (True);
    ``rows`` are those of windows so far, ``counted`` a query for the sum of their counts and
    ``last_end`` one for the end of the newest, in seconds; ``reading`` takes an answer of the
    filter apart. One that only ``reads`` keeps nothing, and ends when it has read all. Windows go
    by arrival unless they go by the ``event_time``.
    """

    name: str
    command: Callable[[Job], Sequence[str]]
    configure: Callable[[Job], bool] = lambda _: True
    rows: Callable[[Job], list[Row]] | None = None
    counted: str = ""
    last_end: str = ""
    reading: Callable[[Mapping[str, Any]], Reading] | None = None
    reads: bool = False
    event_time: bool = False
    note: str = ""


def flat_reading(found: Mapping[str, Any]) -> Reading:
    """The answer of an engine that writes the three fields side by side."""
    return found["device"], int(found["ts"]), float(found["temperature"])
