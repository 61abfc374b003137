"""Arrow: many rows a payload, already as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from edgestream.batch import Batch
from edgestream.codecs.arrow_arrays import pyarrow
from edgestream.codecs.arrow_decode import Frames
from edgestream.codecs.arrow_encode import stream
from edgestream.codecs.learning import Learning
from edgestream.component import Codec, Decoded, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.schema import ColumnKind


@component(
    "arrow",
    extra="arrow",
    examples=("decode: arrow", "decode: {arrow: {max_payload: 16MiB}}"),
)
class Arrow(Codec):
    """One Arrow IPC stream a payload: a schema, record batches, and the mark of the end.

    Whole numbers, floats, booleans, text (plain or as a dictionary), timestamps and dates become
    columns as they are, without a look at single rows; null and NaN are missing. Fields of structs
    are named with a dot. Timestamps without a zone are in UTC. Columns of other types are rejected
    if they are read.

    A column keeps its kind as with `json`: whole numbers become numbers when a frame brings
    fractions, anything else rejects the frame. Frames that would become much larger than they are
    (compressed, or rows without any bytes) are rejected before memory is given to them.

    To write, all rows of a batch become one payload, or each its own with ``rows: one``. Reading
    takes about 40 MiB of memory for pyarrow itself.
    """

    rows: Literal["one", "many"] = option(default="many", help="How many rows a payload is given.")
    max_payload: Size = option(
        default="4MiB", help="A larger payload is rejected.", minimum=1, maximum=64 * 1024 * 1024
    )
    _frames: Frames | None = state()

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on; what was learnt before is forgotten."""
        times = frozenset(name for name, kind in kinds.items() if kind == "time")
        learning = Learning("arrow", columns, kinds)
        self._frames = Frames(learning, times, nbytes(self.max_payload))

    @property
    def absent(self) -> Mapping[str, str]:
        """Columns that are wanted but never came, with the nearest names that did."""
        return self._running().learning.absent()

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Payloads to columns; a bad payload is rejected, its neighbours are not touched."""
        return self._running().decode(payloads)

    def encode(self, batch: Batch) -> list[bytes]:
        """All rows as one stream, or one stream a row."""
        if not len(batch):
            return []
        parts = [batch]
        if self.rows == "one":
            parts = [batch.take(slice(row, row + 1)) for row in range(len(batch))]
        pa = pyarrow()
        return [stream(pa, part) for part in parts]

    def state_bytes(self) -> int:
        """The bytes of the texts it remembers, reckoned."""
        return sum(texts.nbytes for texts in self._running().learning.texts)

    def shrink(self) -> None:
        """Forget texts."""
        for texts in self._running().learning.texts:
            texts.forget()

    def snapshot(self) -> State | None:
        """What it learnt from the data."""
        return self._running().snapshot()

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        self._running().restore(saved)

    def _running(self) -> Frames:
        if self._frames is None:
            self.want(None, {})
        assert self._frames is not None
        return self._frames
