import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgestream.codecs.columns import Learnt
from edgestream.codecs.json_short import short
from edgestream.textcodes import WORD

NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
WHOLE = re.compile(rb"-?(?:0|[1-9][0-9]*)")
WORDS = st.binary(min_size=WORD, max_size=WORD) | st.text(
    "00123456789.-,}", min_size=WORD, max_size=WORD
).map(str.encode)
NUMBERS = st.tuples(
    st.from_regex(NUMBER, fullmatch=True),
    st.sampled_from([b",", b"}", b"\n", b" ", b"\xc3"]),
    WORDS,
).map(lambda parts: b"".join(parts)[:WORD])


def read(words, column):
    """Alone each, as one that is not good may leave all others unread."""
    for word in words:
        size, good, values = short(np.frombuffer(word, np.uint64), column, np.ones(1, np.bool_))
        yield int(size[0]) if good[0] else None, None if values is None else values[0]


@pytest.mark.parametrize(("kind", "number"), [("float", NUMBER), ("int", WHOLE)])
@given(words=st.lists(WORDS | NUMBERS, min_size=1, max_size=9))
@example([b"-0.0,  ,", b"-0,     ", b"0,123456", b"01,     ", b"1234567,", b"12345678"])
@example([b"-,      ", b"--1,    ", b".5,     ", b"1.,     ", b"1.}1,   ", b"-1.5.2,,"])
@example([b"21.53\xff\xff\xff", b"-21}0\x5a\x00\x07", b"21}01234", b"2}.5,   ", b"0.000000"])
def test_numbers_as_the_grammar_has_them(kind, number, words):
    """A point behind one that is good belongs to no literal, so it is not found there."""
    for word, (size, value) in zip(words, read(words, Learnt("x", kind)), strict=True):
        found = number.match(word)
        end = WORD if found is None else found.end()
        ends = end < WORD and word[end] not in b".0123456789"
        if size is None:
            assert not ends or found.group() == b"-0"
            continue
        assert number.fullmatch(word[:size])
        assert size == end if ends else word[size] == ord(".")
        assert repr(value.item()) == repr({"float": float, "int": int}[kind](word[:size]))


@pytest.mark.parametrize("kind", ["float", "int", None])
def test_what_nobody_reads_must_be_a_number_too(kind):
    words = [b"12,     ", b"01,     ", b"-,      ", b"a,      ", b"1234567}", b"12345678"]
    packed = np.frombuffer(b"".join(words), np.uint64)
    column = None if kind is None else Learnt("x", kind)
    _, good, values = short(packed, column, np.ones(len(words), np.bool_))
    assert good.tolist() == [True, False, False, False, True, False]
    assert values is None
