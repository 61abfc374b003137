"""Arrow: many rows a payload, already as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgestream.batch import Batch
from edgestream.codecs.arrow_arrays import pyarrow
from edgestream.codecs.arrow_decode import Frames
from edgestream.codecs.arrow_encode import stream
from edgestream.codecs.learner import Learner
from edgestream.codecs.learning import Learning
from edgestream.component import component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.schema import ColumnKind


@component(
    "arrow",
    extra="arrow",
    examples=("decode: arrow", "decode: {arrow: {max_payload: 16MiB}}"),
)
class Arrow(Learner):
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
    _engine: Frames | None = state()

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on; what was learnt before is forgotten."""
        times = frozenset(name for name, kind in kinds.items() if kind == "time")
        learning = Learning("arrow", columns, kinds)
        self._engine = Frames(learning, times, nbytes(self.max_payload))

    def encode(self, batch: Batch) -> list[bytes]:
        """All rows as one stream, or one stream a row."""
        if not len(batch):
            return []
        parts = [batch]
        if self.rows == "one":
            parts = [batch.take(slice(row, row + 1)) for row in range(len(batch))]
        pa = pyarrow()
        return [stream(pa, part) for part in parts]
