"""Rows held against those that must come out, without regard to their order.

Times are compared as moments, whole floats as integers; columns that are ``close`` may differ by
1e-9 of their size. Everything else is compared to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from benchmarks.suites.case import Query, Row, Rows

_Key: TypeAlias = tuple[Any, ...]


def differences(query: Query, expected: Iterable[Row], found: Rows) -> list[str]:
    """What is not as it must be, in a few lines; nothing where all is."""
    rows = query.fold(found) if query.fold is not None else found
    wanted, have = _grouped(query, expected), _grouped(query, rows)
    wrong: list[str] = []
    for key in [*wanted, *(key for key in have if key not in wanted)]:
        mine, theirs = have.get(key, []), wanted.get(key, [])
        if len(mine) != len(theirs) or not all(map(_near, mine, theirs)):
            named = dict(zip(query.exact, key, strict=True))
            wrong.append(f"{named}: expected {theirs or 'nothing'}, got {mine or 'nothing'}")
    return wrong


def _grouped(query: Query, rows: Iterable[Row]) -> dict[_Key, list[_Key]]:
    groups: dict[_Key, list[_Key]] = {}
    for row in rows:
        key = tuple(plain(row.get(name)) for name in query.exact)
        groups.setdefault(key, []).append(tuple(plain(row.get(name)) for name in query.close))
    return {key: sorted(group, key=_order) for key, group in groups.items()}


def _order(values: _Key) -> list[tuple[bool, float]]:
    return [(value is None, value or 0) for value in values]


def _near(mine: Sequence[Any], theirs: Sequence[Any]) -> bool:
    return all(
        other is value
        or (None not in (value, other) and math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-9))
        for value, other in zip(mine, theirs, strict=True)
    )


def plain(value: Any) -> Any:
    """A value as it is compared: a moment in microseconds, a whole float as an integer."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None if value != value else value
    if isinstance(value, str) and value.endswith("Z") and value[:1].isdigit():
        return ("time", round(datetime.fromisoformat(value).timestamp() * 1_000_000))
    return value
