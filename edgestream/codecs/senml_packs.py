"""From payloads that are SenML packs to columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from edgestream.codecs.columns import Texts
from edgestream.codecs.packs import places
from edgestream.codecs.senml_records import Record
from edgestream.codecs.senml_rows import Rows
from edgestream.component import Decoded, State


class Packs:
    """The state of decoding: ``read`` gives the records of a pack, ``rows`` takes them."""

    def __init__(
        self, rows: Rows, read: Callable[[bytes], Iterator[Record]], max_payload: int
    ) -> None:
        """Larger payloads are not read."""
        self._rows = rows
        self._read = read
        self._max_payload = max_payload

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The columns of the good packs, and why the others are rejected."""
        good: list[int] = []
        counts: list[int] = []
        rejected: dict[int, str] = {}
        for index, payload in enumerate(payloads):
            try:
                counts.append(self._add(payload))
            except ValueError as error:
                rejected[index] = str(error)
            else:
                good.append(index)
        columns, relative = self._rows.take()
        origin = places(good, counts)
        counted = {"time": relative} if "time" in columns and relative.any() else {}
        return Decoded(columns, len(origin), origin, rejected, counted)

    def _add(self, payload: bytes) -> int:
        if len(payload) > self._max_payload:
            raise ValueError(f"{len(payload)} bytes are more than max_payload")
        return self._rows.add(list(self._read(payload)))

    def absent(self) -> Mapping[str, str]:
        """The wanted measurements that never came, with what they might be called."""
        return self._rows.absent()

    @property
    def texts(self) -> Sequence[Texts]:
        """The texts that are remembered."""
        return self._rows.texts

    def snapshot(self) -> State | None:
        """What was learnt of measurements."""
        return self._rows.snapshot()

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        self._rows.restore(saved)
