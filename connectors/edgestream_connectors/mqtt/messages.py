"""What the PUBLISH packets of a read hold.

Rule: topics and payloads that were found in bulk are cut out of the read when somebody asks for
them. Payloads that are decoded where they lie, and topics of which no column is made and that
cannot be wrong (``sure``), nobody asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgestream import Pieces

_ACK = b"\x40\x02"


class Found:
    """Parts of messages in order: some found one by one, some in bulk."""

    __slots__ = ("_bulk", "_count", "single")

    def __init__(self) -> None:
        """Nothing yet."""
        self.single: list[bytes] = []
        """Where the next ones go that are found one by one."""
        self._bulk: list[tuple[int, Pieces]] = []
        """Each with how many of ``single`` stand before them."""
        self._count = 0

    def __len__(self) -> int:
        """How many there are."""
        return self._count + len(self.single)

    def add(self, pieces: Pieces) -> None:
        """The next ones, found in bulk."""
        self._bulk.append((len(self.single), pieces))
        self._count += len(pieces)

    def extend(self, later: Found) -> None:
        """Add what came after."""
        known = len(self.single)
        self.single += later.single
        self._bulk += [(known + before, pieces) for before, pieces in later._bulk]
        self._count += later._count

    def all(self) -> Sequence[bytes]:
        """All of them; pieces if all were found in bulk."""
        if not self._bulk:
            return self.single
        parts: list[Sequence[bytes]] = []
        done = 0
        for before, pieces in self._bulk:
            parts += [self.single[done:before], pieces]
            done = before
        parts.append(self.single[done:])
        return Pieces.together([part for part in parts if len(part)])


@dataclass(slots=True, eq=False)
class Messages:
    """What PUBLISH packets hold, in the order they came.

    ``ids`` are the packet ids of those with QoS 1; ``again`` says whether any may have been marked
    as sent before (DUP); the first ``sure`` topics are good ones.
    """

    ids: list[bytes] = field(default_factory=list)
    again: bool = False
    sure: int = 0
    found_topics: Found = field(default_factory=Found)
    found_payloads: Found = field(default_factory=Found)

    def __len__(self) -> int:
        """The number of messages."""
        return len(self.found_payloads)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        """Whether the messages are the same, however they were found."""
        return isinstance(other, Messages) and (
            (self.payloads, self.topics, self.ids, self.again)
            == (other.payloads, other.topics, other.ids, other.again)
        )

    @property
    def topics(self) -> Sequence[bytes]:
        """The topic of each message."""
        return self.found_topics.all()

    @property
    def payloads(self) -> Sequence[bytes]:
        """The payload of each message."""
        return self.found_payloads.all()

    def bulk(self, topics: Pieces, payloads: Pieces, *, sure: bool) -> None:
        """The next messages."""
        if sure and self.sure == len(self):
            self.sure += len(topics)
        self.found_topics.add(topics)
        self.found_payloads.add(payloads)

    def acks(self) -> bytes:
        """The PUBACK packets of all of them, in order."""
        return _ACK + _ACK.join(self.ids) if self.ids else b""

    def extend(self, later: Messages) -> None:
        """Add what came after."""
        if self.sure == len(self):
            self.sure += later.sure
        self.found_topics.extend(later.found_topics)
        self.found_payloads.extend(later.found_payloads)
        self.ids += later.ids
        self.again = self.again or later.again
