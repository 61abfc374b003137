"""From tokens to a tree, by operator precedence.

Loosest first: ``or``; ``and``; ``not``; comparisons, ``in`` and ``is missing`` (not chained);
``+ -``; ``* / // %``; signs; ``**``. Sizes are bounded before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from edgestream.errors import ConfigError, did_you_mean
from edgestream.expr.functions import AGGREGATES, FUNCTIONS, Function
from edgestream.expr.syntax import Apply, Constant, Name, Node, refuse
from edgestream.expr.tokens import Token, tokenize

MOST_NODES = 200
DEEPEST = 30
_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _POWER = range(10, 90, 10)
_BINARY: Mapping[str, int] = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in", "not", "is"), _COMPARE),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "//", "%"), _PRODUCT),
    "**": _POWER,
}
_VALUES = {"true": True, "false": False, "null": None}
_WORDS = {"and", "or", "not", "in", "is", "missing", *_VALUES}
_LOOKALIKES = {**{word: word for word in _WORDS}, "none": "null", "nan": "null", "nil": "null"}
_INSTEAD = {
    "if": "write if(condition, a, b)",
    "else": "write if(condition, a, b)",
    "between": "write x >= a and x <= b",
    "like": "use contains, starts_with or ends_with",
    "for": "there are no loops; a function works on every row",
    "lambda": "there are no functions of your own here; see the operator use",
}


N = TypeVar("N", Constant, Name, Apply)


def parse(text: str) -> Node:
    """The tree of an expression; raises `ConfigError` with the place of what is wrong."""
    found = tokenize(text)
    if len(found) == 1:
        raise refuse("the expression is empty", 1, "write a condition or a value")
    tokens = _Tokens(found)
    node = _Parser(tokens).expression(0)
    if tokens.next.kind != "end":
        raise tokens.unexpected()
    return node


class _Tokens:
    """The tokens, read left to right."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0

    @property
    def next(self) -> Token:
        """The token that comes next."""
        return self._tokens[self._position]

    def take(self) -> Token:
        """The next token, moving on."""
        token = self.next
        self._position += token.kind != "end"
        return token

    def comes(self, *texts: str) -> bool:
        """Whether the next token is one of these words or symbols."""
        return self.next.kind in ("name", "symbol") and self.next.text in texts

    def skip(self, *texts: str) -> Token | None:
        """Take the next token if it is one of these."""
        return self.take() if self.comes(*texts) else None

    def close(self, opening: Token) -> None:
        """Take the bracket that closes ``opening``."""
        if self.skip(")"):
            return
        if self.next.kind == "end":
            raise refuse("the bracket is never closed", opening.column, "add )")
        raise self.unexpected()

    def unexpected(self, token: Token | None = None) -> ConfigError:
        """An error for a token that cannot stand where it does, the next one by default."""
        token = token or self.next
        if token.kind == "end":
            return refuse("the expression ends too early", token.column, "a value is missing")
        hint = ""
        if token.kind == "name":
            hint = _INSTEAD.get(token.text, "")
            if token.text.lower() in _WORDS and token.text not in _WORDS:
                hint = f"write {token.text.lower()}"
        if not hint and token.kind in ("number", "text", "name", "column"):
            hint = "an operator or a comma is missing before it"
        return refuse(f"unexpected {token.shown()}", token.column, hint)


class _Parser:
    """Makes nodes of tokens, within bounds."""

    def __init__(self, tokens: _Tokens) -> None:
        self.tokens = tokens
        self.nodes = 0
        self.depth = 0

    def counted(self, node: N) -> N:
        """A new node, refused where there are too many."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            message = f"the expression has more than {MOST_NODES} parts"
            raise refuse(message, node.column, "compute parts of it with set")
        return node

    @contextmanager
    def deeper(self, token: Token) -> Iterator[None]:
        """One level further in, refused where that is too deep."""
        self.depth += 1
        if self.depth > DEEPEST:
            message = f"the expression is nested more than {DEEPEST} deep"
            raise refuse(message, token.column, "compute parts of it with set")
        yield
        self.depth -= 1

    def expression(self, binding: int) -> Node:
        """Everything that binds tighter than ``binding``."""
        node = self.operand(binding)
        while True:
            token = self.tokens.next
            power = _BINARY.get(token.text, 0) if token.kind in ("name", "symbol") else 0
            if power <= binding:
                return node
            self.tokens.take()
            if power == _COMPARE:
                node = self.comparison(node, token)
            elif power == _POWER:
                with self.deeper(token):
                    exponent = self.expression(_SIGN - 1)
                node = self.counted(Apply("**", (node, exponent), token.column))
            else:
                arguments = (node, self.expression(power))
                node = self.counted(Apply(token.text, arguments, token.column))

    def operand(self, binding: int) -> Node:
        """A value, a column, a call, something in brackets, or one of these with a sign."""
        token = self.tokens.take()
        if token.kind in ("number", "text"):
            return self.counted(Constant(token.value, token.column))
        if token.kind == "column":
            return self.counted(Name(token.text, token.column))
        if token.kind == "symbol":
            with self.deeper(token):
                return self.symbol(token)
        if token.kind == "name":
            return self.word(token, binding)
        raise self.tokens.unexpected(token)

    def symbol(self, token: Token) -> Node:
        """A bracket or a sign."""
        if token.text == "(":
            node = self.expression(0)
            if self.tokens.comes(","):
                hint = "a list stands only after in"
                raise refuse("unexpected ','", self.tokens.next.column, hint)
            self.tokens.close(token)
            return node
        if token.text in "+-":
            inner = self.expression(_SIGN)
            return self.counted(Apply(f"{token.text}x", (inner,), token.column))
        raise self.tokens.unexpected(token)

    def word(self, token: Token, binding: int) -> Node:
        """A column, a call, ``true``, ``false``, ``null`` or ``not``."""
        if token.text == "not":
            if binding > _NOT:
                raise refuse("unexpected 'not'", token.column, "put brackets around not …")
            with self.deeper(token):
                return self.counted(Apply("not", (self.expression(_NOT),), token.column))
        if token.text in _VALUES:
            return self.counted(Constant(_VALUES[token.text], token.column))
        if token.text == "missing":
            hint = "write x is missing, or null for a missing value"
            raise refuse("unexpected 'missing'", token.column, hint)
        if token.text in _WORDS:
            raise self.tokens.unexpected(token)
        if self.tokens.comes("("):
            return self.call(token)
        _refuse_lookalike(token)
        return self.counted(Name(token.text, token.column))

    def call(self, token: Token) -> Node:
        """A function with its arguments."""
        function = _function(token)
        opening = self.tokens.take()
        arguments: list[Node] = []
        with self.deeper(token):
            while not (self.tokens.comes(")") and not arguments):
                arguments.append(self.expression(0))
                if not self.tokens.skip(","):
                    break
        self.tokens.close(opening)
        if not function.takes(len(arguments)):
            hint = f"write {function.usage}"
            if token.text in AGGREGATES:
                hint += f"; {token.text} over a window stands in its aggregate:"
            count = f"{len(arguments)} argument{'s' * (len(arguments) != 1)}"
            raise refuse(f"{token.text}() cannot take {count}", token.column, hint)
        return self.counted(Apply(token.text, tuple(arguments), token.column))

    def comparison(self, left: Node, token: Token) -> Node:
        """What follows a comparison, ``in``, ``not in`` or ``is``."""
        if token.text == "is":
            node = self.missing_test(left, token)
        elif token.text in ("in", "not"):
            node = self.membership(left, token)
        else:
            right = self.expression(_COMPARE)
            for side in (left, right):
                if isinstance(side, Constant) and side.value is None:
                    hint = "write is missing or is not missing"
                    raise refuse("nothing compares with null", side.column, hint)
            node = self.counted(Apply(token.text, (left, right), token.column))
        follower = self.tokens.next
        if follower.kind in ("name", "symbol") and _BINARY.get(follower.text) == _COMPARE:
            hint = "write a < b and b < c"
            raise refuse("comparisons cannot be chained", follower.column, hint)
        return node

    def missing_test(self, left: Node, token: Token) -> Node:
        """``is missing``, ``is not missing``; ``null`` may stand for ``missing``."""
        negated = self.tokens.skip("not")
        if not self.tokens.comes("missing", "null"):
            hint = "write is missing, is not missing, or == to compare"
            found = self.tokens.next
            raise refuse(f"unexpected {found.shown()} after is", found.column, hint)
        self.tokens.take()
        name = "is not missing" if negated else "is missing"
        return self.counted(Apply(name, (left,), token.column))

    def membership(self, left: Node, token: Token) -> Node:
        """``in (a, b)`` or ``not in (a, b)``."""
        name = "in"
        if token.text == "not":
            if not self.tokens.skip("in"):
                raise refuse("unexpected 'not'", token.column, "write and not …, or not in (…)")
            name = "not in"
        if not self.tokens.comes("("):
            hint = "write in ('a', 'b'); for a part of a text use contains(text, part)"
            found = self.tokens.next
            raise refuse(f"unexpected {found.shown()} after in", found.column, hint)
        opening = self.tokens.take()
        choices = [self.choice()]
        while self.tokens.skip(","):
            choices.append(self.choice())
        self.tokens.close(opening)
        return self.counted(Apply(name, (left, *choices), token.column))

    def choice(self) -> Constant:
        """A constant of a list, a number perhaps with a sign."""
        sign = self.tokens.skip("-", "+")
        token = self.tokens.take()
        if token.kind == "number" and isinstance(token.value, int | float):
            value = -token.value if sign is not None and sign.text == "-" else token.value
            return self.counted(Constant(value, token.column))
        if sign is None and token.kind == "text":
            return self.counted(Constant(token.value, token.column))
        if sign is None and token.kind == "name" and token.text in ("true", "false"):
            return self.counted(Constant(_VALUES[token.text], token.column))
        hint = "a list holds constants; compare columns with == and or"
        raise refuse(f"unexpected {token.shown()} in a list", token.column, hint)


def _function(token: Token) -> Function:
    """The function a call names; raises `ConfigError` where there is none."""
    found = FUNCTIONS.get(token.text)
    if found is not None:
        return found
    if token.text in AGGREGATES:
        message = f"{token.text}() is an aggregate: it works on the rows of a window"
        hint = f"write it in the aggregate: of a window, such as {{x: {token.text}(…)}}"
        raise refuse(message, token.column, hint)
    hint = did_you_mean(token.text, FUNCTIONS)
    raise refuse(f"there is no function {token.text!r}", token.column, hint)


def _refuse_lookalike(token: Token) -> None:
    """``True``, ``None`` or ``AND`` where a column could stand is a slip, not a column."""
    meant = _LOOKALIKES.get(token.text.lower())
    if meant is not None:
        hint = f"write {meant}; a column of this name stands in backquotes"
        raise refuse(f"unexpected {token.text!r}", token.column, hint)
