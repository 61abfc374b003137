"""Clocks: when what wakes up now and then does so."""

import pytest

from edgestream.clock import until_next


@pytest.mark.parametrize(("now", "left"), [(0, 100), (1, 99), (99, 1), (100, 100), (250, 50)])
def test_what_wakes_now_and_then_wakes_together(now: int, left: int) -> None:
    assert until_next(100, now) == left
