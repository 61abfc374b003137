"""One key column as dense numbers: 0, 1, 2, … for its values in the order they first came.

Missing is a value like others. Text is looked up once per dictionary, not once per row: the codes
of a dictionary never change their meaning.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgestream.aggregate.values import join, keep, kind_of, to_column
from edgestream.batch import MISSING, NAT, Array, Column, Dictionary, Strings
from edgestream.schema import ColumnKind
from edgestream.window.lookup import Lookup, Numbers

_DICTIONARIES = 4
"""How many dictionaries are remembered; a source has one a column."""
_NOT_YET = np.iinfo(np.int64).max
"""The number of the missing text before one came: above all others."""
_EXACT = 2.0**53
_TEXT_BYTES = 128
"""What one text is reckoned at."""


class NumberKeys:
    """Numbers and times; missing is the lowest int64, which numpy calls NaT."""

    def __init__(self, kind: ColumnKind = "any", values: NDArray[np.int64] | None = None) -> None:
        """Start with values as `save` gives them."""
        self.kind = kind
        self.lookup = Lookup(values)

    def __len__(self) -> int:
        """How many different values there are."""
        return len(self.lookup)

    def numbers(self, column: Array) -> Numbers:
        """The dense number of each row."""
        wider = join(self.kind, _kind_beside(column, self.kind))
        if wider != self.kind:
            self._widen(wider)
        return self.lookup.numbers(_to_bits(column, self.kind))

    def find(self, column: Array) -> Numbers:
        """The dense number of each row, −1 where its value never came; changes nothing."""
        wider = join(self.kind, _kind_beside(column, self.kind))
        if wider == self.kind:
            return self.lookup.find(_to_bits(column, wider))
        values = cast("Array", _from_bits(self.lookup.values, self.kind))
        known = _to_bits(values, wider) if len(values) else self.lookup.values
        return Lookup(known).find(_to_bits(column, wider))

    def take(self, numbers: Numbers) -> Column:
        """The values behind dense numbers."""
        return _from_bits(self.lookup.values[numbers], self.kind)

    def only(self, numbers: Numbers) -> NumberKeys:
        """These alone, numbered anew in the same order."""
        return NumberKeys(self.kind, self.lookup.values[numbers])

    def _widen(self, kind: ColumnKind) -> None:
        values = _from_bits(self.lookup.values, self.kind)
        self.kind = kind
        if len(self.lookup):
            self.lookup = Lookup(_to_bits(cast("Array", values), kind))

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self.lookup.nbytes


class TextKeys:
    """Text; missing is None.

    A text has its code in the dictionary of the keys as its number, one more where missing came
    before it. As long as all texts come from one dictionary, nobody has to look for a text by its
    letters: a code that is new is a text that is new.
    """

    kind: ColumnKind = "string"

    def __init__(self, texts: Sequence[str | None] = ()) -> None:
        """Start with ``texts``, all different, as 0, 1, 2, …"""
        self._dictionary = Dictionary()
        self._dictionary.append(text for text in texts if text is not None)
        self._source: Dictionary | None = None
        """The one that all texts come from, if there is one."""
        self._missing = texts.index(None) if None in texts else _NOT_YET
        self._remaps: OrderedDict[int, tuple[Dictionary, Numbers]] = OrderedDict()

    def __len__(self) -> int:
        """How many different values there are."""
        return len(self._dictionary) + (self._missing != _NOT_YET)

    @property
    def texts(self) -> list[str | None]:
        """Dense number → text."""
        return self.take(np.arange(len(self))).to_list()

    def numbers(self, column: Column) -> Numbers:
        """The dense number of each row."""
        if not isinstance(column, Strings):
            column = Strings.of(keep(column, "string").tolist())
        remap = self._remap(column.dictionary)
        found: Numbers = remap[column.codes]  # a missing row has code −1: the last position
        if np.minimum.reduce(found) < 0:
            self._learn(column.dictionary, remap, column.codes[found < 0])
            found = remap[column.codes]
        return found

    def find(self, column: Column) -> Numbers:
        """The dense number of each row, −1 where its text never came; learns none."""
        if not isinstance(column, Strings):
            column = Strings.of(keep(column, "string").tolist())
        remap = self._remap(column.dictionary)
        found: Numbers = remap[column.codes]
        if len(found) and np.minimum.reduce(found) < 0:
            unsure = np.flatnonzero(found < 0)
            codes, back = np.unique(column.codes[unsure], return_inverse=True)
            remap[codes] = numbers = self._found(column.dictionary, codes)
            found[unsure] = numbers[back]
        return found

    def take(self, numbers: Numbers) -> Strings:
        """The texts behind dense numbers, in one dictionary that lives as long as the keys."""
        codes = (numbers - (numbers > self._missing)).astype(np.int32)
        if self._missing != _NOT_YET:
            codes[numbers == self._missing] = MISSING
        return Strings(codes, self._dictionary)

    def only(self, numbers: Numbers) -> TextKeys:
        """These alone, numbered anew in the same order."""
        kept = TextKeys(self.take(numbers).to_list())
        if self._source is not None:
            place = np.full(len(self) + 1, -1, np.intp)  # the last is for codes without a number
            place[numbers] = np.arange(len(numbers))
            _, remap = self._remaps[id(self._source)]
            kept._remaps[id(self._source)] = self._source, place[remap]
            kept._source = self._source
        return kept

    @property
    def nbytes(self) -> int:
        """The bytes held; texts are reckoned."""
        return _TEXT_BYTES * len(self) + sum(remap.nbytes for _, remap in self._remaps.values())

    def _found(self, source: Dictionary, codes: NDArray[np.int32]) -> Numbers:
        """The dense numbers of codes that were not looked up before, −1 where there is none."""
        numbers = np.full(len(codes), -1, np.intp)
        if source is not self._source:
            texts = np.flatnonzero(codes != MISSING)
            values = source.values
            mine = self._dictionary.find([values[code] for code in codes[texts].tolist()])
            numbers[texts] = mine + (mine >= self._missing)
        if self._missing != _NOT_YET:
            numbers[codes == MISSING] = self._missing
        return numbers

    def _remap(self, dictionary: Dictionary) -> Numbers:
        """Code → dense number or −1, of a dictionary that is held so that its id stays its own."""
        known = self._remaps.get(id(dictionary))
        remap = np.full(1, -1, np.intp) if known is None else known[1]
        if known is None or len(remap) <= len(dictionary):
            larger = np.full(max(64, 2 * len(dictionary)) + 1, -1, np.intp)
            larger[: len(remap) - 1] = remap[:-1]
            larger[-1] = remap[-1]
            remap = larger
            self._remaps[id(dictionary)] = dictionary, remap
            if len(self._remaps) > _DICTIONARIES:
                _, (gone, _) = self._remaps.popitem(last=False)
                if gone is self._source:
                    self._source = None
        self._remaps.move_to_end(id(dictionary))
        return remap

    def _learn(self, source: Dictionary, remap: Numbers, codes: NDArray[np.int32]) -> None:
        marks = np.arange(len(codes))
        remap[codes[::-1]] = marks[::-1]  # of rows with one code the mark of the first stays
        fresh = codes[remap[codes] == marks]
        if fresh.min() == MISSING:
            at = int(np.flatnonzero(fresh == MISSING)[0])
            self._learn_texts(source, remap, fresh[:at])
            if self._missing == _NOT_YET:
                self._missing = len(self._dictionary)
            remap[MISSING] = self._missing
            fresh = fresh[at + 1 :]
        self._learn_texts(source, remap, fresh)

    def _learn_texts(self, source: Dictionary, remap: Numbers, codes: NDArray[np.int32]) -> None:
        values = source.values
        texts = [values[code] for code in codes.tolist()]
        known = len(self._dictionary)
        if not known:
            self._source = source
        if source is self._source:
            numbers = np.arange(known, known + len(texts))
            self._dictionary.append(texts)
        else:
            self._source = None
            numbers = self._dictionary.encode(texts).astype(np.intp)
        remap[codes] = numbers + (numbers >= self._missing)


class KeyColumn:
    """A key column of any kind; one that turns out to hold text is text from then on."""

    def __init__(self) -> None:
        """Start with no values."""
        self._keys: NumberKeys | TextKeys = NumberKeys()

    def __len__(self) -> int:
        """How many different values there are."""
        return len(self._keys)

    @property
    def nbytes(self) -> int:
        """The bytes held."""
        return self._keys.nbytes

    def numbers(self, column: Column | None, rows: int) -> Numbers:
        """The dense number of each row; a column that is not there is missing in all rows."""
        if column is None:
            column = np.full(rows, np.nan)
        if isinstance(column, Strings) and isinstance(self._keys, NumberKeys):
            self._keys = _as_texts(self._keys)
        if isinstance(self._keys, TextKeys):
            return self._keys.numbers(column)
        return self._keys.numbers(cast("Array", column))

    def find(self, column: Column | None, rows: int) -> Numbers:
        """The dense number of each row, −1 where its value never came; adds none."""
        if column is None:
            column = np.full(rows, np.nan)
        keys = self._keys
        if isinstance(keys, TextKeys):
            return keys.find(column)
        if isinstance(column, Strings):
            return _as_texts(keys).find(column)
        return keys.find(column)

    def take(self, numbers: Numbers) -> Column:
        """The values behind dense numbers."""
        return self._keys.take(numbers)

    def keep(self, numbers: Numbers) -> None:
        """Forget all others; what is kept is numbered anew in the same order."""
        self._keys = self._keys.only(numbers)

    def save(self) -> tuple[Any, NDArray[np.int64]]:
        """A JSON value and an array that `load` understands."""
        if isinstance(self._keys, TextKeys):
            return {"kind": "string", "texts": self._keys.texts}, np.zeros(0, np.int64)
        return {"kind": self._keys.kind}, self._keys.lookup.values.copy()

    def load(self, meta: Any, values: NDArray[np.int64]) -> None:
        """Become the column that gave these to `save`."""
        text = meta["kind"] == "string"
        self._keys = TextKeys(meta["texts"]) if text else NumberKeys(meta["kind"], values)


def _as_texts(keys: NumberKeys) -> TextKeys:
    return TextKeys(keep(keys.take(np.arange(len(keys))), "string").tolist())


def _kind_beside(column: Array, kept: ColumnKind) -> ColumnKind:
    """The kind of a column beside keys of kind ``kept``.

    Whole numbers among which some are missing come as floats; they stay what they were.
    """
    kind = kind_of(column)
    if kind == "float" and kept != "float":
        there = column[column == column]
        if not len(there):
            return kept
        whole = (there == np.floor(there)) & (np.abs(there) < _EXACT)
        return kept if kept in ("int", "any") and whole.all() else kind
    return kind


def _to_bits(column: Array, kind: ColumnKind) -> NDArray[np.int64]:
    if kind in ("float", "any"):
        numbers = keep(column, "float") + 0.0  # −0.0 is 0.0
        return np.where(numbers == numbers, numbers.view(np.int64), NAT)
    if column.dtype.kind == "f":
        missing = column != column
        return np.where(missing, NAT, np.where(missing, 0.0, column).astype(np.int64))
    return keep(column, kind)


def _from_bits(bits: NDArray[np.int64], kind: ColumnKind) -> Column:
    held = bits != NAT
    if kind in ("float", "any"):
        return np.where(held, bits.view(np.float64), np.nan)
    return to_column(bits, kind, held)
