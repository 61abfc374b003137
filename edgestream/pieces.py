"""Payloads where they lie in what was read: cut out only when somebody asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Pieces(Sequence[bytes]):
    """Pieces of ``data``, in the order in which they lie there; none overlaps the one before it.

    ``starts`` and ``stops`` are their bounds, one each a piece. ``printable`` says that every byte
    of every piece is known to be ASCII, and no control character below 32.
    """

    __slots__ = ("_cut", "data", "printable", "starts", "stops")

    def __init__(
        self,
        data: bytes,
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        *,
        printable: bool = False,
    ) -> None:
        """Nothing is copied."""
        self._cut: list[bytes] | None = None
        self.data = data
        self.starts = starts
        self.stops = stops
        self.printable = printable

    def __len__(self) -> int:
        """The number of pieces."""
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Pieces: ...
    def __getitem__(self, index: int | slice) -> bytes | Pieces:
        """One piece, cut out; or some, where they are. A slice goes forward."""
        if isinstance(index, slice):
            starts, stops = self.starts[index], self.stops[index]
            return Pieces(self.data, starts, stops, printable=self.printable)
        return self.data[self.starts[index] : self.stops[index]]

    def __iter__(self) -> Iterator[bytes]:
        """All of them, cut out; who goes through them again finds them cut."""
        if self._cut is None:
            data, starts, stops = self.data, self.starts.tolist(), self.stops.tolist()
            self._cut = [data[start:stop] for start, stop in zip(starts, stops, strict=True)]
        return iter(self._cut)

    def __eq__(self, other: object) -> bool:
        """Whether the other, pieces or a list, holds the same."""
        if not isinstance(other, Pieces | list):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The bytes of each piece."""
        return self.stops - self.starts

    @staticmethod
    def together(parts: Sequence[Sequence[bytes]]) -> Sequence[bytes]:
        """The items of all parts, one part after the other; pieces if all parts are such."""
        if len(parts) == 1:
            return parts[0]
        pieces = [part for part in parts if isinstance(part, Pieces)]
        if len(pieces) < len(parts) or not parts:
            return [item for part in parts for item in part]
        data, moved = pieces[0].data, [0] * len(parts)
        if any(part.data is not data for part in pieces):
            moved = [0, *accumulate(len(part.data) for part in pieces[:-1])]
            data = b"".join(part.data for part in pieces)
        return Pieces(
            data,
            np.concatenate([part.starts + by for part, by in zip(pieces, moved, strict=True)]),
            np.concatenate([part.stops + by for part, by in zip(pieces, moved, strict=True)]),
            printable=all(part.printable for part in pieces),
        )
