"""A field's annotation in users' words and as JSON Schema: the same rules as in `config.convert`.

Scalars may hold ``${…}`` wherever a number, a duration or a choice stands, so the schema lets
such text through; `edgestream check` says whether it fits.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, Union

from edgestream.aggregate import Aggregate
from edgestream.config.convert import annotation
from edgestream.config.fields import facts, options, required, written
from edgestream.config.values import Bytes, Nanos, Secret
from edgestream.eventtime import Time
from edgestream.expr import Expr
from edgestream.tables.table import Table

JsonSchema: TypeAlias = dict[str, Any]

_VARIABLE = r"\$\{"
_DURATION = rf"^ *\d+(\.\d+)? *(ns|us|ms|s|m|h|d|w) *$|^0$|{_VARIABLE}"
_SIZE = rf"^ *\d+(\.\d+)? *(B|KB|MB|GB|KiB|MiB|GiB|TiB) *$|^0$|{_VARIABLE}"
_ONE_AND_MANY: Mapping[Any, tuple[str, str]] = {
    str: ("text", "text"),
    int: ("whole number", "whole numbers"),
    float: ("number", "numbers"),
    bool: ("true or false", "true or false"),
    Nanos: ("duration", "durations"),
    Bytes: ("size", "sizes"),
    Secret: ("secret (from ${VAR})", "secrets (from ${VAR})"),
    Expr: ("expression", "expressions"),
    Aggregate: ("aggregate", "aggregates"),
    Time: ("event time", "event times"),
    Table: ("path or kind of table", "paths or kinds of table"),
    Any: ("anything", "anything"),
}
_TEXT_OR_NUMBER: JsonSchema = {"type": ["string", "number", "boolean"]}


def words(wanted: Any, *, many: bool = False) -> str:
    """What a field takes, in users' words: ``list of text``, ``duration``, ``one of a|b``."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted in _ONE_AND_MANY:
        return _ONE_AND_MANY[wanted][many]
    if origin in (Union, types.UnionType):
        return " or ".join(words(member, many=many) for member in members(wanted))
    if origin is Literal:
        return "one of " + "|".join(_shown(choice) for choice in arguments)
    if origin is not None and issubclass(origin, Mapping):
        return f"mapping of names to {words(arguments[1], many=True)}"
    if origin is not None and issubclass(origin, Sequence):
        return f"list of {words(arguments[0], many=True)}"
    if hasattr(wanted, "from_config"):
        return str(wanted.__name__).lower()
    return "settings"


def members(wanted: Any) -> list[Any]:
    """The kinds of value that a union stands for; text is only how most of them are written."""
    found = [member for member in typing.get_args(wanted) if member is not type(None)]
    for kind in (Nanos, Bytes, Secret):
        if kind in found:
            return [kind, *(member for member in found if member is int)]
    if any(hasattr(member, "from_config") for member in found):
        return [member for member in found if member is not str]
    return found


def settings(wanted: Any) -> type | None:
    """The settings group that a field holds, if it holds one."""
    found = members(wanted) if typing.get_origin(wanted) is not None else [wanted]
    for member in found:
        if dataclasses.is_dataclass(member) and not hasattr(member, "from_config"):
            assert isinstance(member, type)
            return member
    return None


def json_schema(wanted: Any) -> JsonSchema:
    """The JSON Schema of the values that a field takes."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (Union, types.UnionType):
        return _union(wanted)
    if origin is Literal:
        return {"anyOf": [{"enum": list(arguments)}, {"type": "string", "pattern": _VARIABLE}]}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": json_schema(arguments[1])}
    if origin is not None and issubclass(origin, Sequence):
        item = json_schema(arguments[0])
        return {"anyOf": [{"type": "array", "items": item}, item]}
    if wanted is Time:
        return {"anyOf": [{"type": "string"}, fields_schema(Time)]}
    if wanted is Table:
        return {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/table"}]}
    if hasattr(wanted, "from_config"):
        return _written_as_text(wanted)
    if dataclasses.is_dataclass(wanted):
        assert isinstance(wanted, type)
        return fields_schema(wanted)
    return _scalar(wanted)


def fields_schema(cls: type) -> JsonSchema:
    """The JSON Schema of a mapping of the fields of a class."""
    fields = options(cls)
    properties: JsonSchema = {}
    for name, field in fields.items():
        known = facts(field)
        schema = json_schema(annotation(cls, name))
        if "pattern" in schema and "minimum" not in schema:
            bounds = {"minimum": known.minimum, "maximum": known.maximum}
            schema |= {key: bound for key, bound in bounds.items() if bound is not None}
        properties[written(name)] = {"description": known.help, **schema}
    needed = [written(name) for name, field in fields.items() if required(field)]
    made: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": needed} if needed else made


def _union(wanted: Any) -> JsonSchema:
    found = [json_schema(member) for member in members(wanted)]
    if type(None) in typing.get_args(wanted):
        if len(found) == 1 and "type" in found[0]:
            return {**found[0], "type": [*_types(found[0]), "null"]}
        found.append({"type": "null"})
    return found[0] if len(found) == 1 else {"anyOf": found}


def _written_as_text(wanted: Any) -> JsonSchema:
    if wanted is Expr:
        return dict(_TEXT_OR_NUMBER)
    return {"type": "string"} if wanted is Aggregate else {}


def _scalar(wanted: Any) -> JsonSchema:
    if wanted is Nanos:
        return {"type": ["string", "integer"], "pattern": _DURATION, "minimum": 0, "maximum": 0}
    if wanted is Bytes:
        return {"type": ["string", "integer"], "pattern": _SIZE, "minimum": 0, "maximum": 0}
    if wanted is Secret:
        return {"type": "string", "pattern": _VARIABLE}
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if wanted not in names:
        return {}
    if wanted is str:
        return {"type": "string"}
    return {"type": [names[wanted], "string"], "pattern": _VARIABLE}


def _types(schema: JsonSchema) -> list[str]:
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _shown(choice: object) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)
