"""Values as 64-bit hashes, the same in every run: what sketches tell values apart by.

Whole numbers and the floats equal to them have one hash. Two different values share one once in
10^19 pairs; texts go through BLAKE2, each text of a dictionary once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array, Dictionary, Strings

Hashes: TypeAlias = NDArray[np.uint64]

_DICTIONARIES = 4
"""How many dictionaries are remembered; a source has one a column."""
_EXACT = 1 << 53
_TIME = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)


class TextHashes:
    """The hashes of the texts of dictionaries, each reckoned once; never part of a snapshot."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        """Know none."""
        self._known: OrderedDict[int, tuple[Dictionary, Hashes]] = OrderedDict()

    def of(self, column: Strings) -> Hashes:
        """The hashes of a column without missing rows."""
        dictionary = column.dictionary
        # Holding the dictionary keeps its id its own.
        _, table = self._known.get(id(dictionary), (dictionary, np.zeros(0, np.uint64)))
        if len(table) < len(dictionary):
            table = np.concatenate([table, of_texts(dictionary.values[len(table) :])])
            self._known[id(dictionary)] = dictionary, table
            if len(self._known) > _DICTIONARIES:
                self._known.popitem(last=False)
        if id(dictionary) in self._known:
            self._known.move_to_end(id(dictionary))
        found: Hashes = table[column.codes]
        return found

    def __deepcopy__(self, memo: object) -> TextHashes:
        """Empty: nothing here but what can be reckoned again."""
        return TextHashes()


def of_texts(texts: Iterable[str]) -> Hashes:
    """The hashes of texts, 0.8 µs each."""
    digest = hashlib.blake2b
    joined = b"".join(
        [digest(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts]
    )
    return np.frombuffer(joined, "<u8").astype(np.uint64)


def of_numbers(column: Array) -> Hashes:
    """The hashes of one or more numbers, flags or times."""
    if column.dtype.kind == "M":
        return _mixed(column.astype("datetime64[us]").view(np.uint64) ^ _TIME)
    floats = column.astype(np.float64) + 0.0  # −0.0 is 0.0
    bits = floats.view(np.uint64)
    if column.dtype.kind == "i" and max(-int(column.min()), int(column.max())) > _EXACT:
        # Those that no float is equal to stand for themselves.
        inside = np.abs(floats) < 2.0**63
        exact = inside & (np.where(inside, floats, 0.0).astype(np.int64) == column)
        bits = np.where(exact, bits, column.view(np.uint64))
    return _mixed(bits)


def _mixed(words: Hashes) -> Hashes:
    """Every bit depends on every bit (the finish of SplitMix64)."""
    mixed: Hashes = words ^ (words >> _S30)
    mixed *= _MIX_1
    mixed ^= mixed >> _S27
    mixed *= _MIX_2
    mixed ^= mixed >> _S31
    return mixed
