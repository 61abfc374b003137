import itertools

import numpy as np
import pytest

from edgestream.codecs.struct_rows import Rows

RECORD = np.dtype([("a", "<u2"), ("b", "S2")])
SIZE, MARK = RECORD.itemsize, 8


def test_payloads_become_records():
    records = Rows(RECORD).read([b"\1\0ab", b"\2\0cd"])
    assert records["a"].tolist() == [1, 2]
    assert records["b"].tolist() == [b"ab", b"cd"]


def test_no_lengths_but_the_right_ones_are_taken():
    rows = Rows(RECORD)
    for count in (0, 1, 2, 3, 4):
        longest = {1: 60, 2: 40, 3: 30}.get(count, 18)
        for lengths in itertools.product(range(longest), repeat=count):
            if sum(lengths) == SIZE * count:
                taken = rows.read([bytes(length) for length in lengths]) is not None
                assert taken == (count > 0 and set(lengths) == {SIZE})


@pytest.mark.parametrize("text", [b"\xe5", b"\xe5" * 40, bytes(range(256))])
def test_what_looks_like_the_beginning_of_a_mark_is_none(text):
    rows = Rows(RECORD)
    for at in range(len(text)):
        long = (text[at:] + text)[: 2 * SIZE + MARK]
        short = SIZE * 3 - len(long)
        assert rows.read([long, *[b""] * (3 - 1)]) is None
        assert short < 0 or rows.read([long, bytes(short), b""]) is None


def test_two_readers_have_two_marks_and_no_mark_overlaps_itself():
    marks = {Rows(RECORD)._mark for _ in range(50)}
    assert len(marks) == 50
    assert all(mark.count(mark[:1]) == 1 and len(mark) == MARK for mark in marks)
