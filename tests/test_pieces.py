"""Pieces are as good as the list of what they hold, and are joined where they lie."""

from __future__ import annotations

import numpy as np
import pytest

from edgestream.pieces import Pieces

DATA = b"..one...two.three"


def made(*bounds: tuple[int, int], data: bytes = DATA, printable: bool = False) -> Pieces:
    starts, stops = np.array(bounds, np.int64).reshape(-1, 2).T
    return Pieces(data, starts, stops, printable=printable)


def test_they_are_a_sequence_of_bytes() -> None:
    pieces = made((2, 5), (8, 11), (11, 11), (12, 17))
    assert len(pieces) == 4
    assert list(pieces) == list(pieces) == [b"one", b"two", b"", b"three"]
    assert pieces[1] == b"two"
    assert pieces[-1] == b"three"
    assert pieces.sizes.tolist() == [3, 3, 0, 5]
    assert b"two" in pieces
    assert b"on" not in pieces
    assert pieces == [b"one", b"two", b"", b"three"] == pieces
    assert pieces == made((0, 3), (3, 6), (6, 6), (6, 11), data=b"onetwothree")
    assert pieces != [b"one"]
    with pytest.raises(IndexError):
        pieces[4]


def test_a_slice_copies_nothing() -> None:
    pieces = made((2, 5), (8, 11), (12, 17), printable=True)
    some = pieces[1:]
    assert isinstance(some, Pieces)
    assert some.data is pieces.data
    assert list(some) == [b"two", b"three"]
    assert some.printable


def test_of_one_read_they_are_put_together_where_they_lie() -> None:
    whole = Pieces.together([made((2, 5), printable=True), made((8, 11), (12, 17), printable=True)])
    assert isinstance(whole, Pieces)
    assert whole.data is DATA
    assert whole.printable
    assert list(whole) == [b"one", b"two", b"three"]


def test_of_two_reads_they_are_put_together_in_a_new_one() -> None:
    parts = [made((2, 5), printable=True), made((1, 3), data=b"\0\1\2\3"), made((8, 11))]
    whole = Pieces.together(parts)
    assert isinstance(whole, Pieces)
    assert list(whole) == [b"one", b"\1\2", b"two"]
    assert not whole.printable


def test_with_others_they_become_a_list() -> None:
    assert Pieces.together([[b"x"], made((2, 5)), [b"y", b"z"]]) == [b"x", b"one", b"y", b"z"]
    assert Pieces.together([]) == []
