"""Where the tail of the journal begins: what the other side may still send again.

Rule: what is written at every checkpoint may not cost more the longer the journal is. So the tail
is followed in memory, in stretches of about a second; it begins at the beginning of a stretch. A
jump of the wall clock is no time that has passed: between two rows a few seconds count at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MESSAGES = 65_535
"""Receive Maximum: no more messages than this can be unacknowledged in one MQTT session."""
NANOS = 120_000_000_000
"""What was acknowledged longer before the newest message than this has reached the broker: a dead
connection is noticed within one and a half keep-alives."""
_LONG_NANOS = 1_000_000_000
_MOST_BETWEEN = 5_000_000_000
_LONG_MESSAGES = 4_096


@dataclass(slots=True)
class _Stretch:
    """Rows that follow each other: the first one's number, and how old the journal was then."""

    first: int
    began: int
    ended: int
    messages: int


class Tails:
    """The tail of each source's journal."""

    def __init__(self, rows: Iterable[tuple[str, int, int, int]] = ()) -> None:
        """Of a journal that holds ``rows``: source, number, messages, arrival (ns), ascending."""
        self._stretches: dict[str, deque[_Stretch]] = {}
        self._messages: dict[str, int] = {}
        self._last = 0
        self._age = 0
        for row in rows:
            self.note(*row)

    def note(self, source: str, seq: int, messages: int, received: int) -> None:
        """A row is appended."""
        self._age += min(max(received - self._last, 0), _MOST_BETWEEN)
        self._last = received
        now = self._age
        stretches = self._stretches.setdefault(source, deque())
        last = stretches[-1] if stretches else None
        if last is None or last.messages >= _LONG_MESSAGES or now - last.began >= _LONG_NANOS:
            stretches.append(_Stretch(seq, now, now, messages))
        else:
            last.ended = now
            last.messages += messages
        self._messages[source] = self._messages.get(source, 0) + messages
        self._shorten(source, stretches)

    def start(self, source: str) -> int:
        """The first number of a source's tail; 0 where it has no rows."""
        stretches = self._stretches.get(source)
        return stretches[0].first if stretches else 0

    def starts(self) -> Mapping[str, int]:
        """The first number of every tail."""
        return {source: self.start(source) for source in self._stretches}

    def _shorten(self, source: str, stretches: deque[_Stretch]) -> None:
        newest = stretches[-1].ended
        while len(stretches) > 1:
            oldest = stretches[0]
            left = self._messages[source] - oldest.messages
            if left < MESSAGES and oldest.ended >= newest - NANOS:
                return
            self._messages[source] = left
            stretches.popleft()
