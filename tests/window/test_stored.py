"""Saved arrays are of the type and shape they must be, or refused."""

import numpy as np
import pytest

from edgestream.batch import Strings
from edgestream.window.stored import stored, stored_texts, within


def test_what_fits_is_copied() -> None:
    given = np.arange(6).reshape(3, 2)
    given.flags.writeable = False
    found = stored(given, np.int64, None, 2)
    found[0] = 9
    assert given[0, 0] == 0
    assert within(np.zeros(0, np.int64), 0).size == 0


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (np.float64, (3, 2)),
        (np.int64, (2, 2)),
        (np.int64, (6,)),
        (np.int64, ()),
        (np.int32, (3, 2)),
    ],
)
def test_what_does_not_fit_is_refused(kind: type, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="an array is int64 of shape"):
        stored(np.arange(6).reshape(3, 2), kind, *shape)


@pytest.mark.parametrize("numbers", [[-1, 0], [0, 3]])
def test_numbers_of_nothing_are_refused(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="not from 0 to 2"):
        within(np.array(numbers), 3)


def test_a_code_has_its_text_or_is_missing() -> None:
    column = stored_texts(np.array([-1, 0], np.int32), ["a"], 2)
    assert isinstance(column, Strings)
    assert column.to_list() == [None, "a"]
    for codes in ([-2, 0], [0, 1]):
        with pytest.raises(ValueError, match="numbers from"):
            stored_texts(np.array(codes, np.int32), ["a"], 2)
