"""A Bloom filter in 64-bit words: all bits of a key lie in one word, so a look-up is one read.

That takes more memory than bits spread over the whole filter (24 bits a key instead of 14.4 for
an error of 0.001) and a tenth of the time.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from edgestream.operators.fingerprint import Words

_WORD = 64
_MOST = 10
"""Bits a key: each takes 6 bits of a half fingerprint."""
_HALF = np.uint64(32)
_ONE = np.uint64(1)


class Bits:
    """The filter: ``each`` bits a key in one of ``size`` words."""

    __slots__ = ("_each", "words")

    def __init__(self, size: int, each: int, words: Words | None = None) -> None:
        """Start empty, or with the words of another."""
        self._each = each
        self.words = np.zeros(size, np.uint64) if words is None else words

    def add(self, one: Words, two: Words) -> NDArray[np.bool_]:
        """Take keys; those are True that were not there, neither before nor in a row above."""
        places = (((one >> _HALF) * np.uint64(len(self.words))) >> _HALF).astype(np.int64)
        wanted = np.zeros(len(two), np.uint64)
        for at in range(self._each):
            wanted |= _ONE << ((two >> np.uint64(6 * at)) & np.uint64(63))
        fresh = np.zeros(len(one), np.bool_)
        left = np.flatnonzero(self.words[places] & wanted != wanted)
        while len(left):  # as often as keys of one batch share a word: two or three times
            # Of rows that share a word the first is new: all before it have been decided.
            rows = left[np.unique(places[left], return_index=True)[1]]
            fresh[rows] = True
            self.words[places[rows]] |= wanted[rows]
            left = left[self.words[places[left]] & wanted[left] != wanted[left]]
        return fresh


@functools.lru_cache(maxsize=64)
def sized(capacity: float, error: float) -> tuple[int, int]:
    """The fewest words, and the bits a key, with which ``capacity`` keys give ``error``."""
    low, high = 0.5, 0.5  # bits a key
    while _error(capacity, high)[0] > error:
        low, high = high, 2 * high
    while high - low > 0.1:
        middle = (low + high) / 2
        low, high = (low, middle) if _error(capacity, middle)[0] <= error else (middle, high)
    return _words(capacity, high), _error(capacity, high)[1]


def _words(capacity: float, bits: float) -> int:
    return max(1, math.ceil(capacity * bits / _WORD))


def _error(capacity: float, bits: float) -> tuple[float, int]:
    """The least error, with the number of bits a key that gives it."""
    load = capacity / _words(capacity, bits)
    keys = np.arange(int(load + 20 * math.sqrt(load)) + 40)
    # How many keys fall into a word is Poisson distributed.
    factorials = np.concatenate([[0.0], np.cumsum(np.log(keys[1:]))])
    weights = np.exp(keys * math.log(load) - load - factorials)
    return min(
        (float(weights @ (1 - (1 - 1 / _WORD) ** (each * keys)) ** each), each)
        for each in range(1, _MOST + 1)
    )
