"""An aggregate: a function over the values of an expression, as written in a pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgestream.aggregate.calls import Argument, call, opened
from edgestream.aggregate.constants import Given
from edgestream.aggregate.function import Function
from edgestream.aggregate.functions import FUNCTIONS
from edgestream.errors import ConfigError, Problem, did_you_mean
from edgestream.expr import Expr, Name
from edgestream.schema import ColumnKind, Schema


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``quantile(temperature, 0.95)``: a function, what it is applied to, and its constants."""

    name: str
    expressions: tuple[Expr, ...] = ()
    constants: tuple[float, ...] = ()
    _offsets: tuple[int, ...] = field(default=(), repr=False, compare=False)
    """Where each expression begins in the text it was read from, for the places of problems."""

    def __post_init__(self) -> None:
        """Check the name, that there are as many arguments as needed, and the constants."""
        if self.name not in FUNCTIONS:
            hint = did_you_mean(self.name, FUNCTIONS)
            raise ConfigError(Problem(f"there is no aggregate {self.name!r}", hint=hint))
        wanted = FUNCTIONS[self.name]
        if not self.expressions and wanted.needs_expression:
            hint = f"write {wanted.usage.replace('(x', '(column')}"
            raise ConfigError(Problem(f"{self.name}() needs an expression", hint=hint))
        few = sum(not constant.optional for constant in wanted.constants)
        enough = wanted.needs_expression is False or len(self.expressions) == len(wanted.columns)
        fits = few <= len(self.constants) <= len(wanted.constants)
        if not enough or not fits or len(self.expressions) > len(wanted.columns):
            count = len(self.expressions) + len(self.constants)
            message = f"{self.name}() cannot take {count} argument{'s' * (count != 1)}"
            raise ConfigError(Problem(message, hint=f"write {wanted.usage}"))
        wanted.bind(self.constants)

    @classmethod
    def of(cls, name: str, *given: Expr | Given) -> Aggregate:
        """An aggregate from its arguments, in the order in which they are written."""
        function = FUNCTIONS[name]
        columns = len(function.columns)
        expressions = tuple(Expr.from_config(one) for one in given[:columns])
        pairs = zip(function.constants, given[columns:], strict=False)
        constants = [constant.read(_plain(one)) for constant, one in pairs]
        return cls(name, expressions, tuple(constants))

    @classmethod
    def from_config(cls, value: object) -> Aggregate:
        """Read ``mean(temperature)`` or ``count()``; raises `ConfigError` with the column."""
        if not isinstance(value, str):
            raise ConfigError(Problem("expected an aggregate such as mean(temperature)"))
        made = call(value)
        if made is None:
            raise _not_a_call(value, opened(value))
        try:
            function = FUNCTIONS.get(made.name)
            if function is None:
                return cls(made.name)  # which says so
            columns = len(function.columns)
            if len(made.arguments) > columns + len(function.constants):
                raise _too_many(function, made.arguments)
            expressions, offsets = _expressions(made.arguments[:columns])
            constants = _constants(function, made.arguments[columns:])
            return cls(made.name, expressions, constants, offsets)
        except ConfigError as error:
            raise ConfigError(
                replace(p, column=p.column or made.column) for p in error.problems
            ) from None

    @property
    def function(self) -> Function:
        """What computes it."""
        return FUNCTIONS[self.name].bind(self.constants)

    @property
    def ordered(self) -> bool:
        """Whether its rows must come in the order of time."""
        part = self.function.part
        return part is not None and part.ordered

    @property
    def names(self) -> frozenset[str]:
        """The columns it reads."""
        return frozenset().union(*(expression.names for expression in self.expressions))

    def check(self, schema: Schema) -> ColumnKind:
        """The kind of the result; raises `ConfigError` for unknown names and wrong kinds."""
        kinds: list[ColumnKind] = []
        problems: list[Problem] = []
        for at, expression in enumerate(self.expressions):
            try:
                kinds.append(expression.check(schema))
            except ConfigError as error:
                offset = self._offsets[at] if self._offsets else 0
                problems += [_shifted(problem, offset) for problem in error.problems]
        if problems:
            raise ConfigError(problems)
        return self.function.check(*(kinds or ["any"]))

    def kinds(self) -> Mapping[str, ColumnKind]:
        """The columns it reads, with the kind it needs of each."""
        needed: dict[str, ColumnKind] = {}
        wants = self.function.wants, self.function.wants_other
        for expression, want in zip(self.expressions, wants, strict=False):
            for name, kind in expression.kinds().items():
                alone = kind == "any" and isinstance(expression.tree, Name)
                if needed.get(name, "any") == "any":
                    needed[name] = want if alone else kind
        return needed

    def __str__(self) -> str:
        """As written in a pipeline."""
        texts = [expression.text.strip() for expression in self.expressions]
        pairs = zip(self.function.constants, self.constants, strict=False)
        texts += [constant.show(value) for constant, value in pairs]
        return f"{self.name}({', '.join(texts)})"


def _expressions(arguments: Sequence[Argument]) -> tuple[tuple[Expr, ...], tuple[int, ...]]:
    made = []
    for argument in arguments:
        try:
            made.append(Expr.from_config(argument.text))
        except ConfigError as error:
            shifted = [_shifted(problem, argument.offset) for problem in error.problems]
            raise ConfigError(shifted) from None
    return tuple(made), tuple(argument.offset for argument in arguments)


def _constants(function: Function, arguments: Sequence[Argument]) -> tuple[float, ...]:
    made = []
    for constant, argument in zip(function.constants, arguments, strict=False):
        try:
            made.append(constant.read(argument.text.strip()))
        except ConfigError as error:
            raise ConfigError(replace(p, column=argument.column) for p in error.problems) from None
    return tuple(made)


def _plain(given: Expr | Given) -> Given:
    return given.text if isinstance(given, Expr) else given


def _too_many(function: Function, arguments: Sequence[Argument]) -> ConfigError:
    most = len(function.columns) + len(function.constants)
    message = f"{function.name}() cannot take {len(arguments)} arguments"
    return ConfigError(
        Problem(message, hint=f"write {function.usage}", column=arguments[most].column)
    )


def _not_a_call(value: str, was_opened: bool) -> ConfigError:
    if was_opened:
        hint = "in a YAML mapping in braces a comma ends the value: put it in quotes"
        return ConfigError(Problem(f"{value!r} has no closing )", hint=hint, column=len(value) + 1))
    word = value.strip()
    if word in FUNCTIONS:
        hint = f"write {FUNCTIONS[word].usage.replace('(x', '(column')}"
        return ConfigError(Problem(f"{word} is a function", hint=hint, column=1))
    hint = "write it as function(expression), such as mean(temperature)"
    return ConfigError(Problem(f"{value!r} is not an aggregate", hint=hint, column=1))


def _shifted(problem: Problem, offset: int) -> Problem:
    return replace(problem, column=problem.column + offset) if problem.column else problem
