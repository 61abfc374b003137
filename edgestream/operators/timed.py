"""Which steps go by a watermark of each key: those that know the keys of a source.

A source whose time has ``by`` has a watermark for each key. A step can go by it where its own key
columns hold all columns of ``by``, as they came from the source: renamed perhaps, but not made
anew. Where it cannot know that, as behind a function or a join, it goes by the one for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from edgestream.component import Operator, Outputs
from edgestream.operators.protocols import Sided
from edgestream.window.fronts import Reached
from edgestream.window.marks import Names


@runtime_checkable
class Timed(Protocol):
    """An operator with keys that can go by a watermark of each; called in place of ``advance``."""

    @property
    def by(self) -> Sequence[str]:
        """The key columns."""

    def go_by(self, names: Names) -> None:
        """Before the first row: go by the watermarks of these columns."""

    def foremost(self) -> int:
        """The watermark of the key that has got the furthest; what is ``due`` comes after it."""

    def note(self, reached: Mapping[str, Reached]) -> None:
        """After a restore: so far have the sources got."""

    def advance_each(self, low: int, reached: Mapping[str, Reached]) -> Outputs:
        """As ``advance``, for each key by its own; ``low`` is the watermark for all."""


class Step(Protocol):
    """What is looked at of a node of the graph."""

    operator: Operator
    inputs: list[str]


def timed(steps: Mapping[str, Step], sources: Mapping[str, Sequence[str]]) -> dict[str, Names]:
    """The steps that go by keys, of steps in order; ``sources`` have the columns of their times."""
    found: dict[str, Names] = {}
    for name, step in steps.items():
        if isinstance(step.operator, Timed):
            here = {column: column for column in step.operator.by}
            names = _back(step.inputs, here, steps, sources, found)
            if any(pairs is not None for pairs in names.values()):
                found[name] = names
    return found


def _back(
    givers: Sequence[str],
    columns: Mapping[str, str],
    steps: Mapping[str, Step],
    sources: Mapping[str, Sequence[str]],
    found: Mapping[str, Names],
) -> dict[str, tuple[tuple[str, str], ...] | None]:
    """Follow columns, by their names further on, back to the sources; one lost way loses all."""
    names: dict[str, tuple[tuple[str, str], ...] | None] = {}
    for giver in givers:
        name, _, port = giver.partition(":")
        if name in sources:
            mine = {before: here for here, before in columns.items()}
            known = bool(sources[name]) and not port and mine.keys() >= set(sources[name])
            one = {name: tuple((mine[n], n) for n in sources[name]) if known else None}
        else:
            step = steps[name]
            before = {h: _before(step.operator, name in found, port, n) for h, n in columns.items()}
            kept = {here: n for here, n in before.items() if n is not None}
            one = _back(step.inputs, kept, steps, sources, found)
        for source, pairs in one.items():
            names[source] = pairs if names.get(source, pairs) == pairs else None
    return names


def _before(operator: Operator, by_key: bool, port: str, name: str) -> str | None:
    """What a column was called before a step; None where it is another column or not known."""
    if isinstance(operator, Timed):
        return name if by_key and not port and name in operator.by else None
    if isinstance(operator, Sided) or operator.gathers or operator.holds or operator.behind():
        return None
    passed = operator.passes(frozenset({name}))
    return next(iter(passed)) if passed is not None and len(passed) == 1 else None
