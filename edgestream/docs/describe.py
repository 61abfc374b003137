"""A component class as plain values: what ``edgestream components --output json`` prints."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass
from typing import Any

from edgestream.component import Component, Kind, Operator, Sink, Source
from edgestream.config.convert import annotation
from edgestream.config.fields import facts, options, required, written
from edgestream.config.values import Bytes, Nanos
from edgestream.docs.types import members, settings, words


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """A field of a component; the fields of a settings group are named ``group.field``."""

    name: str
    type: str
    default: Any
    required: bool
    help: str
    minimum: float | str | None = None
    maximum: float | str | None = None
    example: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """All that is known of a component without running it."""

    kind: Kind
    name: str
    summary: str
    extra: str
    delivery: str
    shorthand: str
    columns: Mapping[str, str]
    ports: Sequence[str]
    fields: Sequence[FieldDescription]
    examples: Sequence[str]
    doc: str

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return dataclasses.asdict(self)


def describe(kind: Kind, cls: type[Component]) -> Description:
    """The description of a component class."""
    doc = inspect.cleandoc(cls.__doc__ or "")
    return Description(
        kind=kind,
        name=cls.about.name,
        summary=summary(doc),
        extra=cls.about.extra,
        delivery=delivery(cls),
        shorthand=written(cls.about.shorthand),
        columns=dict(cls.columns) if issubclass(cls, Source) else {},
        ports=list(cls.ports) if issubclass(cls, Operator) else [],
        fields=list(_fields(cls)),
        examples=list(cls.about.examples),
        doc=doc,
    )


def summary(doc: str) -> str:
    """The first sentence of a docstring, without its full stop."""
    first = " ".join(doc.partition("\n\n")[0].split())
    match = re.match(r"(.*?[.:])(?= [A-Z]|$)", first)
    return (match[1] if match else first).rstrip(".:")


def delivery(cls: type[Component]) -> str:
    """What a sink promises, or how a source loses nothing; empty for all others."""
    if issubclass(cls, Sink):
        return cls.delivery
    if issubclass(cls, Source):
        return "replayable" if cls.replayable else "journalled"
    return ""


def _fields(cls: type, prefix: str = "") -> list[FieldDescription]:
    found: list[FieldDescription] = []
    for name, field in options(cls).items():
        wanted = annotation(cls, name)
        group = settings(wanted)
        full = prefix + written(name)
        found.append(_field(full, field, wanted))
        if group is not None:
            found += _fields(group, f"{full}.")
    return found


def _field(name: str, field: Field[Any], wanted: Any) -> FieldDescription:
    known = facts(field)
    return FieldDescription(
        name=name,
        type=words(wanted),
        default=_default(field),
        required=required(field),
        help=known.help,
        minimum=_bound(known.minimum, wanted),
        maximum=_bound(known.maximum, wanted),
        example=known.example,
    )


def _default(field: Field[Any]) -> Any:
    """The default as JSON values; None where there is none."""
    if field.default is not MISSING:
        return _plain(field.default)
    return None if field.default_factory is MISSING else _plain(field.default_factory())


def _plain(value: Any) -> Any:
    if isinstance(value, Nanos | Bytes):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if dataclasses.is_dataclass(value):
        return None
    return value


def _bound(bound: float | None, wanted: Any) -> float | str | None:
    """A bound in the unit in which the field is written."""
    kinds = members(wanted)
    if bound is None:
        return None
    if Nanos in kinds:
        return str(Nanos(bound))
    if Bytes in kinds:
        return str(Bytes(bound))
    return bound
