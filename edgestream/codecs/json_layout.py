"""Where the columns lie in JSON objects, and the msgspec types that read just them.

A column's name is its path: `a.b` is the field `b` of the object `a`, or a field that is itself
called `a.b`. From what is known a `Struct` type is made whose fields are the wanted ones, typed as
learnt, so that an object that holds anything new is refused by the decoder and looked at in
Python by `Layout.learn`. All the others never become a dict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from edgestream.codecs.columns import Declared, Kind, Learnt, fit, from_meta, start, unfit
from edgestream.codecs.json_rows import Reader, combined, leaves, reader, row_type
from edgestream.codecs.json_spots import Path, Spot, spellings, unusable, walk
from edgestream.errors import ConfigError
from edgestream.schema import ColumnKind

MAX_FIELDS = 1024
MAX_NAME = 256


@dataclass(frozen=True, slots=True)
class Found:
    """A value of an object: the spot it lies in, and how to replace it."""

    path: Path
    spot: Spot | None
    holder: dict[str, Any]

    @property
    def value(self) -> Any:
        """What lies there."""
        return self.holder[self.path[-1]]


class Layout:
    """The fields that are read; an ``open`` one takes every field that comes."""

    def __init__(self, columns: Iterable[Learnt], *, is_open: bool, max_depth: int) -> None:
        """Begin with the wanted columns, or with none and ``is_open``."""
        self.columns: dict[str, Learnt] = {}
        self.is_open = is_open
        self._max_depth = max_depth
        self._root = Spot(parent=True)
        self._spots = 0
        for column in columns:
            self.columns[column.name] = column
            if not is_open:
                for path in spellings(column.name):
                    self.spot(path).column = column

    def spot(self, path: Path) -> Spot:
        """The spot of a path, made where there is none."""
        spot = self._root
        for key in path:
            spot.parent = True
            if key not in spot.fields:
                spot.fields[key] = Spot()
                self._spots += 1
            spot = spot.fields[key]
        return spot

    def column_at(self, path: Path) -> Learnt | None:
        """The column that a value at a path would give, if any."""
        spot: Spot | None = self._root
        for key in path:
            spot = None if spot is None else spot.fields.get(key)
        return None if spot is None else spot.column

    def learn(self, row: dict[str, Any]) -> bool:
        """Take in one object; True if the types changed, ValueError if it does not fit.

        A whole number written as a float is replaced by an int where only ints fit.
        """
        if self.is_open:
            # One more than there may be is enough to refuse them all.
            found = list(islice(self._flat(row, (), self._root), MAX_FIELDS + 1))
            self._refuse_names(found)
        else:
            found = list(_picked(row, self._root))
        kinds: dict[str, Kind | None] = {}
        fresh: dict[str, Learnt] = {}
        for item in found:
            if isinstance(item.value, dict):
                continue
            name = ".".join(item.path)
            column = self.columns.get(name) or fresh.setdefault(name, Learnt(name))
            kinds[name] = fit(column, kinds.get(name, column.kind), item.value)
            if isinstance(item.value, list):
                _refuse_infinite(name, item.value)
            if column.fixed and column.kind == "int" and isinstance(item.value, float):
                item.holder[item.path[-1]] = int(item.value)
        self.columns |= fresh
        return self._apply(found, kinds)

    def _apply(self, found: Sequence[Found], kinds: Mapping[str, Kind | None]) -> bool:
        changed = False
        for item in found:
            spot = item.spot or self.spot(item.path)
            changed = changed or item.spot is None
            if isinstance(item.value, dict):
                changed = changed or not spot.parent
                spot.parent = True
                continue
            column = self.columns[".".join(item.path)]
            if spot.column is None:
                spot.column, changed = column, True
            if item.value is not None and not spot.seen:
                spot.seen, changed = True, True
            kind = kinds[column.name]
            if kind != column.kind:
                column.kind, changed = kind, True
        return changed

    def _flat(self, row: dict[str, Any], path: Path, spot: Spot | None) -> Iterator[Found]:
        """All fields of an object, those within objects and the objects themselves too."""
        if len(path) >= self._max_depth:
            raise ValueError(f"nested more than {self._max_depth} deep")
        for key, value in row.items():
            inner = None if spot is None else spot.fields.get(key)
            yield Found((*path, key), inner, row)
            if isinstance(value, dict):
                yield from self._flat(value, (*path, key), inner)

    def _refuse_names(self, found: Iterable[Found]) -> None:
        new = [item.path for item in found if item.spot is None]
        if self._spots + len(new) > MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS} different fields")
        for path in new:
            if unusable(path[-1]):
                raise ValueError(f"the field name {path[-1][:40]!r} cannot name a column")
            if sum(map(len, path)) + len(path) > MAX_NAME:
                raise ValueError(f"the field name {path[-1][:40]}… is too long for a column")

    def row_type(self) -> type[msgspec.Struct]:
        """The type of a row as far as it is known."""
        return row_type(self._root, self.is_open)

    def readers(self) -> dict[str, Reader | None]:
        """How the values of each column are taken out of rows; None where none came yet.

        Where a column is spelt in several ways, the one that is nested deepest counts.
        """
        spots: dict[str, list[tuple[int, Path, Reader]]] = {name: [] for name in self.columns}
        for path, attributes, spot in leaves(self._root):
            if spot.seen and spot.column is not None:
                known = (-len(path), path, reader(attributes, spot))
                spots[spot.column.name].append(known)
        return {
            name: combined([read for *_, read in sorted(found, key=lambda known: known[:2])])
            for name, found in spots.items()
        }

    def unseen(self) -> list[str]:
        """The columns no value came for."""
        seen = {spot.column.name for _, spot in walk(self._root, ()) if spot.column and spot.seen}
        return [name for name in self.columns if name not in seen]

    def to_meta(self) -> list[list[Any]]:
        """The fields as JSON values: path, whether a value came, whether it holds fields."""
        return [
            [list(path), spot.column is not None, spot.seen, spot.parent]
            for path, spot in walk(self._root, ())
            if self.is_open or spot.seen
        ]

    def from_meta(self, fields: Iterable[Sequence[Any]], columns: Mapping[str, Any]) -> None:
        """Go on with what was known before, as far as it is wanted now."""
        known = [(tuple(keys), is_column, seen, parent) for keys, is_column, seen, parent in fields]
        for path, is_column, _, parent in known if self.is_open else ():
            made = self.spot(path)
            made.parent = made.parent or parent
            if is_column:
                name = ".".join(path)
                made.column = self.columns.setdefault(name, Learnt(name))
        for column in self.columns.values():
            from_meta(column, columns)
        spots = dict(walk(self._root, ()))
        for path, _, seen, _ in known:
            spot = spots.get(path, Spot())
            spot.seen = seen and spot.column is not None and spot.column.kind is not None


def wanted_layout(
    columns: frozenset[str] | None,
    declared: Mapping[str, Declared | None] | None,
    kinds: Mapping[str, ColumnKind],
    max_depth: int,
) -> Layout:
    """The layout of the wanted columns, or of all: those that are declared, else any that come."""
    if columns is not None:
        unknown = sorted(name for name in columns if unusable(name))
        if unknown:
            raise ConfigError(f"no field of an object can give the column {unknown[0]!r}")
    known = declared or {}
    if columns is None and declared is None:
        learnt = [start(name, None, kind) for name, kind in kinds.items() if not unusable(name)]
        return Layout(learnt, is_open=True, max_depth=max_depth)
    wanted = known if columns is None else sorted(columns)
    learnt = [start(name, known.get(name), kinds.get(name, "any")) for name in wanted]
    return Layout(learnt, is_open=False, max_depth=max_depth)


def _refuse_infinite(name: str, values: list[Any]) -> None:
    """A number beyond the floats, anywhere in a list, would be written as null."""
    left: list[Any] = [values]
    while left:
        value = left.pop()
        if isinstance(value, list | dict):
            left += value.values() if isinstance(value, dict) else value
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name}: a number in the list is out of range")


def _picked(row: dict[str, Any], spot: Spot, path: Path = ()) -> Iterator[Found]:
    """The wanted fields of an object; an object without wanted fields stands where a value is."""
    for key, inner in spot.fields.items():
        if key not in row:
            continue
        is_object = isinstance(row[key], dict)
        if is_object and inner.fields:
            yield from _picked(row[key], inner, (*path, key))
        elif inner.column is not None:
            if is_object:
                raise unfit(inner.column, inner.column.kind, row[key])
            yield Found((*path, key), inner, row)
