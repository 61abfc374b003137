"""The tree of an expression: constants, names, and functions applied to arguments.

An operator is a function whose name is how it is written (``+``, ``and``, ``is missing``; a sign
is ``-x``), so the checker and the compiler know three kinds of node only. Where a node stands in
the text takes no part in its equality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from edgestream.errors import ConfigError, Problem

Plain: TypeAlias = float | int | bool | str | None
"""What a constant may hold; None is ``null``."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written in the text; ``type`` keeps 1, 1.0 and true apart."""

    value: Plain
    column: int = field(default=0, compare=False)
    type: str = field(init=False)

    def __post_init__(self) -> None:
        """Note the type of the value."""
        object.__setattr__(self, "type", type(self.value).__name__)


@dataclass(frozen=True, slots=True)
class Name:
    """A column."""

    name: str
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """A function or an operator with its arguments."""

    function: str
    arguments: tuple[Node, ...]
    column: int = field(default=0, compare=False)


Node: TypeAlias = Constant | Name | Apply


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it, without recursion."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        if isinstance(found, Apply):
            waiting.extend(found.arguments)


def names(node: Node) -> frozenset[str]:
    """The columns that are read."""
    return frozenset(found.name for found in walk(node) if isinstance(found, Name))


def refuse(message: str, column: int, hint: str = "") -> ConfigError:
    """An error at a place in the text, counted from 1."""
    return ConfigError(Problem(message, hint=hint, column=column))
