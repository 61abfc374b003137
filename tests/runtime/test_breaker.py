"""The breaker: the same rows open it at the same row, however they come in blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.clock import SECOND, ManualClock
from edgestream.runtime.breaker import LONGEST, Breaker
from edgestream.spec import DeadLetters


def breaker(**limits: object) -> Breaker:
    given_ = DeadLetters(**{"tolerance": 0.5, "within": 10, **limits})  # type: ignore[arg-type]
    return Breaker("source", given_, ManualClock())


def test_it_opens_beyond_the_tolerated_share_of_the_last_rows() -> None:
    one = breaker()
    one.observe(5, range(5), "not JSON")
    assert not one.open
    one.observe(1, [0], "not JSON")
    assert one.open
    assert one.why == (
        "source: 6 of the last 10 rows were bad (tolerated: 50%); the last: not JSON; "
        "look at them with: edgestream dlq ls"
    )


def test_good_rows_between_keep_it_closed() -> None:
    one = breaker()
    for _ in range(100):
        one.observe(10, range(5))
        one.observe(5)
    assert not one.open


@pytest.mark.parametrize(("tolerance", "opens"), [(0, True), (1, False)])
def test_none_or_all_may_be_tolerated(tolerance: float, opens: bool) -> None:
    one = breaker(tolerance=tolerance)
    one.observe(1_000_000)
    one.observe(1, [0])
    assert one.open == opens
    one.observe(50, range(50))
    assert one.open == opens


@given(
    st.lists(st.booleans(), min_size=1, max_size=200),
    st.lists(st.integers(1, 40), min_size=1, max_size=200),
    st.integers(1, 30),
    st.sampled_from([0.1, 0.3, 0.5, 0.9]),
)
def test_it_opens_in_the_block_of_the_same_row(
    rows: list[bool], sizes: list[int], within: int, tolerance: float
) -> None:
    counts = np.convolve(rows, np.ones(within, int))[: len(rows)]
    expected = next((i for i, n in enumerate(counts) if n > tolerance * within), None)
    one, begin, opened = breaker(within=within, tolerance=tolerance), 0, None
    while begin < len(rows) and opened is None:
        block = rows[begin : begin + sizes[begin % len(sizes)]]
        one.observe(len(block), [i for i, bad in enumerate(block) if bad])
        opened = (begin, begin + len(block)) if one.open else None
        begin += len(block)
    if expected is None:
        assert opened is None
    else:
        assert opened is not None
        assert opened[0] <= expected < opened[1]


def test_after_a_pause_one_block_is_tried_and_the_pause_doubles_while_it_is_bad() -> None:
    one = breaker(retry_after="1m")
    one.observe(6, range(6))
    pauses = []
    for _ in range(8):
        pauses.append(one.until // SECOND)
        one.again()
        assert not one.open
        one.observe(4, [0, 1, 2], "still bad")
        assert one.open
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert LONGEST == 3600 * SECOND
    assert "3 of 4 rows on trial were bad" in one.why
    one.again()
    one.observe(4, [0, 1])
    assert (one.open, one.why) == (False, "")
    one.observe(6, range(6))
    assert (one.open, one.until // SECOND) == (True, 60)
