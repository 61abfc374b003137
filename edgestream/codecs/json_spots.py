"""The fields of JSON objects that give columns, as a tree, and how names stand for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from edgestream.codecs.columns import Learnt

Path: TypeAlias = tuple[str, ...]

MAX_DOTS = 5
_FORBIDDEN = frozenset('"\\') | frozenset(map(chr, range(32)))
"""Characters that msgspec takes in no field name."""


@dataclass(slots=True)
class Spot:
    """One field: the column it gives, if it does, and the fields within it.

    It is typed only once it was ``seen``; until then any value in it is looked at in Python.
    """

    column: Learnt | None = None
    seen: bool = False
    parent: bool = False
    fields: dict[str, Spot] = field(default_factory=dict)


def walk(spot: Spot, path: Path) -> Iterator[tuple[Path, Spot]]:
    """All spots under one, with their paths."""
    for key, inner in spot.fields.items():
        yield (*path, key), inner
        yield from walk(inner, (*path, key))


def unusable(name: str) -> bool:
    """Whether a name can be no field's: it is empty, or has quotes or control characters."""
    return not name or not _FORBIDDEN.isdisjoint(name)


def spellings(name: str) -> Iterator[Path]:
    """The paths that may give a column: `a.b` within `a`, or called so. The first is nested."""
    first, dot, rest = name.partition(".")
    if not dot:
        yield (name,)
        return
    if rest.count(".") > MAX_DOTS:  # every dot doubles the spellings
        yield from (tuple(name.split(".")), (name,))
        return
    for path in spellings(rest):
        yield (first, *path)
    for path in spellings(rest):
        yield (f"{first}.{path[0]}", *path[1:])


def names(value: Mapping[str, Any], prefix: str = "", depth: int = 5) -> Iterator[str]:
    """The names of the columns an object could give."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner and depth:
            yield from names(inner, f"{prefix}{key}.", depth - 1)
        else:
            yield prefix + key
