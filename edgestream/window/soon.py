"""The cells that have to be looked at up to a moment, so that closing costs what closes soon.

Who closes looks at these alone. When the moment is past all cells are gone through once, for those
that come up to the next.
"""

from __future__ import annotations

import numpy as np

from edgestream.aggregate.pool import Pool
from edgestream.window.kind import UNKNOWN, Mask, Times
from edgestream.window.lookup import Numbers


class Soon:
    """Cells that are noted until they are let go, each once."""

    __slots__ = ("_noted", "_parts", "_pool", "until")

    def __init__(self, pool: Pool) -> None:
        """Follow the size of ``pool``; no moment is near before all cells were gone through."""
        self._pool = pool
        self.until = UNKNOWN
        """Cells to be looked at after it are not noted."""
        self._parts = [np.zeros(0, np.intp)]
        self._noted = np.zeros(len(pool), np.bool_)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._noted.nbytes + sum(part.nbytes for part in self._parts)

    @property
    def cells(self) -> Numbers:
        """All that are noted."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def note(self, cells: Numbers, moments: Times) -> None:
        """Note those of these cells, each there once, to be looked at up to `until`."""
        near = cells[moments <= self.until]
        if len(near):
            self._fit()
            near = near[~self._noted[near]]
            self._noted[near] = True
            self._parts.append(near)

    def keep(self, which: Mask) -> None:
        """Let go of the others among `cells`."""
        cells = self.cells
        self._noted[cells[~which]] = False
        self._parts = [cells[which]]

    def renew(self, cells: Numbers) -> None:
        """Let go of all that is noted but for these."""
        self._fit()
        self._noted[self.cells] = False
        self._noted[cells] = True
        self._parts = [cells]

    def _fit(self) -> None:
        more = len(self._pool) - len(self._noted)
        if more:
            self._noted = np.concatenate([self._noted, np.zeros(more, np.bool_)])
