"""JSON objects, the codec of every source that names no other."""

from __future__ import annotations

from collections.abc import Mapping

from edgestream.batch import Batch
from edgestream.codecs.columns import Declared
from edgestream.codecs.engine import Engine, decoder
from edgestream.codecs.json_encode import encode
from edgestream.codecs.json_layout import wanted_layout
from edgestream.codecs.learner import Learner
from edgestream.codecs.names import refuse_names, schema_of
from edgestream.component import component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.schema import ColumnKind, Schema


@component(
    "json",
    examples=(
        "decode: json",
        "decode: {json: {columns: {device: string, temperature: float}, max_payload: 64KiB}}",
    ),
)
class Json(Learner):
    """One JSON object a payload; its fields become columns.

    A field of an object within the object is named with a dot: ``{"gps": {"lat": 41.4}}`` gives
    the column `gps.lat`. A list becomes a column of its JSON text. A field that is null or not
    there is missing. Only the columns that the pipeline uses are taken out; the others are read
    past.

    What a column holds is learnt from its first value: whole numbers, numbers, true or false,
    text. Whole numbers become numbers when a fraction comes; anything else that does not fit is
    rejected with its reason (a dead letter), and the rows beside it are not touched. ``columns``
    declares the columns instead of learning them; other fields are then not read. All rules, and
    what becomes of very large numbers, duplicates and bad text, are in docs/codecs.md.

    A whole-number or true-false column becomes numbers (true is 1) as soon as a value is missing.
    """

    columns: Mapping[str, Declared] | None = option(
        default=None,
        help="The columns and what they hold: float, int, bool or string.",
        example="{device: string, temperature: float}",
    )
    max_payload: Size = option(
        default="256KiB", help="A larger payload is rejected.", minimum=1, maximum=64 * 1024 * 1024
    )
    max_depth: int = option(
        default=32,
        help="Objects within objects deeper than this are rejected.",
        minimum=1,
        maximum=100,
    )
    _engine: Engine | None = state()

    def check(self) -> None:
        """Columns have usable names."""
        refuse_names(self.columns)

    def schema(self) -> Schema:
        """The declared columns, if there are any."""
        return schema_of(self.columns)

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on; what was learnt before is forgotten."""
        layout = wanted_layout(columns, self.columns, kinds, self.max_depth)
        self._engine = decoder(layout, nbytes(self.max_payload))

    def encode(self, batch: Batch) -> list[bytes]:
        """One object a row: missing is null, times are RFC 3339 in UTC."""
        return encode(batch)
