"""Functions of the runtime by name, to put something else in their place; a name must be there."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any


def find(target: str) -> tuple[Any, str, Callable[..., Any]]:
    """Where ``module:name`` or ``module:Class.name`` is kept, as (owner, name, function).

    A class must have the function itself, not from a parent: else it would be found for ever.
    """
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = vars(owner)[parent]
    function = vars(owner)[name]
    assert callable(function) or isinstance(function, property), target
    return owner, name, function


def replace(target: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put ``make(original)`` in the place of a function."""
    owner, name, original = find(target)
    setattr(owner, name, functools.wraps(original)(make(original)))
