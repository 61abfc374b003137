"""From payloads to columns: those of a known shape all at once, the others one by one.

The rule: whether a payload is read by its shape changes nothing but the time it takes. A shape is
taken from a payload that was read alone, and reads only values that fit what is known of their
columns; such a payload teaches nothing, so it does not matter which of them are read first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array, Column, Strings
from edgestream.codecs.columns import Learnt, join, piece
from edgestream.codecs.json_decode import Form, Reading
from edgestream.codecs.json_layout import Layout
from edgestream.component import Decoded

TOGETHER = 4096
"""About so many payloads are read at once: what is made of more does not fit in the L2 cache."""
MAX_SHAPES = 8
_SAMPLES = 4
_WORTH = 16
"""Where fewer than one in so many was read one by one, it is not worth to look for shapes."""
_LONGEST_PAUSE = 63


class AnyShape(Protocol):
    """What payloads of one shape have in common."""

    @property
    def literals(self) -> tuple[bytes, ...]:
        """The bytes that are the same in all of them; there is one shape for them."""

    def usable(self) -> bool:
        """Whether the values of all its columns can be read as they are."""

    def widened(self, other: Self) -> Self:
        """The same shape, reading what ``other`` of the same literals reads too."""


S = TypeVar("S", bound=AnyShape)


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the rows: which payloads they are of, and their columns; None is all missing."""

    rows: NDArray[np.int64]
    columns: Mapping[str, Array | None]


class Followed:
    """The payloads that are of a shape as far as they were followed, and the values up to there."""

    def __init__(
        self, rows: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> None:
        """Begin with ``rows`` of a block, whose payloads have these bounds."""
        self.rows = rows
        every = len(rows) == len(starts)
        self.at: NDArray[np.int64] = starts if every else starts[rows]
        self.ends: NDArray[np.int64] = ends if every else ends[rows]
        self.values: dict[str, Any] = {}

    def keep(self, good: NDArray[np.bool_]) -> None:
        """Let go of the others."""
        if good.all():
            return
        self.rows, self.at, self.ends = self.rows[good], self.at[good], self.ends[good]
        for name, values in self.values.items():
            self.values[name] = values[good]


class ShapedReading(Reading, Generic[S]):
    """The state of decoding, with the shapes of the payloads that came."""

    def __init__(self, layout: Layout, form: Form) -> None:
        """Begin without a shape."""
        super().__init__(layout, form)
        self._shapes: list[S] = []
        self._pause = 0
        self._paused = 0

    @property
    @abstractmethod
    def few(self) -> int:
        """Fewer payloads take less time one by one."""

    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """The columns of the good payloads, and why the others are rejected."""
        self._renew()
        if len(payloads) < self.few:
            return self._each(payloads)
        parts: list[Part] = []
        left = [np.arange(len(payloads))]
        looked = not self._pause
        if not looked:
            self._pause -= 1
        else:
            left = []
            size = -(-len(payloads) // max(1, round(len(payloads) / TOGETHER)))
            for first in range(0, len(payloads), size):
                some = payloads if size == len(payloads) else payloads[first : first + size]
                found, rest = self._follow(some)
                parts += [Part(first + part.rows, part.columns) for part in found]
                left.append(first + rest)
        return self._finish(payloads, parts, np.concatenate(left), looked)

    def _finish(
        self, payloads: Sequence[bytes], parts: list[Part], rest: NDArray[np.int64], looked: bool
    ) -> Decoded:
        """All parts in the order of the payloads, after the rest was read one by one."""
        kept = None
        rejected: dict[int, str] = {}
        if len(rest):
            decoded = self._each([payloads[row] for row in rest.tolist()] if parts else payloads)
            good = rest if decoded.good is None else rest[decoded.good]
            if looked and _WORTH * len(rest) >= len(payloads):
                self._learn_shape(payloads, good, len(rest))
            if not parts:
                return decoded
            rejected = {int(rest[row]): why for row, why in decoded.rejected.items()}
            columns = {
                name: column.codes if isinstance(column, Strings) else column
                for name, column in decoded.columns.items()
            }
            parts = [*parts, Part(good, columns)]
        places = np.concatenate([part.rows for part in parts])
        order = None if (places[1:] > places[:-1]).all() else np.argsort(places)
        if rejected:
            kept = places if order is None else places[order]
        return Decoded(self._joined(parts, order), len(places), kept, rejected)

    def _joined(
        self, parts: Sequence[Part], order: NDArray[np.int64] | None
    ) -> Mapping[str, Column]:
        columns: dict[str, Column] = {}
        for name, column in self.layout.columns.items():
            whole = join(column, [(len(part.rows), self._piece(column, part)) for part in parts])
            columns[name] = whole if order is None else whole[order]
        return columns

    def _piece(self, column: Learnt, part: Part) -> Array | None:
        """A column of a part: missing values where payloads of another shape have some."""
        values = part.columns.get(column.name)
        if values is None and self._readers[column.name] is not None:
            return piece(column, [None] * len(part.rows))
        return values

    def _follow(self, payloads: Sequence[bytes]) -> tuple[list[Part], NDArray[np.int64]]:
        """What is read by shapes, and which payloads are left."""
        shapes = [shape for shape in self._shapes if shape.usable()]
        if not shapes:
            return [], np.arange(len(payloads))
        left, parts = self._read_by(shapes, payloads)
        # Those that read most are tried first the next time, and forgotten last.
        many = {shape.literals: -len(part.rows) for shape, part in zip(shapes, parts, strict=True)}
        self._shapes.sort(key=lambda shape: many.get(shape.literals, 0))
        return [part for part in parts if len(part.rows)], np.flatnonzero(left)

    @abstractmethod
    def _read_by(
        self, shapes: Sequence[S], payloads: Sequence[bytes]
    ) -> tuple[NDArray[np.bool_], list[Part]]:
        """Which payloads are left, and a part for each shape."""

    def _learn_shape(self, payloads: Sequence[bytes], good: NDArray[np.int64], missed: int) -> None:
        """Make the shape known of one of the payloads that none of the known ones read.

        Where there is nothing new and most were missed, looking for shapes is given up for a while.
        """
        known = {shape.literals: at for at, shape in enumerate(self._shapes)}
        for row in good[:: max(1, len(good) // _SAMPLES)].tolist():
            shape = self._shape_of(payloads[row])
            if shape is None:
                continue
            at = known.get(shape.literals)
            if at is None:
                self._shapes = [shape, *self._shapes[: MAX_SHAPES - 1]]
                break
            wider = self._shapes[at].widened(shape)
            if wider is not self._shapes[at]:
                self._shapes[at] = wider
                break
        else:
            if 2 * missed > len(payloads):
                self._paused = min(2 * self._paused + 1, _LONGEST_PAUSE)
                self._pause = self._paused
            return
        self._paused = 0

    @abstractmethod
    def _shape_of(self, payload: bytes) -> S | None:
        """The shape of a payload that was read alone, if it has one."""
