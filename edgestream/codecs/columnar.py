"""Many rows in one JSON object: its fields are columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from edgestream.batch import Batch
from edgestream.codecs.columnar_decode import Lists
from edgestream.codecs.columns import Declared
from edgestream.codecs.json_encode import encode, plain
from edgestream.codecs.learner import Learner
from edgestream.codecs.learning import Learning
from edgestream.codecs.names import refuse_names, schema_of
from edgestream.component import component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.schema import ColumnKind, Schema


@component(
    "columnar",
    examples=(
        "decode: columnar",
        "decode: {columnar: {columns: {device: string, t: float}, max_payload: 4MiB}}",
    ),
)
class Columnar(Learner):
    """One JSON object a payload whose fields are columns: lists of values, one a row.

    ``{"device": "d1", "ts": [1, 2, 3], "t": [20.5, null, 21]}`` is three rows: what is no list
    holds for every row. Lists of different lengths are rejected; without a list the object is one
    row. Null, and a field that is not there, are missing.

    Kinds are learnt, or declared with ``columns``, as with `json`: one value that does not fit
    rejects its payload. Objects within the object are not taken apart. A row of a payload is
    about a third of the work of a row of its own.

    To write, all rows of a batch become one payload, or each its own with ``rows: one``.
    """

    columns: Mapping[str, Declared] | None = option(
        default=None,
        help="The columns and what they hold: float, int, bool or string.",
        example="{device: string, t: float}",
    )
    rows: Literal["one", "many"] = option(default="many", help="How many rows a payload is given.")
    max_payload: Size = option(
        default="1MiB", help="A larger payload is rejected.", minimum=1, maximum=64 * 1024 * 1024
    )
    _engine: Lists | None = state()

    def check(self) -> None:
        """Columns have usable names."""
        refuse_names(self.columns)

    def schema(self) -> Schema:
        """The declared columns, if there are any."""
        return schema_of(self.columns)

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on; what was learnt before is forgotten."""
        learning = Learning("columnar", columns, kinds, self.columns)
        self._engine = Lists(learning, nbytes(self.max_payload))

    def encode(self, batch: Batch) -> list[bytes]:
        """All rows as one object of lists, or one object a row."""
        if self.rows == "one":
            return encode(batch)
        if not len(batch):
            return []
        lists = {name: plain(column) for name, column in batch.columns.items()}
        return [msgspec.json.encode(lists)]
