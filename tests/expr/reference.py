"""What expressions mean, row by row in plain Python: slow, and written without numpy."""

import math
from datetime import UTC, datetime

from edgestream.expr.kinds import Kinds
from edgestream.expr.syntax import Apply, Constant, Name
from edgestream.schema import ColumnKind


def evaluate(tree, row: dict[str, object], kinds: dict[str, ColumnKind]) -> object:
    """The value of a tree for one row; None is missing."""
    known = Kinds(kinds.__getitem__)

    def value(node):
        if isinstance(node, Constant):
            return node.value
        made = row[node.name] if isinstance(node, Name) else apply(node)
        if known.of(node) == "float" and isinstance(made, int):
            made = float(made)
        return None if isinstance(made, float) and math.isnan(made) else made

    def apply(node: Apply):
        name = node.function
        if name == "if":
            condition, yes, no = node.arguments
            return value(yes if value(condition) is True else no)
        given = [value(argument) for argument in node.arguments]
        if name == "coalesce":
            return next((one for one in given if one is not None), None)
        if name in LOGIC:
            return LOGIC[name](*[one is True for one in given])
        if name in ("is missing", "is not missing"):
            return (given[0] is None) == (name == "is missing")
        if given[0] is None or (None in given and name not in ("in", "not in")):
            return False if known.of(node) == "bool" else None
        return ROWS[name](*given)

    return value(tree)


def divide(a, b):
    if b == 0:
        if a == 0 or math.isnan(a):
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def floor_divide(a, b):
    if b == 0:
        return divide(float(a), float(b))
    if isinstance(a, float) or isinstance(b, float):
        if math.isinf(a) or (math.isnan(a) or math.isnan(b)):
            return math.nan
        if math.isinf(b):
            return -1.0 if a != 0 and (a < 0) != (b < 0) else 0.0
    return a // b


def remainder(a, b):
    if b == 0 or math.isinf(a):
        return math.nan
    return a % b


def multiply(a, b):
    try:
        return a * b
    except OverflowError:
        return math.inf


def rounded(x, digits=0):
    if isinstance(x, int) and digits >= 0:
        return x
    if math.isinf(x):
        return x
    scale = 10.0 ** abs(digits)
    return float(round(x * scale)) / scale if digits >= 0 else float(round(x / scale)) * scale


def show(x):
    if isinstance(x, bool):
        return "true" if x else "false"
    if isinstance(x, datetime):
        text = x.astimezone(UTC).isoformat().replace("+00:00", "")
        return (text.rstrip("0").rstrip(".") if "." in text else text) + "Z"
    if isinstance(x, float) and abs(x) < 1e15 and x == int(x):
        return str(int(x))
    return x if isinstance(x, str) else repr(x)


def sign(x):
    return (x > 0) - (x < 0)


LOGIC = {
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": lambda a: not a,
}
ROWS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": multiply,
    "/": divide,
    "//": floor_divide,
    "%": remainder,
    "-x": lambda a: -a,
    "+x": lambda a: a,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "in": lambda a, *choices: a in choices,
    "not in": lambda a, *choices: a not in choices,
    "abs": abs,
    "sign": sign,
    "floor": lambda x: x if isinstance(x, int) or math.isinf(x) else math.floor(x),
    "ceil": lambda x: x if isinstance(x, int) or math.isinf(x) else math.ceil(x),
    "round": rounded,
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else math.nan,
    "min": min,
    "max": max,
    "clamp": lambda x, low, high: min(max(x, low), high),
    "is_finite": math.isfinite,
    "number": float,
    "lower": str.lower,
    "upper": str.upper,
    "length": len,
    "contains": lambda a, b: b in a,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "concat": lambda *given: "".join(map(show, given)),
    "text": show,
    "hour": lambda t: t.hour,
    "minute": lambda t: t.minute,
    "weekday": lambda t: t.weekday(),
    "day": lambda t: t.day,
    "month": lambda t: t.month,
    "year": lambda t: t.year,
    "seconds": lambda t: t.timestamp(),
}
