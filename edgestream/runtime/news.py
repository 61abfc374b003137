"""Telling of dead letters in the log: at once, then at most once a minute, and at the end.

Damaged blocks of the state file are told of at once, each time: they say what is lost.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from pathlib import Path

from edgestream.clock import SECOND, Clock
from edgestream.runtime.task import Task

PAUSE = 60 * SECOND
LONGEST = 200
MOST_NUMBERS = 20
"""So many numbers of damaged blocks are named."""
LOST = {
    "journal": "%d messages that were accepted are lost",
    "outbox": "%d rows do not reach the sink",
    "spool": "%d rows do not reach the sink",
}
PROCESSED = "%d messages are processed already, and not recognised should they come again"


class DeadLetterNews:
    """How many dead letters a pipeline has made, and what was wrong with the last."""

    def __init__(self, task: Task, path: Path, clock: Clock, log: logging.Logger) -> None:
        """Watch ``task``, whose dead letters are kept in the state file ``path``."""
        self._task = task
        self._path = path
        self._clock = clock
        self._log = log
        self._told = 0
        self._next = clock.monotonic()

    def tell(self, *, last: bool = False) -> None:
        """Say how many there are, if there are more than was said."""
        count, letter = self._task.letters.count, self._task.letters.last
        if count == self._told or letter is None:
            return
        now = self._clock.monotonic()
        if now < self._next and not last:
            return
        self._told, self._next = count, now + PAUSE
        dropped = self._task.letters.held.dropped
        self._log.warning(
            "%s: %d dead letter%s so far, kept in %s%s; the last: %s",
            letter.step,
            count,
            "" if count == 1 else "s",
            self._path,
            f" ({dropped} older ones had no room and were dropped)" if dropped else "",
            letter.reason[:LONGEST],
        )

    async def tell_of_damage(self) -> None:
        """Say what was in damaged blocks of the state file that were set aside."""
        found: dict[tuple[str, str, bool], dict[int, int]] = defaultdict(dict)
        for letter in self._task.letters.set_aside():
            place: dict[str, int] = json.loads(letter.position)
            rows = place.pop("rows")
            [(table, number)] = place.items()
            known = (self._task.position(letter.step) or {}).get("seq", 0)
            processed = table == "journal" and number <= known
            found[table, letter.step, processed][number] = rows
        if not found:
            return
        for (table, step, processed), blocks in found.items():
            what = LOST[table] if not processed else PROCESSED
            numbers = ", ".join(map(str, sorted(blocks)[:MOST_NUMBERS]))
            more = f" and {len(blocks) - MOST_NUMBERS} more" * (len(blocks) > MOST_NUMBERS)
            self._log.error(
                "%s: %s is damaged in %s, at number %s%s, and set aside as dead letters: %s",
                step, table, self._path, numbers, more, what % sum(blocks.values()),
            )  # fmt: skip
        await self._task.letters.look()
