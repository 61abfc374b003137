"""Many rows in one JSON object: its fields are columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from edgestream.batch import Batch
from edgestream.codecs.columnar_decode import Lists
from edgestream.codecs.columns import Declared
from edgestream.codecs.json_encode import encode, plain
from edgestream.codecs.json_spots import unusable
from edgestream.codecs.learning import Learning
from edgestream.component import Codec, Decoded, State, component
from edgestream.config.fields import option, state
from edgestream.config.values import Size, nbytes
from edgestream.errors import ConfigError, Problem
from edgestream.schema import ColumnKind, Schema


@component(
    "columnar",
    examples=(
        "decode: columnar",
        "decode: {columnar: {columns: {device: string, t: float}, max_payload: 4MiB}}",
    ),
)
class Columnar(Codec):
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
    _lists: Lists | None = state()

    def check(self) -> None:
        """No declared column may have a name that no field can have."""
        problems = [
            Problem(f"{name!r} cannot name a column", ("columns", name))
            for name in self.columns or ()
            if unusable(name)
        ]
        if problems:
            raise ConfigError(problems)

    def schema(self) -> Schema:
        """The declared columns, if there are any."""
        if self.columns is None:
            return Schema.unknown()
        return Schema.of_kinds(dict(self.columns))

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """Read only ``columns`` from now on; what was learnt before is forgotten."""
        learning = Learning("columnar", columns, kinds, self.columns)
        self._lists = Lists(learning, nbytes(self.max_payload))

    @property
    def absent(self) -> Mapping[str, str]:
        """Columns that are wanted but never came, with the nearest names that did."""
        return self._running().learning.absent()

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Payloads to columns; a bad payload is rejected, its neighbours are not touched."""
        return self._running().decode(payloads)

    def encode(self, batch: Batch) -> list[bytes]:
        """All rows as one object of lists, or one object a row."""
        if self.rows == "one":
            return encode(batch)
        if not len(batch):
            return []
        lists = {name: plain(column) for name, column in batch.columns.items()}
        return [msgspec.json.encode(lists)]

    def state_bytes(self) -> int:
        """The bytes of the texts it remembers, reckoned."""
        return sum(texts.nbytes for texts in self._running().learning.texts)

    def shrink(self) -> None:
        """Forget texts."""
        for texts in self._running().learning.texts:
            texts.forget()

    def snapshot(self) -> State | None:
        """What it learnt from the data."""
        return self._running().learning.snapshot()

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        running = self._running()
        running.learning.restore(saved)
        running.build()

    def _running(self) -> Lists:
        if self._lists is None:
            self.want(None, {})
        assert self._lists is not None
        return self._lists
