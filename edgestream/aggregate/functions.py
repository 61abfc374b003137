"""The aggregate functions there are. A new one is a class in a file of its family, and a line."""

from __future__ import annotations

from collections.abc import Mapping

from edgestream.aggregate.counts import Count
from edgestream.aggregate.ends import FirstValue, LastValue
from edgestream.aggregate.extremes import Max, Min
from edgestream.aggregate.function import Function
from edgestream.aggregate.moments import Mean, Stddev, Sum

FUNCTIONS: Mapping[str, Function] = {
    function.name: function
    for function in (
        Count(), Sum(), Mean(), Stddev(), Min(), Max(), FirstValue(), LastValue()
    )
}  # fmt: skip
