"""``count_distinct``: how many different values came, from a sketch of fixed size (HyperLogLog).

Each value has a register by the first bits of its hash, which keeps how rare the other bits are.
Registers only grow, so the sketch does not depend on the order of rows or on how often each came.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.function import ALL_KINDS, Function
from edgestream.aggregate.parts import Cells, Counts, Fields, Part
from edgestream.aggregate.values import Values
from edgestream.batch import Array, Column
from edgestream.schema import ColumnKind

_BITS = 11
REGISTERS = 1 << _BITS
_SHIFT = np.uint64(64 - _BITS)
_LOW = np.uint64((1 << 52) - 1)
_RAREST = 53
_AT_ONCE = 1024
"""How many cells are estimated together."""


class Registers(Part):
    """The rarest hash that came, by register: 1 + its leading zeros, 0 where none came."""

    def initial(self, kind: ColumnKind) -> Fields:
        """None came."""
        return {"registers": np.zeros(REGISTERS, np.uint8)}

    def update(self, state: Fields, cells: Cells, values: Values, times: NDArray[np.int64]) -> None:
        """Raise the registers."""
        hashes = values.hashes()
        # The exponent of the low 52 bits, which a float holds exactly, counts their zeros.
        _, exponents = np.frexp((hashes & _LOW).astype(np.float64))
        rank = (_RAREST - exponents).astype(np.uint8)
        at = cells * REGISTERS + (hashes >> _SHIFT).astype(np.intp)
        flat = state["registers"].reshape(-1)
        # Most registers are as high already once a cell has seen some hundred values.
        higher = np.flatnonzero(flat[at] < rank)
        np.maximum.at(flat, at[higher], rank[higher])

    def merge(self, state: Fields, counts: Counts) -> dict[str, Array]:
        """The highest of all layers."""
        return {"registers": np.maximum.reduce(state["registers"], axis=0)}


class CountDistinct(Function):
    """How many different values."""

    name = "count_distinct"
    help = "How many different values there are."
    error = "2.3 % (one standard deviation), a miss in 100 at 10 values"
    part: Part | None = Registers()
    takes = ALL_KINDS
    reads_text = True

    def result(self, kind: ColumnKind) -> ColumnKind:
        """Whole numbers."""
        return "int"

    def finish(self, counts: Counts, state: Fields, kind: ColumnKind) -> Column:
        """The estimate of each cell, never more than there are values."""
        registers = state["registers"]
        found = np.zeros(len(registers), np.int64)
        for begin in range(0, len(registers), _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            found[some] = np.rint(_estimate(registers[some]))
        return np.minimum(found, counts)


def _estimate(registers: Array) -> NDArray[np.float64]:
    """Otmar Ertl's estimator ("New cardinality estimation algorithms", 2017, section 4).

    One formula from a single value to billions, without tables.
    """
    cells = len(registers)
    rows = np.arange(cells)[:, None] * (_RAREST + 1)
    size = cells * (_RAREST + 1)
    tally = np.bincount((rows + registers).ravel(), minlength=size).reshape(cells, _RAREST + 1)
    z = REGISTERS * _tau(1.0 - tally[:, _RAREST] / REGISTERS)
    for rank in range(_RAREST - 1, 0, -1):
        z = 0.5 * (z + tally[:, rank])
    z = z + REGISTERS * _sigma(tally[:, 0] / REGISTERS)
    return np.asarray(REGISTERS * REGISTERS / (2.0 * math.log(2.0)) / z)


def _sigma(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of x^(2^k) 2^(k−1), and x: what empty registers add."""
    total, power, weight = x.copy(), x.copy(), 1.0
    for _ in range(60):
        power = power * power
        total = total + power * weight
        weight *= 2.0
    return np.where(x == 1.0, np.inf, total)


def _tau(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What full registers take away."""
    root, weight, total = x.copy(), 1.0, 1.0 - x
    for _ in range(60):
        root = np.sqrt(root)
        weight *= 0.5
        total = total - (1.0 - root) ** 2 * weight
    return np.where((x == 0.0) | (x == 1.0), 0.0, total / 3.0)
