"""Replaying a file at ×N of its event time: rows wait until they are due."""

from __future__ import annotations

from collections.abc import Mapping

from edgestream.batch import Batch
from edgestream.clock import Clock
from edgestream.entry import Entry


class Pace:
    """Holds back the rows of sources with a ``speed`` other than 0 (as fast as possible)."""

    def __init__(self, entries: Mapping[str, Entry], clock: Clock) -> None:
        """Look for sources with a speed."""
        self._clock = clock
        self._speeds = {
            name: float(speed)
            for name, entry in entries.items()
            if (speed := getattr(entry.component, "speed", 0))
        }
        self._starts: dict[str, tuple[int, int]] = {}

    def holds(self, source: str) -> bool:
        """Whether rows of a source wait until they are due."""
        return source in self._speeds

    async def wait(self, source: str, batch: Batch) -> None:
        """Pause until the first row of a batch is due."""
        speed = self._speeds.get(source)
        if speed is None or len(batch) == 0:
            return
        now, event = self._clock.monotonic(), int(batch.times[0])
        started, origin = self._starts.setdefault(source, (now, event))
        due = started + int((event - origin) / speed)
        if due > now:
            await self._clock.sleep(due - now)
