"""What the PUBLISH packets of a read hold, as lists.

Rule: topics that were found in bulk are cut out of the read when somebody asks for them; where no
column is made of them and they cannot be wrong (``sure``), nobody does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ACK = b"\x40\x02"


class Spans(NamedTuple):
    """Pieces of ``data``: from each of ``starts`` to its stop."""

    data: bytes
    starts: NDArray[np.intp]
    stops: NDArray[np.intp]

    def cut(self) -> list[bytes]:
        """The pieces."""
        data, starts, stops = self.data, self.starts.tolist(), self.stops.tolist()
        return [data[start:stop] for start, stop in zip(starts, stops, strict=True)]


@dataclass(slots=True, eq=False)
class Messages:
    """What PUBLISH packets hold, in the order they came.

    ``ids`` are the packet ids of those with QoS 1; ``again`` says whether any may have been marked
    as sent before (DUP); the first ``sure`` topics are good ones.
    """

    payloads: list[bytes] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    again: bool = False
    sure: int = 0
    _topics: list[bytes] = field(default_factory=list)
    _spans: list[tuple[int, Spans]] = field(default_factory=list)
    """Topics that are not cut out yet, each with how many of ``_topics`` stand before them."""

    def __len__(self) -> int:
        """The number of messages."""
        return len(self.payloads)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        """Whether the messages are the same, however they were found."""
        return isinstance(other, Messages) and (
            (self.payloads, self.topics, self.ids, self.again)
            == (other.payloads, other.topics, other.ids, other.again)
        )

    @property
    def topics(self) -> list[bytes]:
        """The topic of each message."""
        if self._spans:
            cut: list[bytes] = []
            done = 0
            for before, spans in self._spans:
                cut += self._topics[done:before]
                cut += spans.cut()
                done = before
            self._topics = cut + self._topics[done:]
            self._spans = []
        return self._topics

    @property
    def single(self) -> list[bytes]:
        """Where the topics of the next messages go one by one."""
        return self._topics

    def bulk(self, topics: Spans, *, sure: bool) -> None:
        """The topics of the next messages."""
        if sure and self.sure == len(self):
            self.sure += len(topics.starts)
        self._spans.append((len(self._topics), topics))

    def acks(self) -> bytes:
        """The PUBACK packets of all of them, in order."""
        return _ACK + _ACK.join(self.ids) if self.ids else b""

    def extend(self, later: Messages) -> None:
        """Add what came after."""
        if self.sure == len(self):
            self.sure += later.sure
        known = len(self._topics)
        self._topics += later._topics
        self._spans += [(known + before, spans) for before, spans in later._spans]
        self.payloads += later.payloads
        self.ids += later.ids
        self.again = self.again or later.again
