"""The dead letters of a running pipeline: counted, and kept until a checkpoint takes them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from edgestream.config.values import nbytes
from edgestream.spec import DeadLetters
from edgestream.store.letters import Bounds, DeadLetter, Held
from edgestream.store.spool import LATE
from edgestream.store.store import Store

Places: TypeAlias = Mapping[str, int]
ENOUGH = 1_000
"""So many dead letters make a checkpoint due."""


def bounds_of(limits: DeadLetters) -> Bounds:
    """How many dead letters are kept."""
    return Bounds(limits.max_rows, int(nbytes(limits.max_bytes)))


class LetterBox:
    """What was made since the start, and what is in the state file."""

    def __init__(self, limits: DeadLetters, store: Store) -> None:
        """Empty."""
        self.count = 0
        self.by: Counter[tuple[str, str]] = Counter()
        """How many of each step and stage."""
        self.last: DeadLetter | None = None
        self.damaged: Counter[str] = Counter()
        """How many messages and rows of each source and sink were in damaged blocks."""
        self.held = Held(0, 0, 0)
        self.bounds = bounds_of(limits)
        self.replayed: list[int] = []
        """The numbers of letters whose outcome the next checkpoint holds."""
        self.attempts = 0
        """How often the letters were tried that are sent again now."""
        self._tries: dict[tuple[str, int], int] = {}
        self._store = store
        self._waiting: list[DeadLetter] = []

    def __len__(self) -> int:
        """How many are not yet on their way to the state file."""
        return len(self._waiting)

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Count letters, which the next checkpoint takes."""
        self._count(letters)
        self._waiting += letters

    def set_aside(self) -> list[DeadLetter]:
        """Count the damaged blocks that were set aside since the last call; they are on disk."""
        letters = self._store.aside.take()
        self._count(letters)
        for letter in letters:
            self.damaged[letter.step] += json.loads(letter.position)["rows"]
        return letters

    def numbered(self, lane: str, number: int) -> None:
        """Rows of letters that are sent again go to a sink under this number."""
        if self.attempts:
            self._tries[lane, number] = self.attempts

    def tried(self, letters: Sequence[DeadLetter], places: Iterable[Places]) -> list[DeadLetter]:
        """The same letters of a sink's rows with how often each was tried, by its place."""
        tries = [
            self._tries.get((letter.step + (LATE if "late" in place else ""), number), 0)
            for letter, place in zip(letters, places, strict=True)
            for number in [place.get("late", place.get("seq", 0))]
        ]
        return [
            replace(letter, attempts=count + 1)
            for letter, count in zip(letters, tries, strict=True)
        ]

    def take_replayed(self) -> list[int]:
        """The letters that go with the next checkpoint."""
        taken, self.replayed = self.replayed, []
        return taken

    def take(self) -> list[DeadLetter]:
        """Those that wait; they are the caller's now."""
        taken, self._waiting = self._waiting, []
        return taken

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Count letters and write them outside a checkpoint; done when they are on disk."""
        self._count(letters)
        await self._store.bury(letters, self.bounds)
        await self.look()

    async def look(self) -> None:
        """See how many are in the state file."""
        self.held = await self._store.held()

    def _count(self, letters: Sequence[DeadLetter]) -> None:
        self.count += len(letters)
        self.by.update((letter.step, letter.stage) for letter in letters)
        self.last = letters[-1] if letters else self.last
