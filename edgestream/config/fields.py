"""Declaring the fields of a component: `option` for configuration, `state` for what runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an option beside its type and default."""

    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    example: str = ""


def option(
    default: Any = MISSING,
    *,
    factory: Any = MISSING,
    help: str,  # noqa: A002 - the word users of click and argparse expect
    minimum: float | None = None,
    maximum: float | None = None,
    example: str = "",
    kw_only: bool = False,
) -> Any:
    """A configuration field: ``help`` is one line, bounds are inclusive, ``example`` is YAML."""
    metadata = {"facts": Facts(help, minimum, maximum, example)}
    if default is not MISSING:
        return dataclasses.field(default=default, metadata=metadata, kw_only=kw_only)
    if factory is not MISSING:
        return dataclasses.field(default_factory=factory, metadata=metadata, kw_only=kw_only)
    return dataclasses.field(metadata=metadata, kw_only=kw_only)


def state(factory: Callable[[], Any] = lambda: None, *, init: Literal[False] = False) -> Any:
    """A field that is not configuration: it takes no part in construction, equality or repr."""
    return dataclasses.field(default_factory=factory, init=init, repr=False, compare=False)


def facts(field: dataclasses.Field[Any]) -> Facts:
    """What `option` wrote down about a field."""
    found = field.metadata.get("facts")
    return found if isinstance(found, Facts) else Facts()


def options(cls: type) -> Mapping[str, dataclasses.Field[Any]]:
    """The configuration fields of a class, by name, in order."""
    return {field.name: field for field in dataclasses.fields(cls) if field.init}


def written(name: str) -> str:
    """How a field is written in YAML: ``with_`` stands for ``with``, a word Python keeps."""
    return name.removesuffix("_")


def required(field: dataclasses.Field[Any]) -> bool:
    """Whether a field has no default."""
    return field.default is MISSING and field.default_factory is MISSING
