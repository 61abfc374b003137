"""The columns of a codec whose payloads name them: which are read, and what was learnt of each.

The rule: a payload that is rejected teaches nothing, not even a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from edgestream.codecs.columns import Declared, Kind, Learnt, Texts, from_meta, start, to_meta
from edgestream.component import State
from edgestream.errors import ConfigError, did_you_mean
from edgestream.schema import ColumnKind

MAX_COLUMNS = 1024
MAX_NAME = 256
VERSION = 1


class Learning:
    """Columns by name; an open one takes every name that comes."""

    def __init__(
        self,
        codec: str,
        wanted: frozenset[str] | None,
        kinds: Mapping[str, ColumnKind],
        declared: Mapping[str, Declared] | None = None,
    ) -> None:
        """``wanted`` is None for all columns; ``declared`` ones are then all there are."""
        self._codec = codec
        self.is_open = wanted is None and declared is None
        names = sorted(wanted) if wanted is not None else declared if declared is not None else ()
        known = {**dict.fromkeys(names, "any"), **(kinds if self.is_open else {})}
        self.columns: dict[str, Learnt] = {
            name: start(name, (declared or {}).get(name), kinds.get(name, "any")) for name in known
        }
        self._names: set[str] = set()

    def take(self, names: Iterable[str]) -> dict[str, Learnt]:
        """The columns among ``names`` that are read; `keep` makes new ones known.

        Raises ValueError where a name cannot be a column's, or there are too many.
        """
        found: dict[str, Learnt] = {}
        room = MAX_COLUMNS - len(self.columns)
        for name in names:
            column = self.columns.get(name)
            if column is not None:
                found[name] = column
            elif self.is_open:
                if not name or len(name) > MAX_NAME:
                    raise ValueError(f"{name[:40]!r} cannot name a column")
                if name not in found:
                    room -= 1
                if room < 0:
                    raise ValueError(f"more than {MAX_COLUMNS} different columns")
                found[name] = Learnt(name)
        return found

    def keep(self, columns: Mapping[str, Learnt], kinds: Mapping[str, Kind | None]) -> bool:
        """Go on with the kinds that a good payload led to; True if anything is new."""
        changed = False
        for name, column in columns.items():
            if self.columns.setdefault(name, column).kind != kinds.get(name, column.kind):
                column.kind = kinds[name]
                changed = True
        return changed

    def note(self, names: Iterable[str]) -> None:
        """Names that came, to tell what a missing column might be called."""
        if len(self._names) < MAX_COLUMNS:
            self._names.update(islice(names, MAX_COLUMNS))

    def absent(self) -> dict[str, str]:
        """The wanted columns no value came for, with what they might be called."""
        if not self._names:
            return {}
        missing = [name for name in self.columns if name not in self._names]
        return {name: did_you_mean(name, self._names) for name in missing}

    def renew(self) -> None:
        """Between batches: forget texts if there are too many."""
        for column in self.columns.values():
            column.texts.renew()

    @property
    def texts(self) -> list[Texts]:
        """The texts it remembers, of each column."""
        return [column.texts for column in self.columns.values()]

    def snapshot(self) -> State:
        """What was learnt."""
        return State(VERSION, {"columns": to_meta(self.columns.values())}, {})

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before, as far as it is wanted now."""
        if saved.version != VERSION:
            message = f"the state of the {self._codec} codec has the unknown version"
            raise ConfigError(f"{message} {saved.version}")
        known = saved.meta["columns"]
        for name in known if self.is_open else ():
            self.columns.setdefault(name, Learnt(name))
        for column in self.columns.values():
            from_meta(column, known)
