"""Key columns as 128-bit fingerprints: what an operator remembers of a key instead of the key.

The rule: equal keys have equal fingerprints, in every run and however the rows were cut, so they
may be stored. Whole numbers and the floats equal to them are one key. Two different keys share a
fingerprint once in 10^38 pairs; texts go through BLAKE2, so nobody can make two that do.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgestream.batch import Array, Batch, Column, Dictionary, Strings
from edgestream.component import State
from edgestream.errors import ConfigError, Problem

Words: TypeAlias = NDArray[np.uint64]

_DICTIONARIES = 4
"""How many dictionaries are remembered a column; a source has one."""
_FEWEST = 256
_EXACT = 1 << 53
# Arrays without a dimension: numpy takes 0.2 µs more for each number.
_GOLDEN = np.array(0x9E3779B97F4A7C15, np.uint64)
_SECOND = np.array(0xD1B54A32D192ED03, np.uint64)
_FACTORS = np.array([[_GOLDEN], [_SECOND]])
_MIX_1 = np.array(0xBF58476D1CE4E5B9, np.uint64)
_MIX_2 = np.array(0x94D049BB133111EB, np.uint64)
_S30, _S27, _S31 = (np.array(bits, np.uint64) for bits in (30, 27, 31))


@dataclass(frozen=True, slots=True)
class Prints:
    """One fingerprint a row, in two halves; ``known`` are the rows whose key is complete."""

    one: Words
    two: Words
    known: NDArray[np.bool_] | None
    """None: all of them."""


class Fingerprints:
    """Fingerprints of the same key columns, batch after batch."""

    def __init__(self, names: Sequence[str]) -> None:
        """Take the names of the key columns."""
        self._columns = [(name, _Texts(first=not at)) for at, name in enumerate(names)]

    def of(self, batch: Batch) -> Prints:
        """The fingerprint of each row."""
        rows = len(batch)
        halves: Words | None = None
        known: NDArray[np.bool_] | None = None
        for name, texts in self._columns:
            column = batch.columns.get(name)
            if column is None:
                none = np.zeros(rows, np.uint64)
                return Prints(none, none, np.zeros(rows, np.bool_))
            there = present(column)
            if there is not None:
                known = there if known is None else known & there
            value = texts.of(column) if isinstance(column, Strings) else _numbers(column)
            if halves is None:
                halves = value if isinstance(column, Strings) else _mixed(value)
            else:
                # Multiplied by different odd numbers, the columns are not interchangeable.
                halves *= _FACTORS
                halves += value
                halves = _mixed(halves)
        assert halves is not None, "there is a key column"
        return Prints(halves[0], halves[1], known)


def present(column: Column) -> NDArray[np.bool_] | None:
    """The rows in which a column holds a value; None stands for all."""
    if isinstance(column, Strings):
        codes = column.codes
        return None if not len(codes) or np.minimum.reduce(codes) >= 0 else codes >= 0
    if column.dtype.kind not in "fM":
        return None
    there: NDArray[np.bool_] = column == column
    return None if there.all() else there


def compare_keys(saved: State, version: int, by: Sequence[str]) -> None:
    """Raise `ConfigError` where a snapshot is of another version or of other key columns."""
    if saved.version != version:
        hint = "start with fresh state, or with the version that wrote it"
        raise ConfigError(Problem(f"the state has the unknown version {saved.version}", hint=hint))
    if saved.meta["by"] != list(by):
        hint = "go back to what it was, or start with fresh state"
        names = ", ".join(saved.meta["by"])
        raise ConfigError(Problem(f"the saved state is of the keys {names}", ("by",), hint))


class _Texts:
    """The fingerprints of the texts of dictionaries, each reckoned once.

    Those of the first key column are mixed as they will be: nothing comes before them.
    """

    def __init__(self, *, first: bool) -> None:
        self._first = first
        self._known: OrderedDict[int, tuple[Dictionary, Words, int]] = OrderedDict()

    def of(self, column: Strings) -> Words:
        """Two halves a row, an array of its own."""
        dictionary = column.dictionary
        # Holding the dictionary keeps its id its own.
        _, table, count = self._known.get(id(dictionary), (dictionary, _table(_FEWEST), 0))
        if count < len(dictionary) or count == 0:
            table = self._grown(table, count, dictionary)
            self._known[id(dictionary)] = dictionary, table, len(dictionary)
            if len(self._known) > _DICTIONARIES:
                self._known.popitem(last=False)
        self._known.move_to_end(id(dictionary))
        return table.take(column.codes, axis=1)

    def _grown(self, table: Words, count: int, dictionary: Dictionary) -> Words:
        """Told of the texts from ``count`` on."""
        size = len(dictionary)
        if size >= table.shape[1]:  # one place more than there are texts: a missing row has −1
            larger = _table(2 * size)
            larger[:, :count] = table[:, :count]
            table = larger
        fresh = _digests(dictionary.values[count:])
        table[:, count:size] = _mixed(fresh) if self._first else fresh
        return table

    def __deepcopy__(self, memo: object) -> _Texts:
        """Empty: nothing here but what can be reckoned again."""
        return _Texts(first=self._first)


def _table(size: int) -> Words:
    return np.zeros((2, size), np.uint64)


def _digests(texts: Iterable[str]) -> Words:
    # 0.5 µs a text, once for each text of a dictionary, not for each row; a copy of a hash that has
    # its settings takes half as long as a new one.
    empty = hashlib.blake2b(digest_size=16).copy
    digests = []
    for text in texts:
        digest = empty()
        digest.update(text.encode("utf-8", "surrogatepass"))
        digests.append(digest.digest())
    words = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)
    return np.array(words.T, np.uint64, order="C")


def _numbers(column: Array) -> Words:
    """Two halves for each number, the same for equal numbers of any type."""
    halves = np.empty((2, len(column)), np.uint64)
    bits = _bits(column)
    halves[0] = bits
    np.bitwise_xor(bits, _SECOND, halves[1])
    return _mixed(halves)


def _bits(column: Array) -> Words:
    """64 bits for each number, the same for equal numbers of any type."""
    if column.dtype.kind == "M":
        return column.astype("datetime64[us]").view(np.uint64) ^ _GOLDEN
    floats = column.astype(np.float64)
    if column.dtype.kind == "i" and len(column):
        if max(-int(np.minimum.reduce(column)), int(np.maximum.reduce(column))) > _EXACT:
            # Those that no float is equal to stand for themselves.
            inside = np.abs(floats) < 2.0**63
            exact = inside & (np.where(inside, floats, 0.0).astype(np.int64) == column)
            return np.where(exact, floats.view(np.uint64), column.view(np.uint64))
    else:
        floats += 0.0  # −0.0 is 0.0
    return floats.view(np.uint64)


def _mixed(words: Words) -> Words:
    """Every bit depends on every bit (the finish of SplitMix64); in place."""
    part = words >> _S30
    words ^= part
    words *= _MIX_1
    np.right_shift(words, _S27, part)
    words ^= part
    words *= _MIX_2
    np.right_shift(words, _S31, part)
    words ^= part
    return words
