"""``count()`` of rows and ``count(x)`` of rows where x is not missing."""

from __future__ import annotations

from edgestream.aggregate.function import ALL_KINDS, Function
from edgestream.aggregate.parts import Counts, Fields
from edgestream.batch import Column
from edgestream.schema import ColumnKind


class Count(Function):
    """How many rows, or how many values; the count itself is kept beside every part."""

    name = "count"
    help = "The number of rows; count(x) counts those where x is not missing."
    takes = ALL_KINDS
    reads_text = True
    needs_expression = False

    def result(self, kind: ColumnKind) -> ColumnKind:
        """Whole numbers."""
        return "int"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The counts."""
        return counts
