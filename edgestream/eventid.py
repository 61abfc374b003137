"""What names an event, so that one which comes twice is known: ``event_id:`` beside a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgestream.config.convert import build, convert_fields
from edgestream.config.fields import option
from edgestream.config.values import Duration, nanos
from edgestream.errors import ConfigError, Problem
from edgestream.expr import Expr, expression

MOST = 100_000
_LONGEST = 3650 * 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Ids first seen between two checkpoints: rows of (half, half, moment), 24 bytes each.

    ``newest`` is the last of their moments in ns; whatever is from before ``floor`` is forgotten.
    """

    data: bytes
    newest: int
    floor: int


@dataclass(frozen=True, slots=True)
class EventId:
    """``event_id: id``, or ``event_id: {by: [device, frame], within: 1h, most: 100000}``.

    ``by`` names columns, or holds expressions; rows alike in all of them are one event. An id is
    remembered for ``within`` after it first arrived, and the last ``most`` ids at least that long.
    """

    by: Sequence[str] = option(
        help="Columns or expressions that together name an event.", example="[device, frame]"
    )
    within: Duration = option(
        default="1h",
        help="How long an id is remembered after it first arrived.",
        minimum=1_000_000,
        maximum=_LONGEST,
    )
    most: int = option(
        default=MOST,
        help="So many of the last ids are remembered; older ones are forgotten, 60 to 240 bytes "
        "each.",
        minimum=1,
        maximum=100_000_000,
    )

    def __post_init__(self) -> None:
        """Convert, and read the expressions; raises `ConfigError`."""
        if isinstance(self.by, str):
            object.__setattr__(self, "by", (self.by,))
        convert_fields(self)
        if not self.by:
            raise ConfigError(Problem("the name of a column is missing", ("by",), "write id"))
        self.expressions()

    @classmethod
    def from_config(cls, value: object) -> EventId:
        """A column or expression, a list of them, or a mapping of the fields above."""
        if isinstance(value, str | list):
            return build(cls, {"by": [value] if isinstance(value, str) else value})
        if isinstance(value, Mapping):
            by = value.get("by")
            return build(cls, {**value, "by": [by]} if isinstance(by, str) else value)
        raise ValueError("expected the name of a column, or {by, within, most}")

    def expressions(self) -> list[Expr]:
        """What is evaluated for each row, in order."""
        return [expression(text) for text in self.by]

    @property
    def nanos(self) -> int:
        """How long an id is remembered, in ns."""
        return int(nanos(self.within))
