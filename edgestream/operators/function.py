"""``use``: your own function of batches as a step, in Python or named in YAML.

A function named in YAML is imported only when the pipeline is built, and only from modules that
the one who starts the worker has allowed: a pipeline file by itself can run no code.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import traceback
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Self, cast

import numpy as np

from edgestream.batch import Batch, Column, Strings, as_column
from edgestream.component import MAIN, Operator, Outputs, component
from edgestream.config.convert import convert
from edgestream.config.fields import option, state
from edgestream.errors import ComponentError, ConfigError, Fatal, Problem, Rejected, did_you_mean
from edgestream.schema import Schema

P = ParamSpec("P")

_BATCH_KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_OPTION_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class FunctionOperator(Generic[P]):
    """A function of a batch and options: call it on a batch, or make a step of it with `using`."""

    function: Callable[Concatenate[Batch, P], Batch]

    def __post_init__(self) -> None:
        """Refuse a function that cannot be a step, and look like it otherwise."""
        batch, *rest = inspect.signature(self.function).parameters.values() or (None,)
        if batch is None or batch.kind not in _BATCH_KINDS:
            raise TypeError(f"{self.reference}: the first parameter takes the batch")
        for parameter in rest:
            if parameter.kind not in _OPTION_KINDS:
                raise TypeError(f"{self.reference}: {parameter} is no option; write name: type = …")
        for name in functools.WRAPPER_ASSIGNMENTS:
            object.__setattr__(self, name, getattr(self.function, name, None))
        object.__setattr__(self, "__wrapped__", self.function)

    def __call__(self, batch: Batch, *args: P.args, **kwargs: P.kwargs) -> Batch:
        """Run it on one batch."""
        return self.function(batch, *args, **kwargs)

    def using(self, *args: P.args, **kwargs: P.kwargs) -> Use:
        """A step that runs it with these options."""
        names = list(self.parameters)
        if len(args) > len(names):
            raise ConfigError(f"{self.reference} takes {len(names)} options, got {len(args)}")
        made = Use(self.reference, {**dict(zip(names, args, strict=False)), **kwargs})
        made.bind(cast("FunctionOperator[Any]", self))
        return made

    @property
    def reference(self) -> str:
        """How YAML names it: ``module:function``."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Its options by name."""
        found = inspect.signature(self.function).parameters
        return dict(list(found.items())[1:])

    def options(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options as its annotations say; raises `ConfigError` with every problem."""
        known = self.parameters
        problems = [
            Problem(f"unknown option {name!r}", (name,), did_you_mean(name, known))
            for name in given
            if name not in known
        ]
        problems += [
            Problem(f"the option {name!r} of {self.reference} is missing")
            for name, parameter in known.items()
            if parameter.default is inspect.Parameter.empty and name not in given
        ]
        made: dict[str, Any] = {}
        hints = _hints(self.function)
        for name in known.keys() & given.keys():
            try:
                made[name] = convert(hints.get(name, Any), given[name])
            except ConfigError as error:
                problems += [problem.under(name) for problem in error.problems]
        if problems:
            raise ConfigError(problems)
        return made


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(function)
    except NameError:
        # An annotation that names something local cannot be looked up: its value is not converted.
        return {}


def operator(function: Callable[Concatenate[Batch, P], Batch]) -> FunctionOperator[P]:
    """Make a step of a function that takes a batch and options, and gives a batch."""
    return FunctionOperator(function)


@component(
    "use",
    shorthand="function",
    examples=(
        "use: weather.steps:calibrate",
        "use: {function: weather.steps:calibrate, with: {offset: 1.5}}",
    ),
)
class Use(Operator):
    """Run a function of your own, decorated with ``@es.operator``, on every batch.

    It takes a batch and options and gives a batch: numpy columns in, numpy columns out. It must
    remember nothing between batches, read no clock and leave what it is given as it is. When it
    raises, it is called again with parts of the batch: the rows on which it fails become dead
    letters, the others go on.

    From YAML it is imported only if its module, or a package above it, is allowed:
    ``edgestream worker --allow-module weather`` or ``EDGESTREAM_ALLOW_MODULES=weather``.
    """

    function: str = option(help="The function as module:function.", example="weather.steps:clean")
    with_: Mapping[str, Any] = option(
        factory=dict, help="Its options by name.", example="{offset: 1.5}"
    )
    _operator: FunctionOperator[Any] | None = state()
    _options: Mapping[str, Any] = state(dict)

    def check(self) -> None:
        """The function is written as module:function."""
        module, colon, name = self.function.partition(":")
        if not (module and colon and name) or ":" in name:
            message = f"{self.function!r} does not name a function"
            hint = "write module:function, such as weather.steps:calibrate"
            raise ConfigError(Problem(message, ("function",), hint))

    def bind(self, found: FunctionOperator[Any]) -> None:
        """Run ``found``; raises `ConfigError` where the options do not fit it."""
        try:
            self._options = found.options(self.with_)
        except ConfigError as error:
            raise ConfigError(problem.under("with") for problem in error.problems) from error
        self._operator = found

    def fresh(self) -> Self:
        """The same step; a function given in Python stays with it."""
        made = super().fresh()
        made._operator, made._options = self._operator, self._options
        return made

    def resolve(self, allowed: Sequence[str]) -> None:
        """Import the function if its module is allowed; raises `ConfigError`.

        A function given in Python is there already.
        """
        if self._operator is not None:
            return
        try:
            self.bind(_imported(self.function, allowed))
        except ConfigError as error:
            problems = [p if p.path else p.under("function") for p in error.problems]
            raise ConfigError(problems) from error

    def infer(self, schema: Schema) -> Schema:
        """Any columns may leave."""
        return Schema.unknown()

    def process(self, batch: Batch) -> Outputs:
        """What the function makes of the batch."""
        if self._operator is None:
            raise Fatal(f"{self.function} was never imported: call resolve first")
        if not len(batch):
            return []
        try:
            made = self._operator(batch, **self._options)
        except ComponentError:
            raise
        except Exception as error:
            raise Rejected(_failure(self.function, error)) from error
        checked = _checked(self.function, made)
        return [(MAIN, checked)] if len(checked) else []


def _imported(reference: str, allowed: Sequence[str]) -> FunctionOperator[Any]:
    module, _, name = reference.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        hint = "write module:function with a function at the top of its module"
        raise ConfigError(Problem(f"{reference!r} does not name a function", hint=hint))
    if not any(module == entry or module.startswith(f"{entry}.") for entry in allowed):
        top = module.partition(".")[0]
        hint = (
            f"the one who starts the worker allows it with edgestream worker --allow-module {top} "
            f"or EDGESTREAM_ALLOW_MODULES={top}; allowed now: {', '.join(allowed) or 'none'}"
        )
        message = f"the module {module!r} is not on the allow-list of modules pipelines may import"
        raise ConfigError(Problem(message, hint=hint))
    try:
        found = importlib.import_module(module)
    except Exception as error:
        message = f"the module {module!r} cannot be imported: {type(error).__name__}: {error}"
        hint = "check that it is installed, or that its folder is on PYTHONPATH"
        raise ConfigError(Problem(message, hint=hint)) from error
    return _decorated(module, name, vars(found))


def _decorated(module: str, name: str, names: Mapping[str, object]) -> FunctionOperator[Any]:
    found = names.get(name)
    if isinstance(found, FunctionOperator):
        return found
    if found is not None:
        message = f"{name!r} in {module!r} is not made to be a step"
        raise ConfigError(Problem(message, hint="decorate it with @es.operator"))
    known = [key for key, value in names.items() if isinstance(value, FunctionOperator)]
    message = f"the module {module!r} has no {name!r}"
    raise ConfigError(Problem(message, hint=did_you_mean(name, known)))


def _failure(reference: str, error: Exception) -> str:
    """What happened in the function, and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{reference}, at {last.filename}:{last.lineno}"
    text = f"{type(error).__name__}: {error} (in {place})"
    if "read-only" in str(error):
        text += "; the arrays of a batch never change: make a new one and give it to with_columns"
    return text


def _checked(reference: str, made: object) -> Batch:
    """What a function gave as a batch that others can work with; raises `Fatal`."""
    if not isinstance(made, Batch):
        raise Fatal(f"{reference} gave {type(made).__name__}; give a Batch")
    if made.times.dtype != np.int64 or made.times.ndim != 1:
        raise Fatal(f"{reference} gave times of {made.times.dtype}; they are int64 nanoseconds")
    gone = [key for key in made.keys if key not in made.columns]
    if gone:
        raise Fatal(f"{reference} left out {gone[0]!r}, which is a key column of the batch")
    if all(map(_fits, made.columns.values())):
        return made
    try:
        columns = {name: as_column(column) for name, column in made.columns.items()}
        if all(map(_fits, columns.values())):
            return Batch(columns, made.times, made.keys)
    except (TypeError, ValueError) as error:
        raise Fatal(f"{reference} gave a column that is none: {error}") from error
    raise Fatal(f"{reference} gave a column with more than one dimension")


def _fits(column: Column) -> bool:
    if isinstance(column, Strings):
        return True
    whole = column.dtype in (np.float64, np.int64, np.bool_, np.dtype("datetime64[us]"))
    return whole and column.ndim == 1
