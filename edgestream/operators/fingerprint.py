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
_EXACT = 1 << 53
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xD1B54A32D192ED03)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)


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
        self._columns = [(name, _Texts()) for name in names]

    def of(self, batch: Batch) -> Prints:
        """The fingerprint of each row."""
        rows = len(batch)
        one, two = np.zeros(rows, np.uint64), np.zeros(rows, np.uint64)
        known: NDArray[np.bool_] | None = None
        for name, texts in self._columns:
            column = batch.columns.get(name)
            if column is None:
                return Prints(one, two, np.zeros(rows, np.bool_))
            there = present(column)
            if there is not None:
                known = there if known is None else known & there
            if isinstance(column, Strings):
                first, second = texts.of(column)
            else:
                bits = _bits(column)
                first, second = _mixed(bits), _mixed(bits ^ _SECOND)
            # Multiplied by different odd numbers, the columns are not interchangeable.
            one, two = _mixed(one * _GOLDEN + first), _mixed(two * _SECOND + second)
        return Prints(one, two, known)


def present(column: Column) -> NDArray[np.bool_] | None:
    """The rows in which a column holds a value; None stands for all."""
    if isinstance(column, Strings):
        return None if not len(column) or column.codes.min() >= 0 else column.codes >= 0
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
    """The fingerprints of the texts of dictionaries, each reckoned once."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Dictionary, Words]] = OrderedDict()

    def of(self, column: Strings) -> tuple[Words, Words]:
        dictionary = column.dictionary
        # Holding the dictionary keeps its id its own.
        _, table = self._known.get(id(dictionary), (dictionary, np.zeros((0, 2), np.uint64)))
        if len(table) <= len(dictionary):
            # One position more than there are texts: a missing row has code −1.
            fresh = _digests(dictionary.values[max(len(table) - 1, 0) :])
            table = np.concatenate([table[:-1], fresh, np.zeros((1, 2), np.uint64)])
            self._known[id(dictionary)] = dictionary, table
            if len(self._known) > _DICTIONARIES:
                self._known.popitem(last=False)
        self._known.move_to_end(id(dictionary))
        found = table[column.codes]
        return found[:, 0], found[:, 1]

    def __deepcopy__(self, memo: object) -> _Texts:
        """Empty: nothing here but what can be reckoned again."""
        return _Texts()


def _digests(texts: Iterable[str]) -> Words:
    # 0.8 µs a text, once for each text of a dictionary, not for each row.
    digest = hashlib.blake2b
    joined = b"".join(
        [digest(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
    )
    return np.frombuffer(joined, "<u8").astype(np.uint64).reshape(-1, 2)


def _bits(column: Array) -> Words:
    """64 bits for each number, the same for equal numbers of any type."""
    if column.dtype.kind == "M":
        return column.astype("datetime64[us]").view(np.uint64) ^ _GOLDEN
    floats = column.astype(np.float64)
    if column.dtype.kind == "i" and len(column):
        if max(-int(column.min()), int(column.max())) > _EXACT:
            # Those that no float is equal to stand for themselves.
            inside = np.abs(floats) < 2.0**63
            exact = inside & (np.where(inside, floats, 0.0).astype(np.int64) == column)
            return np.where(exact, floats.view(np.uint64), column.view(np.uint64))
    else:
        floats = floats + 0.0  # −0.0 is 0.0
    return floats.view(np.uint64)


def _mixed(words: Words) -> Words:
    """Every bit depends on every bit (the finish of SplitMix64)."""
    mixed: Words = words ^ (words >> _S30)
    mixed *= _MIX_1
    mixed ^= mixed >> _S27
    mixed *= _MIX_2
    mixed ^= mixed >> _S31
    return mixed
