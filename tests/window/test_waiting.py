import numpy as np

from edgestream.batch import Batch, Dictionary, Strings
from edgestream.window.kind import FAR
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
    assert waiting.nbytes == 2 * 3 * ROW  # room for as many again, and the row that was taken
    meta, arrays = waiting.save()
    again = Waiting(["device", "n", "absent"])
    again.load(meta, arrays)
    assert waiting.nbytes == again.nbytes == 2 * ROW
    waiting.add(batch([4], "a"), 4)
    waiting.take()
    assert waiting.nbytes == 0


def test_what_is_taken_a_little_at_a_time_is_what_came() -> None:
    rng = np.random.default_rng(3)
    texts = Dictionary()
    waiting = Waiting(["device", "n"])
    rows: list[tuple[int, int]] = []
    for moment in range(0, 4000, 10):
        times = moment + rng.integers(0, 200, 10)
        numbers = np.arange(len(rows), len(rows) + 10)
        device = Strings(texts.encode([f"d{n}" for n in numbers]), texts)
        waiting.add(Batch({"device": device, "n": numbers * 1.0}, times), int(times.min()))
        rows += zip(times.tolist(), numbers.tolist(), strict=True)
        taken = [row for row in rows if row[0] < moment]
        rows = [row for row in rows if row[0] >= moment]
        assert found(waiting.take(moment)) == taken
        assert (waiting.rows, waiting.low) == (len(rows), min(rows)[0] if rows else FAR)
        rows_bytes = (8 + 8 + 4) * (len(rows) + len(taken) + 10)
        assert waiting.nbytes <= 4 * rows_bytes
        if moment % 70 == 0:
            wanted = int(rng.integers(0, len(rows) + 1))
            newest = found(waiting.newest(wanted))
            assert len(newest) >= wanted
            assert newest == rows[len(rows) - len(newest) :]
        if moment % 390 == 0:
            meta, arrays = waiting.save()
            waiting = Waiting(["device", "n"])
            waiting.load(meta, arrays)
    assert found(waiting.take()) == rows
    assert (waiting.rows, waiting.low, waiting.take()) == (0, FAR, [])


def found(batches: list[Batch]) -> list[tuple[int, int]]:
    rows = [row for one in batches for row in zip(one.times, one.rows(), strict=True)]
    assert all(row["device"] == f"d{int(row['n'])}" for _, row in rows)
    return [(int(time), int(row["n"])) for time, row in rows]
