"""Telling of dead letters in the log: at once, then at most once a minute, and at the end."""

from __future__ import annotations

import logging
from pathlib import Path

from edgestream.clock import SECOND, Clock
from edgestream.runtime.task import Task

PAUSE = 60 * SECOND
LONGEST = 200


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
