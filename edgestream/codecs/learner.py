"""What the codecs have in common that learn from the data: an engine reads, and remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgestream.codecs.engine import Engine
from edgestream.component import Codec, Decoded, State


class Learner(Codec):
    """A codec whose ``want`` makes the engine that reads; all columns where nobody called it."""

    _engine: Engine | None

    @property
    def absent(self) -> Mapping[str, str]:
        """Columns that are wanted but never came, with the nearest names that did."""
        return self._running().absent()

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Payloads to columns; a bad payload is rejected, its neighbours are not touched."""
        return self._running().decode(payloads)

    def state_bytes(self) -> int:
        """The bytes of the texts it remembers, reckoned."""
        return sum(texts.nbytes for texts in self._running().texts)

    def shrink(self) -> None:
        """Forget texts."""
        for texts in self._running().texts:
            texts.forget()

    def snapshot(self) -> State | None:
        """What it learnt from the data."""
        return self._running().snapshot()

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        self._running().restore(saved)

    def _running(self) -> Engine:
        if self._engine is None:
            self.want(None, {})
        assert self._engine is not None
        return self._engine
