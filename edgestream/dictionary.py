"""The dictionary of a column of text: text to code and back, for columns that hold codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream.pieces import Pieces
from edgestream.textcodes import MOST_BYTES, WORD, TextCodes, Words, distinct, words_at

MISSING = -1
"""The code of a missing string."""


MANY = 16_384
"""From so many texts on a dictionary lies in no cache."""
FEW_PIECES = 256
"""Fewer pieces take less time one by one."""
_RECENT = 4096
"""So many texts still do, and wait to be moved into the table."""
_PAYS = 8
"""They are moved once one in so many of them came again, so those that never do cost little."""


class _Codes(dict[str | None, int]):
    """string → code, growing as strings are looked up."""

    __slots__ = ("values_list",)

    def __init__(self) -> None:
        super().__init__({None: MISSING})
        self.values_list: list[str] = []

    def __missing__(self, text: str | None) -> int:
        assert text is not None
        code = len(self.values_list)
        self.values_list.append(text)
        self[text] = code
        return code


class Dictionary:
    """The strings of a column, append-only: a code keeps its meaning in every later batch.

    Very many of them, and rows of words, are looked up in `TextCodes`; those that it does not
    hold, and the last texts that came, in a Python dictionary. Texts that were appended are in
    neither before anyone asks, and of few texts those that came as words only in the table.
    """

    __slots__ = ("_again", "_behind", "_codes", "_many", "_moved")

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Start with ``values`` as codes 0, 1, 2, …"""
        self._codes = _Codes()
        self._many: TextCodes | None = None
        self._moved = False
        self._again = 0
        self._behind: int | None = None
        for text in values:
            self._codes[text]

    def __len__(self) -> int:
        """How many different strings there are."""
        return len(self._codes.values_list)

    @property
    def values(self) -> Sequence[str]:
        """code → string; grows, never changes."""
        return self._codes.values_list

    def code(self, text: str) -> int:
        """The code of ``text``, or −1 where it never came; does not grow."""
        self._catch_up()
        code = self._codes.get(text)
        if code is not None:
            return code
        if self._many is None or not self._moved:
            return MISSING
        return int(self._many.find([text])[0])

    def find(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """The codes of ``texts``, or −1 where one never came; does not grow."""
        self._catch_up()
        known = self._codes.get
        codes = np.fromiter((known(text, MISSING) for text in texts), np.int32, len(texts))
        if self._many is not None and self._moved:
            rest = np.flatnonzero(codes < 0)
            if len(rest):
                codes[rest] = self._many.find([texts[row] for row in rest.tolist()])
        return codes

    def encode(self, texts: Sequence[str | None]) -> NDArray[np.int32]:
        """Codes of ``texts`` (None is missing), adding those that are new."""
        self._catch_up()
        known = len(self)
        if not self._moved:
            codes = self._encoded(texts)
            self._again += len(texts) - (len(self) - known)
            enough = MANY
        else:
            assert self._many is not None
            codes = self._many.find(texts)
            rest = np.flatnonzero(codes < 0)
            if len(rest):
                codes[rest] = self._encoded([texts[row] for row in rest.tolist()])
            self._again += len(rest) - (len(self) - known)
            known -= self._many.count
            enough = _RECENT
        if known >= enough and _PAYS * self._again >= known:
            self._settle()
        return codes

    def encode_words(self, words: Words) -> NDArray[np.int32]:
        """The same for texts that are rows of words: UTF-8 without a NUL, filled up with zeros."""
        many = self._many
        if many is None or many.count < len(self):
            many = self._settle()
        codes = many.look_up(words)
        rest = np.flatnonzero(codes < 0)
        if len(rest):
            codes[rest] = self._learn(many, np.ascontiguousarray(words[rest]))
        return codes

    def encode_pieces(self, pieces: Pieces) -> NDArray[np.int32] | None:
        """The same for texts where they lie in what was read, UTF-8 without a NUL.

        None where they are few or long, so that it is better to have them cut out.
        """
        sizes = pieces.sizes
        longest = int(sizes.max(initial=0))
        words = max(1, -(-longest // WORD))
        few = len(pieces) < FEW_PIECES
        if few or longest > MOST_BYTES or pieces.starts[-1] + words * WORD >= len(pieces.data):
            return None
        return self.encode_words(words_at(pieces.data, pieces.starts, sizes, words))

    def append(self, texts: Iterable[str]) -> None:
        """Add ``texts``, all different, none of which it holds; nobody looks whether that is so."""
        if self._behind is None:
            self._behind = len(self)
        self._codes.values_list.extend(texts)

    def _encoded(self, texts: Sequence[str | None]) -> NDArray[np.int32]:
        return np.fromiter(map(self._codes.__getitem__, texts), np.int32, len(texts))

    def _learn(self, many: TextCodes, words: Words) -> NDArray[np.intp]:
        """The codes of texts that are not in the table, which takes those that are new."""
        firsts, of = distinct(words)
        words = words[firsts]
        raw = words.view(f"S{words.shape[1] * words.itemsize}")[:, 0].tolist()
        texts = list(map(bytes.decode, raw))
        codes = np.full(len(texts), MISSING)
        if many.apart:
            known = self._codes.get
            codes[:] = [known(text, MISSING) for text in texts]
        new = np.flatnonzero(codes < 0)
        codes[new] = np.arange(len(self), len(self) + len(new))
        if len(new) < len(texts):
            texts, words = [texts[at] for at in new.tolist()], words[new]
        if self._moved:
            self._codes.values_list.extend(texts)
        else:
            self.append(texts)
        self._set_apart(many.add_words(words))
        if len(self) >= MANY and not self._moved:
            self._settle()
        return codes[of]

    def _catch_up(self) -> None:
        """See to it that texts that were appended are found."""
        if self._behind is None:
            return
        begin, self._behind = self._behind, None
        if len(self) >= MANY:
            self._settle()
        else:
            self._codes.update(zip(self.values[begin:], range(begin, len(self)), strict=True))

    def _settle(self) -> TextCodes:
        """Have the table hold all texts, and only it what it takes where there are many."""
        many = self._many
        if many is None or (len(self) >= MANY and not self._moved):
            many = self._many = TextCodes()
        fresh = self.values[many.count :]
        apart = many.add(fresh)
        self._again = 0
        if len(self) >= MANY:
            self._moved, self._behind = True, None
            for text in fresh:
                self._codes.pop(text, None)
        self._set_apart(apart)
        return many

    def _set_apart(self, codes: NDArray[np.intp]) -> None:
        """Have the Python dictionary hold what the table does not."""
        values = self.values
        for code in codes.tolist():
            self._codes[values[code]] = code
