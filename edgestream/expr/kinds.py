"""The kinds of columns an expression needs, the kind it gives, and what does not fit.

Kinds are worked out from the leaves up, then held against what each function wants from the root
down; every node is looked at once each way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from edgestream.errors import ConfigError, Problem, did_you_mean
from edgestream.expr.functions import Gives, Want, applied
from edgestream.expr.syntax import Apply, Constant, Name, Node, walk
from edgestream.schema import ColumnKind, Schema

_WORDS: Mapping[str, str] = {
    "float": "a number",
    "int": "a number",
    "bool": "true or false",
    "string": "text",
    "time": "a time",
}
_CONSTANTS: Mapping[str, ColumnKind] = {
    "bool": "bool",
    "int": "int",
    "float": "float",
    "str": "string",
    "NoneType": "any",
}
_FITS: Mapping[Want, tuple[ColumnKind, ...]] = {
    "number": ("float", "int"),
    "digits": ("int",),
    "string": ("string",),
    "truth": ("bool",),
    "time": ("time", "float", "int", "string"),
}
_WANTED: Mapping[ColumnKind, Want] = {
    "float": "number",
    "int": "number",
    "bool": "truth",
    "string": "string",
    "time": "time",
    "any": "any",
}
_DEMANDS: Mapping[Want, ColumnKind] = {"number": "float", "string": "string", "truth": "bool"}
MOST_DIGITS = 15


class Kinds:
    """The kinds of all nodes of a tree, given those of its columns."""

    def __init__(self, column: Callable[[str], ColumnKind]) -> None:
        """Ask ``column`` for the kind of a column."""
        self._column = column
        self._known: dict[int, ColumnKind] = {}

    def of(self, node: Node) -> ColumnKind:
        """The kind of a node."""
        if isinstance(node, Constant):
            return _CONSTANTS[node.type]
        if isinstance(node, Name):
            return self._column(node.name)
        found = self._known.get(id(node))
        if found is None:
            found = self._known[id(node)] = self._applied(node)
        return found

    def shared(self, node: Apply) -> ColumnKind | None:
        """The one kind of the arguments that must be alike; None where they are not."""
        function = applied(node.function)
        return common(
            self.of(argument)
            for index, argument in enumerate(node.arguments)
            if function.want(index).startswith("alike")
        )

    def _applied(self, node: Apply) -> ColumnKind:
        gives: Gives = applied(node.function).gives
        if gives == "alike":
            return self.shared(node) or "any"
        if gives == "number" or (gives == "divided" and _divides(node.arguments[1])):
            whole = all(self.of(argument) == "int" for argument in node.arguments)
            return "int" if whole else "float"
        return "float" if gives == "divided" else gives


def common(kinds: Iterable[ColumnKind]) -> ColumnKind | None:
    """The one kind that several are, numbers being float if one is; None where they differ."""
    found = {kind for kind in kinds if kind != "any"}
    if found == {"int", "float"}:
        return "float"
    if len(found) > 1:
        return None
    return found.pop() if found else "any"


def _divides(node: Node) -> bool:
    """Whether a node is a whole constant that is not zero."""
    if isinstance(node, Apply) and node.function in ("-x", "+x"):
        return _divides(node.arguments[0])
    return isinstance(node, Constant) and node.type == "int" and node.value != 0


class Check:
    """Holds a tree against what its functions want; notes demands on columns and problems."""

    def __init__(self, kinds: Kinds) -> None:
        """Begin with no problem."""
        self.kinds = kinds
        self.problems: list[Problem] = []
        self.demands: dict[str, ColumnKind] = {}

    def visit(self, node: Node, want: Want = "any") -> None:
        """Look at a node and all below it."""
        self._fits(node, want)
        if isinstance(node, Name):
            self._demand(node, want)
        elif isinstance(node, Apply):
            self._arguments(node, want)

    def _fits(self, node: Node, want: Want) -> None:
        kind = self.kinds.of(node)
        if want not in _FITS:
            return
        if want == "digits":
            self._digits(node)
        elif kind != "any" and kind not in _FITS[want]:
            wanted = _WORDS[_FITS[want][0]]
            message = f"{_shown(node)} is {_WORDS[kind]}, but {wanted} is needed"
            self.problems.append(Problem(message, hint=_hint(kind, want), column=node.column))

    def _digits(self, node: Node) -> None:
        signed = isinstance(node, Apply) and node.function == "-x"
        constant = node.arguments[0] if isinstance(node, Apply) and signed else node
        plain = constant.value if isinstance(constant, Constant) else None
        if not isinstance(plain, int) or isinstance(plain, bool) or plain > MOST_DIGITS:
            message = f"the digits are a whole number from -{MOST_DIGITS} to {MOST_DIGITS}"
            self.problems.append(Problem(message, column=node.column))

    def _demand(self, node: Name, want: Want) -> None:
        known = self.demands.get(node.name, "any")
        demand = _DEMANDS.get(want, "any")
        if "any" in (known, demand) or known == demand:
            self.demands[node.name] = demand if known == "any" else known
            return
        message = f"{node.name!r} is used both as {_WORDS[known]} and as {_WORDS[demand]}"
        hint = "number(x), text(x) or if(x, 1, 0) makes one of the other"
        self.problems.append(Problem(message, hint=hint, column=node.column))

    def _arguments(self, node: Apply, want: Want) -> None:
        function = applied(node.function)
        shared = self.kinds.shared(node)
        if shared is None:
            self.problems.append(self._mixed(node))
        if function.gives == "alike" and shared == "any" and want in _FITS:
            alike = want
        else:
            alike = _WANTED[shared or "any"]
        for index, argument in enumerate(node.arguments):
            wanted = function.want(index)
            self.visit(argument, alike if wanted.startswith("alike") else wanted)

    def _mixed(self, node: Apply) -> Problem:
        function = applied(node.function)
        words: dict[str, str] = {}
        for index, argument in enumerate(node.arguments):
            kind = self.kinds.of(argument)
            if function.want(index).startswith("alike") and kind != "any":
                words.setdefault(_WORDS[kind], _shown(argument))
        (one, first), (other, second) = list(words.items())[:2]
        message = f"{first} is {one}, but {second} is {other}"
        hint = "both must be of one kind; number(x), text(x) and seconds(t) change kinds"
        return Problem(message, hint=hint, column=node.column)


def _shown(node: Node) -> str:
    """How an error names a node."""
    if isinstance(node, Name):
        return repr(node.name)
    if isinstance(node, Constant):
        return str(node.value).lower() if node.type == "bool" else repr(node.value)
    sign = node.function in ("-x", "+x")
    return f"the result of {node.function[0] if sign else node.function}"


def _hint(kind: ColumnKind, want: Want) -> str:
    if want == "truth":
        return "compare it with something, such as x > 0 or x == 'on'"
    if want == "string":
        return "text(x) makes it text"
    if want == "number":
        return {
            "string": "number(x) reads a number from text; concat(a, b) joins text",
            "bool": "if(x, 1, 0) makes it a number",
            "time": "seconds(t) makes it a number",
        }.get(kind, "")
    return ""


def demands(tree: Node) -> Mapping[str, ColumnKind]:
    """What each column is needed as; raises `ConfigError` for what can never fit."""
    check = Check(Kinds(lambda name: "any"))
    check.visit(tree)
    if check.problems:
        raise ConfigError(check.problems)
    return check.demands


def check(tree: Node, schema: Schema) -> ColumnKind:
    """The kind a tree gives on rows of a schema; raises `ConfigError` with every problem."""
    visited = Check(Kinds(lambda name: schema.fields.get(name, "any")))
    visited.visit(tree)
    problems = [*_unknown(tree, schema), *visited.problems]
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.column))
    return visited.kinds.of(tree)


def _unknown(tree: Node, schema: Schema) -> list[Problem]:
    """A problem for each place that reads a column which cannot come."""
    problems = []
    for node in walk(tree):
        if isinstance(node, Name) and node.name not in schema.fields and not schema.open:
            hint = did_you_mean(node.name, schema.fields)
            if not hint.startswith("did"):
                hint = "; ".join(filter(None, [f"text stands in quotes: {node.name!r}", hint]))
            message = f"there is no column {node.name!r} here"
            problems.append(Problem(message, hint=hint, column=node.column))
    return problems
