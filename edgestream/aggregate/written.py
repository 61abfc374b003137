"""Kept values as JSON text: what aggregates of many values give."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from edgestream.aggregate.values import to_column
from edgestream.batch import Array, Strings
from edgestream.expr.values import show_moment
from edgestream.schema import ColumnKind

Plain: TypeAlias = float | int | bool | str | None


def plain(kept: Array, kind: ColumnKind) -> list[Plain]:
    """Values that are all there as JSON has them: times as ISO 8601, infinities as text."""
    column = to_column(kept, kind, np.ones(len(kept), np.bool_))
    if isinstance(column, Strings):
        return list(column.to_list())
    if column.dtype.kind == "M":
        return [show_moment(moment) for moment in column]
    values: list[Plain] = column.tolist()
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        return [str(v) if isinstance(v, float) and math.isinf(v) else v for v in values]
    return values


def text(values: Sequence[object]) -> str:
    """A list as JSON text."""
    return json.dumps(values, ensure_ascii=False)
