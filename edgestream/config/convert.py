"""From plain values (YAML, Python) to what a field's annotation says, every problem at once.

The annotations understood: ``str int float bool None Any``, ``Literal``, ``X | Y``,
``Sequence[X]`` (a lone scalar stands for one item; held as a tuple), ``Mapping[str, X]``,
`Duration`, `Size`, ``Secret | str``, dataclasses (settings groups), and classes with a
``from_config(value)`` classmethod that raises ValueError or `ConfigError`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, cast

from edgestream.config.fields import facts, options, required, written
from edgestream.config.values import Bytes, Nanos, Secret, Template, nanos, nbytes, resolve
from edgestream.config.yaml_scalars import plain
from edgestream.errors import ConfigError, Problem, did_you_mean

T = TypeVar("T")
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def convert_fields(instance: Any) -> None:
    """Replace each configuration field of a new instance by its converted value.

    Raises `ConfigError` with every field that does not fit; paths start at the field.
    """
    cls = type(instance)
    problems: list[Problem] = []
    for name, field in options(cls).items():
        given = getattr(instance, name)
        try:
            value = convert(annotation(cls, name), given)
            check_bounds(field, value)
        except ConfigError as error:
            problems += [problem.under(written(name)) for problem in error.problems]
        else:
            object.__setattr__(instance, name, value)
    if problems:
        raise ConfigError(problems)


def build(cls: type[T], data: Mapping[Any, Any]) -> T:
    """An instance of a dataclass from a mapping of its fields.

    Raises `ConfigError` with every unknown, missing or wrong field; paths start at the field.
    """
    known = {written(name): field for name, field in options(cls).items()}
    problems = [
        Problem(f"unknown field {str(key)!r}", (str(key),), did_you_mean(str(key), known))
        for key in data
        if key not in known
    ]
    problems += [
        Problem(f"the field {name!r} is missing", (), facts(field).help)
        for name, field in known.items()
        if required(field) and name not in data
    ]
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in data:
            try:
                values[field.name] = convert(annotation(cls, field.name), data[name])
                check_bounds(field, values[field.name])
            except ConfigError as error:
                problems += [problem.under(name) for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return cls(**values)


@functools.cache
def _annotations(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def annotation(cls: type, name: str) -> Any:
    """The resolved annotation of a field."""
    return _annotations(cls)[name]


def convert(wanted: Any, value: Any) -> Any:
    """``value`` as ``wanted`` says; raises `ConfigError`."""
    try:
        return _convert(wanted, value)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def check_bounds(field: dataclasses.Field[Any], value: Any) -> None:
    """Hold a number (or a duration, in its own unit) within the bounds of its option."""
    known = facts(field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    got = _shown(value, value)
    if known.minimum is not None and value < known.minimum:
        raise ConfigError(f"must be at least {_shown(known.minimum, value)}, got {got}")
    if known.maximum is not None and value > known.maximum:
        raise ConfigError(f"must be at most {_shown(known.maximum, value)}, got {got}")


def _shown(number: float, like: Any) -> str:
    if isinstance(like, Nanos | Bytes):
        return str(type(like)(number))
    return str(int(number)) if float(number).is_integer() else str(number)


def _convert(wanted: Any, value: Any) -> Any:
    origin = typing.get_origin(wanted)
    if wanted is Any:
        return _resolved(value)
    if origin in (Union, types.UnionType):
        return _union(typing.get_args(wanted), value)
    if origin is Literal:
        return _literal(typing.get_args(wanted), value)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(typing.get_args(wanted)[1], value)
    if origin is not None and issubclass(origin, Sequence):
        return _sequence(typing.get_args(wanted)[0], value)
    if hasattr(wanted, "from_config"):
        plain = resolve(value) if isinstance(value, Template) else value
        return plain if isinstance(plain, wanted) else wanted.from_config(plain)
    if dataclasses.is_dataclass(wanted):
        return _settings(cast("type", wanted), value)
    return _scalar(wanted, value)


def _union(members: tuple[Any, ...], value: Any) -> Any:
    if value is None and type(None) in members:
        return None
    if Nanos in members:
        return _counted(value) if int in members else _quantity(nanos, Nanos, value)
    if Bytes in members:
        return _quantity(nbytes, Bytes, value)
    if Secret in members:
        return _secret(value)
    rest = [member for member in members if member is not type(None)]
    if any(hasattr(member, "from_config") for member in rest):
        # ``Expr | str``: text is a way of writing it, never what the field holds.
        rest = [member for member in rest if member is not str]
    if len(rest) == 1:
        return convert(rest[0], value)
    problems: list[Problem] = []
    for member in rest:
        try:
            return convert(member, value)
        except ConfigError as error:
            if _shaped_like(member, value):
                raise
            problems += error.problems
    messages = dict.fromkeys(problem.message for problem in problems)
    raise ConfigError([Problem(", or ".join(messages), problems[0].path, problems[0].hint)])


def _shaped_like(member: Any, value: Any) -> bool:
    """Whether what is wrong with a list or mapping is best told by this member of a union."""
    origin = typing.get_origin(member)
    if isinstance(value, Mapping):
        return dataclasses.is_dataclass(member) or (
            origin is not None and issubclass(origin, Mapping)
        )
    return isinstance(value, list | tuple) and origin is not None and issubclass(origin, Sequence)


def _resolved(value: Any) -> Any:
    """A value of any shape with all its templates filled in."""
    if isinstance(value, Template):
        return resolve(value)
    if isinstance(value, Mapping):
        return {key: _resolved(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(entry) for entry in value]
    return value


def _quantity(read: Any, kind: type, value: Any) -> Any:
    if isinstance(value, kind):
        return value
    example = "a duration such as 10s" if kind is Nanos else "a size such as 64KiB"
    if isinstance(value, Template):
        text = resolve(value)
        try:
            return read(text)
        except ValueError:
            raise ValueError(f"expected {example}, got {_show(value)}") from None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected {example}, got {_show(value)}")
    return read(str(value))


def _counted(value: Any) -> int:
    """A whole number without a unit is a number of something, all else a duration."""
    try:
        return cast("int", _scalar(int, value))
    except ValueError:
        return cast("Nanos", _quantity(nanos, Nanos, value))


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str) and "${" in value.replace("$${", ""):
        if re.search(r"\$\{\w+:-[^}]", value):
            raise ValueError("a secret is not written here, not even as a default")
        return Secret.template(str(value))
    raise ValueError("a secret is not written here; use ${VARIABLE} or ${file:/run/secrets/name}")


def _literal(choices: tuple[Any, ...], value: Any) -> Any:
    filled = resolve(value) if isinstance(value, Template) else None
    for choice in choices:
        if value == choice and type(value) is type(choice):
            return choice
        if filled is not None and _retype(type(choice), filled) == choice:
            return choice
    names = [str(choice) for choice in choices]
    hint = did_you_mean(_show(value) if filled is not None else str(value), names)
    raise ConfigError(Problem(f"{_show(value)} is not one of the choices", hint=hint))


def _mapping(item: Any, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a mapping of names to values, got {_show(value)}")
    made: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, entry in value.items():
        try:
            made[str(key)] = convert(item, entry)
        except ConfigError as error:
            problems += [problem.under(str(key)) for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return made


def _sequence(item: Any, value: Any) -> tuple[Any, ...]:
    if isinstance(value, Mapping) or value is None:
        raise ValueError(f"expected a list, got {_show(value)}")
    entries = list(value) if isinstance(value, list | tuple | set) else [value]
    made: list[Any] = []
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        try:
            made.append(convert(item, entry))
        except ConfigError as error:
            path = (index,) if entries is not value and isinstance(value, list | tuple) else ()
            problems += [problem.under(*path) for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return tuple(made)


def _settings(cls: type, value: Any) -> Any:
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        names = ", ".join(map(written, options(cls)))
        raise ValueError(f"expected a mapping with some of: {names}; got {_show(value)}")
    return build(cls, value)


def _scalar(wanted: type, value: Any) -> Any:
    made = _retype(wanted, resolve(value)) if isinstance(value, Template) else value
    if wanted is float and isinstance(made, int) and not isinstance(made, bool):
        try:
            made = float(made)
        except OverflowError:
            raise ValueError("expected a finite number") from None
    if not isinstance(made, wanted) or (isinstance(made, bool) and wanted is not bool):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        quote = "; write it in quotes" if wanted is str and number else ""
        word = _WORDS.get(wanted, wanted.__name__)
        raise ValueError(f"expected {word}, got {_show(value)}{quote}")
    if isinstance(made, float) and not math.isfinite(made):
        raise ValueError("expected a finite number")
    return made


def _retype(wanted: type, text: str) -> Any:
    """What was put in for ``${…}`` is text: read it as the field wants it, never as structure."""
    if wanted in (bool, int, float):
        try:
            return plain(text)
        except ValueError:
            return text
    return text


def _show(value: Any) -> str:
    """A value in a few words; what was filled in for a template may be a secret."""
    if isinstance(value, Template):
        return f"the value of {str(value)[:60]!r}"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
