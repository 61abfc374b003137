import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgestream.codecs import digits as module
from edgestream.codecs.digits import (
    decimal,
    digit_values,
    first_mark,
    not_digits,
    quotes,
    whole,
)
from edgestream.textcodes import MOST_WORDS, WORD

ROWS = st.integers(1, MOST_WORDS).flatmap(
    lambda words: st.lists(
        st.binary(min_size=WORD * words, max_size=WORD * words)
        | st.text('0123456789."-', min_size=WORD * words, max_size=WORD * words).map(str.encode),
        min_size=1,
        max_size=5,
    )
)


def packed(rows):
    return np.frombuffer(b"".join(rows), np.uint64).reshape(len(rows), -1)


def first(row, wanted):
    return next((at for at, byte in enumerate(row) if wanted(byte)), len(row))


@given(ROWS)
def test_where_digits_and_texts_end(rows):
    words = packed(rows)
    ends = first_mark(not_digits(digit_values(words))).tolist()
    assert ends == [first(row, lambda byte: not 48 <= byte <= 57) for row in rows]
    ends = first_mark(quotes(words)).tolist()
    assert ends == [first(row, lambda byte: byte == 34) for row in rows]


@given(st.lists(st.integers(0, 10**19 - 1), min_size=1), st.integers(3, 4))
def test_whole_numbers(numbers, words):
    texts = [str(number).encode() for number in numbers]
    rows = [text.rjust(WORD * words, b"x") for text in texts]
    counts = np.fromiter(map(len, texts), np.uint8, len(texts))
    assert whole(packed(rows), counts).tolist() == numbers


@given(
    st.lists(
        st.tuples(st.integers(0, 2**64 - 1) | st.integers(0, 10**6), st.integers(0, 22)), min_size=1
    )
)
@example([(2273, 20), (2**53 + 1, 0)])
def test_decimals_are_the_nearest_floats_where_they_are_surely_so(pairs):
    mantissa = np.array([number for number, _ in pairs], np.uint64)
    places = np.array([place for _, place in pairs], np.uint8)
    floats, sure = decimal(mantissa, places)
    for number, place, made, known in zip(*zip(*pairs, strict=True), floats, sure, strict=True):
        assert known or number > 2**53
        assert not known or made == float(f"{number}e-{place}")


@pytest.mark.parametrize("power", range(1, 64))
def test_halfway_between_two_floats_none_is_surely_the_nearest(power):
    """Beside a power of two, where the floats below lie closer together, and elsewhere."""
    half = max(1, 2**power >> 54)
    numbers = [2**power + half, 2**power - half, 3 * 2 ** max(0, power - 1) + half]
    numbers = [number for number in numbers if 0 < number < 2**64]
    floats, sure = decimal(np.array(numbers, np.uint64), np.zeros(len(numbers), np.uint8))
    for number, made, known in zip(numbers, floats, sure, strict=True):
        assert not known or made == float(number)


def test_nearly_all_long_decimals_are_sure():
    rng = np.random.default_rng(3)
    mantissa = rng.integers(10**16, 10**19, 100_000, np.uint64)
    _, sure = decimal(mantissa, rng.integers(0, 19, 100_000).astype(np.uint8))
    assert sure.mean() > 0.99  # whole numbers often lie halfway
    assert (mantissa > module._EXACT).all()
