"""Rows by slot and time: what `numpy.lexsort` gives, however far times and slots reach."""

import numpy as np
import pytest

from edgestream.window import order
from edgestream.window.order import by_slot

MOST = 2**62


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 64, 65, 1000])
@pytest.mark.parametrize(
    ("slots", "times"), [(1, 1), (5, 3), (1000, 2**40), (2**20, 2**33), (2**31, MOST)]
)
def test_rows_of_one_slot_and_time_stay_in_the_order_in_which_they_came(rows, slots, times):
    rng = np.random.default_rng(rows)
    one, other = rng.integers(0, slots, rows), rng.integers(-times, times, rows)
    assert by_slot(one, other).tolist() == np.lexsort((other, one)).tolist()
    again = np.repeat(one, 2), np.repeat(other, 2)
    assert by_slot(*again).tolist() == np.lexsort(again[::-1]).tolist()


@pytest.mark.parametrize(("bits", "packed"), [(63, True), (62, False)])
def test_what_just_fits_is_packed(bits, packed, monkeypatch):
    slots, times = np.array([2**20 - 1, 0, 5, 5]), np.array([0, 2**41 - 1, 7, 3])
    asked = []
    plain = np.lexsort
    monkeypatch.setattr(order, "_BITS", bits)
    monkeypatch.setattr(np, "lexsort", lambda keys: asked.append(keys) or plain(keys))
    assert by_slot(slots, times).tolist() == [1, 3, 2, 0]
    assert bool(asked) != packed
