"""Which implementation turns JSON payloads into columns: the one place where it is chosen.

Today there is one, in Python over numpy and msgspec. A native one is a class of the shape of
`Engine`, made from the same layout; its package offers it as the entry point ``json`` of the group
``edgestream.decoders``, and `decoder` is where that would be looked up. It keeps the rules of
docs/codecs.md ("Rules for every decoder"), line by line, and shares its snapshots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from edgestream.codecs.columns import Texts
from edgestream.codecs.json_layout import Layout
from edgestream.codecs.json_shaped import JsonReading
from edgestream.component import Decoded, State


class Engine(Protocol):
    """The state of decoding one source."""

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The columns of the good payloads, and why the others are rejected."""

    def absent(self) -> Mapping[str, str]:
        """The wanted columns no value came for, with what they might be called."""

    @property
    def texts(self) -> Iterable[Texts]:
        """The texts it remembers, of each column."""

    def snapshot(self) -> State | None:
        """What was learnt; None where nothing ever is."""

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""


def decoder(layout: Layout, max_payload: int) -> Engine:
    """What decodes JSON payloads into the columns of ``layout``."""
    return JsonReading(layout, max_payload)
