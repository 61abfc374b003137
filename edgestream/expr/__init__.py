r"""The expression language: parsed, checked, compiled to numpy; never ``eval``.

Values: numbers ``12 0.5 1e3``; text ``'on'`` or ``"on"`` with ``\n \t \r \\ \' \" \u0041``;
``true false``; ``null`` for missing. Columns by name (``device``, ``sensor.temp``), others in
backquotes (`` `my column` ``). Loosest first: ``or``, ``and``, ``not``; ``< <= > >= == !=``,
``x in ('a', 'b')``, ``x not in (…)``, ``x is missing``, ``x is not missing``; ``+ -``;
``* / // %``; signs; ``**``. Calls: see `FUNCTIONS`. Comparisons cannot be chained.

Missing: arithmetic and functions of a missing value give missing; a comparison with one is false
(``!=`` and ``not in`` too); ``and``, ``or``, ``not`` and the condition of ``if`` take missing for
false. A column that a batch lacks is missing in all its rows.

Numbers: whole numbers stay whole under ``+ - *``, and under ``// %`` by a constant; a batch in
which a result leaves 64 bits is computed in float64. ``/`` and ``**`` give float64. Division by
zero gives inf or NaN. ``round`` goes half to even, ``%`` has the sign of the divisor. A whole
result with missing rows (``hour(t)``, ``length(x)``) is float64.

Kinds are checked at load where they are known. Where they are not, values are read as they are
needed and nothing fails: text as the number it holds, numbers as text, ISO 8601 text and epoch
seconds as times, true as 1; what cannot be read is missing. Two columns of unlike kinds compare
as numbers. A text longer than 65,536 characters made by a function is missing.

Bounds: 500 characters, 200 parts, 30 levels.
"""

from edgestream.expr.expression import Expr, expression
from edgestream.expr.functions import AGGREGATES, FUNCTIONS, Function
from edgestream.expr.parser import parse
from edgestream.expr.syntax import Apply, Constant, Name, Node
from edgestream.expr.tokens import Token, tokenize

__all__ = [
    "AGGREGATES",
    "FUNCTIONS",
    "Apply",
    "Constant",
    "Expr",
    "Function",
    "Name",
    "Node",
    "Token",
    "expression",
    "parse",
    "tokenize",
]
