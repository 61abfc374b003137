"""What components there are: read from entry points, imported only when a pipeline names one.

Built-ins and connectors travel the same road: ``edgestream.sources``, ``.operators``, ``.sinks``,
``.codecs`` and ``.tables`` entry points whose value is ``module:Class``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from edgestream.component import Component, Kind
from edgestream.entrypoints import EntryPoint, entry_points
from edgestream.errors import ConfigError, Problem, did_you_mean

KINDS: tuple[Kind, ...] = ("source", "operator", "sink", "codec", "table")
Entries: TypeAlias = Mapping[str, EntryPoint]


@dataclass(frozen=True, slots=True)
class Registry:
    """Component names by kind, each with where its class is."""

    entries: Mapping[Kind, Entries]

    def names(self, kind: Kind) -> list[str]:
        """All names of a kind, sorted."""
        return sorted(self.entries[kind])

    def load(self, kind: Kind, name: str) -> type[Any]:
        """The class of a component; raises `ConfigError` for a name nobody has."""
        entry = self.entries[kind].get(name)
        if entry is None:
            raise ConfigError(Problem(f"there is no {kind} {name!r}", hint=self.hint(kind, name)))
        try:
            found = entry.load()
        except (ImportError, AttributeError) as error:
            message = f"the {kind} {name!r} ({entry.value}) cannot be imported: {error}"
            raise ConfigError(
                Problem(message, hint="edgestream doctor looks at packages")
            ) from error
        if not (isinstance(found, type) and issubclass(found, Component)):
            raise ConfigError(f"the {kind} {name!r} ({entry.value}) is not a component class")
        return found

    def hint(self, kind: Kind, name: str) -> str:
        """What a name that is not there may have been meant to be."""
        others = [other for other in KINDS if other != kind and name in self.entries[other]]
        if others:
            return f"{name!r} is a {others[0]}"
        return did_you_mean(name, self.entries[kind])


@functools.cache
def installed() -> Registry:
    """Everything that is installed; the first of two with one name wins, in path order."""
    entries: dict[Kind, dict[str, EntryPoint]] = {kind: {} for kind in KINDS}
    groups = {f"edgestream.{kind}s": entries[kind] for kind in KINDS}
    for entry in entry_points("edgestream."):
        if entry.group in groups:
            groups[entry.group].setdefault(entry.name, entry)
    return Registry(entries)
