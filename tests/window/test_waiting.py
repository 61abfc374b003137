import numpy as np

from edgestream.batch import Batch, Strings
from edgestream.window.waiting import Waiting

ROW = 8 + 8 + 4
"""Bytes of a row: its time, a number, the code of a text."""


def batch(times: list[int], device: str) -> Batch:
    columns = {"device": Strings.of([device] * len(times)), "n": np.zeros(len(times))}
    return Batch(columns, np.array(times))


def test_the_bytes_held_follow_what_waits() -> None:
    waiting = Waiting(["device", "n", "absent"])
    assert waiting.nbytes == 0
    waiting.add(batch([1, 5, 9], "a"), 1)
    waiting.add(batch([2, 3], "b"), 2)
    assert waiting.nbytes == 5 * ROW
    assert sum(map(len, waiting.take(5))) == 3
    assert waiting.nbytes == 2 * ROW
    meta, arrays = waiting.save()
    again = Waiting(["device", "n", "absent"])
    again.load(meta, arrays)
    assert waiting.nbytes == again.nbytes == 2 * ROW
    waiting.take()
    assert waiting.nbytes == 0
