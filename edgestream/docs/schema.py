"""JSON Schema (2020-12) of a pipeline file, for completion and hovering in editors.

It says what `edgestream.read` accepts, as far as a schema can; `edgestream check` has the last
word. The form is flat: a source is a mapping whose properties are all sources and the keys that
may stand beside one, of which exactly one must be there. Editors complete such a form best.
"""

from __future__ import annotations

from typing import get_args

from edgestream.component import Component, Kind
from edgestream.config.convert import annotation
from edgestream.config.fields import options, required
from edgestream.config.values import Bytes, Nanos
from edgestream.docs.describe import describe
from edgestream.docs.types import JsonSchema, fields_schema, json_schema
from edgestream.eventid import EventId
from edgestream.eventtime import Time
from edgestream.read import takes_mapping
from edgestream.registry import KINDS, Registry
from edgestream.scenario import Scenario
from edgestream.spec import NAME, STRONGEST, DeadLetters, Durability, Spool

_DURATION = json_schema(Nanos)
_SIZE = json_schema(Bytes)
_NAME: JsonSchema = {"type": "string", "pattern": f"^({NAME.pattern})$|" + r"\$\{"}
_FEEDS: JsonSchema = {
    "description": "What feeds it: a source, a stream, a port such as minutes.late, or several.",
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ],
}


def pipeline_schema(registry: Registry) -> JsonSchema:
    """The schema of a whole pipeline file with everything that a registry has."""
    definitions: JsonSchema = {}
    for kind in KINDS:
        for name in registry.names(kind):
            definitions[f"{kind}.{name}"] = component_schema(kind, registry.load(kind, name))
    definitions |= {
        "source": _place(registry, "source", _beside_source()),
        "step": _place(registry, "operator", {}),
        "sink": _place(registry, "sink", {"from": _FEEDS, **_beside_sink()}),
        "codec": _place(registry, "codec", {}),
        "table": _place(registry, "table", {}),
        "stream": _stream(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edgestream pipeline",
        "type": "object",
        "properties": _top(),
        "required": ["name"],
        "additionalProperties": False,
        "oneOf": [
            {"required": ["source", "sink"], **_without("sources", "streams", "sinks")},
            {"required": ["sources", "sinks"], **_without("source", "steps", "sink")},
        ],
        "$defs": definitions,
    }


def component_schema(kind: Kind, cls: type[Component]) -> JsonSchema:
    """The schema of what stands behind a component's name."""
    about = describe(kind, cls)
    fields = fields_schema(cls)
    forms: list[JsonSchema] = []
    shorthand = cls.about.shorthand
    if shorthand:
        wanted = annotation(cls, shorthand)
        forms.append(json_schema(wanted))
        if not takes_mapping(wanted) or len(options(cls)) > 1:
            forms.append(fields)
    else:
        forms.append(fields)
    if not any(required(field) for field in options(cls).values()):
        forms.append({"type": "null"})
    described: JsonSchema = {"title": f"{kind} {about.name}", "description": about.summary}
    return described | (forms[0] if len(forms) == 1 else {"anyOf": forms})


def _place(registry: Registry, kind: Kind, beside: JsonSchema) -> JsonSchema:
    """A mapping that names one component of a kind, with the keys that may stand beside it."""
    names = registry.names(kind)
    alone = [name for name in names if _needs_nothing(registry.load(kind, name))]
    forms: list[JsonSchema] = [
        {
            "type": "object",
            "properties": {name: _ref(f"{kind}.{name}") for name in names} | beside,
            "additionalProperties": False,
            "oneOf": [{"required": [name]} for name in names],
        }
    ]
    if alone:
        forms.append({"enum": alone})
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _needs_nothing(cls: type[Component]) -> bool:
    return not any(required(field) for field in options(cls).values())


def _top() -> JsonSchema:
    return {
        "name": {**_NAME, "description": "The pipeline's name: its state file is called so."},
        "delivery": {
            "description": "What is asked for; default: the strongest that every pair allows.",
            "enum": list(STRONGEST),
        },
        "checkpoint": {**_DURATION, "description": "Time between checkpoints."},
        "durability": {
            "description": "What may happen before what was acknowledged is lost; default: power.",
            "enum": list(get_args(Durability)),
        },
        "memory": {
            **_SIZE,
            "description": "How large the state of all steps may become; default 256MiB.",
        },
        "dead_letters": {
            "description": "How many dead letters are kept, and how many are too many.",
            **fields_schema(DeadLetters),
        },
        "tests": {
            "description": "Rows given to sources and rows expected at sinks: edgestream test.",
            "type": ["array", "null"],
            "items": fields_schema(Scenario),
        },
        "source": {**_ref("source"), "description": "Where the rows come from."},
        "steps": {**_steps(), "description": "What happens to the rows, in this order."},
        "sink": {**_ref("sink"), "description": "Where the rows go."},
        "sources": _named("source", "Where rows come from, by name."),
        "streams": _named("stream", "Steps by name, each fed by sources or other streams."),
        "sinks": _named("sink", "Where rows go, by name."),
    }


def _named(what: str, description: str) -> JsonSchema:
    return {
        "description": description,
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": _ref(what),
    }


def _steps() -> JsonSchema:
    return {"type": ["array", "null"], "items": _ref("step")}


def _stream() -> JsonSchema:
    return {
        "type": "object",
        "properties": {"from": _FEEDS, "steps": _steps()},
        "required": ["from"],
        "additionalProperties": False,
    }


def _time() -> JsonSchema:
    wanted = json_schema(Time)
    return {"description": "The event time of a row; without it, the time of arrival.", **wanted}


def _beside_source() -> JsonSchema:
    about = "What names an event: one that comes again is dropped. Columns or expressions."
    fields = json_schema(EventId)
    return {
        "decode": _ref("codec"),
        "time": _time(),
        "event_id": {"description": about, **fields},
    }


def _beside_sink() -> JsonSchema:
    return {
        "when_unreachable": {
            "description": "spool: go on and keep the output; wait: stop reading.",
            "enum": ["spool", "wait"],
        },
        "spool": {
            "description": "How much output may wait while the sink cannot be reached.",
            **fields_schema(Spool),
        },
    }


def _ref(name: str) -> JsonSchema:
    return {"$ref": f"#/$defs/{name}"}


def _without(*keys: str) -> JsonSchema:
    return {"not": {"anyOf": [{"required": [key]} for key in keys]}}
