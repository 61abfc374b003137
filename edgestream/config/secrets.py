"""The secrets of a component, and texts without them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edgestream.config.values import Secret

SHORTEST = 4
"""A shorter value is no secret that could be told from other text."""


def secrets_in(value: Any) -> Iterator[Secret]:
    """Every `Secret` in a component's fields, in mappings and sequences too."""
    if isinstance(value, Secret):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from secrets_in(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from secrets_in(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from secrets_in(inner)


def without_secrets(text: str, secrets: Iterable[Secret]) -> str:
    """The text with three stars for each secret, as it is now."""
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= SHORTEST:
            text = text.replace(value, "***")
    return text
