"""The kit lets good operators pass, and catches each thing an operator can do wrong."""

import numpy as np
import pytest

from edgestream.batch import Batch, Strings, from_rows
from edgestream.component import MAIN, Operator, State, component
from edgestream.config.fields import state
from edgestream.testing.operators import check_operator, read_state, run_operator, write_state

ROWS = [{"x": float(i), "s": f"d{i % 3}"} for i in range(7)]
BATCHES = [from_rows(ROWS[:5], range(5)), 3, from_rows(ROWS[5:], range(5, 7)), 100]


@component("same")
class Same(Operator):
    """Gives what it gets."""

    def process(self, batch):
        return [(MAIN, batch)] if len(batch) else []


@component("total")
class Total(Operator):
    """A running sum beside every row, and the sum as a row of its own on the watermark."""

    ports = ("sums",)
    _sum: float = state(float)

    def process(self, batch):
        if not len(batch):
            return []
        sums = self._sum + np.cumsum(batch["x"])
        self._sum = float(sums[-1])
        return [(MAIN, batch.with_columns(sum=sums))]

    def advance(self, watermark):
        return [("sums", from_rows([{"sum": self._sum}], [watermark]))]

    def snapshot(self):
        return State(1, {"sum": self._sum}, {"sums": np.array([self._sum])})

    def restore(self, saved):
        assert saved.version == 1
        self._sum = float(saved.arrays["sums"][0])


def test_good_operators_pass():
    rows = check_operator(Same(), BATCHES)
    assert [row["x"] for row in rows[MAIN]] == list(range(7))
    assert [row["@time"] for row in rows[MAIN]] == list(range(7))
    rows = check_operator(Total(), BATCHES)
    assert [row["sum"] for row in rows[MAIN]] == [0, 1, 3, 6, 10, 15, 21]
    assert rows["sums"] == [{"sum": 10.0, "@time": 3}, {"sum": 21.0, "@time": 100}]


class Changes(Same):
    def process(self, batch):
        batch.times.setflags(write=True)
        batch.times[:] += 1
        return [(MAIN, batch)] if len(batch) else []


class Unfreezes(Same):
    def process(self, batch):
        batch["x"].setflags(write=True)
        return super().process(batch)


class GivesNothing(Same):
    def process(self, batch):
        return [(MAIN, batch)]


class FailsOnNothing(Same):
    def process(self, batch):
        batch["x"][0]
        return super().process(batch)


class CountsBatches(Total):
    def process(self, batch):
        if not len(batch):
            return []
        self._sum += 1
        return [(MAIN, batch.with_columns(n=[self._sum] * len(batch)))]


class OncePerBatch(Same):
    def process(self, batch):
        return [(MAIN, batch.take(slice(0, 1)))] if len(batch) else []


class ForgetsToSave(Total):
    def snapshot(self):
        return None


class SavesTooLittle(Total):
    def restore(self, saved):
        self._sum = 0.0


class SharesItsState(Total):
    def __post_init__(self):
        super().__post_init__()
        self._sums = np.zeros(1)

    def process(self, batch):
        made = super().process(batch)
        self._sums[0] = self._sum
        return made

    def snapshot(self):
        return State(1, {}, {"sums": self._sums})


class SavesObjects(Total):
    def snapshot(self):
        return State(1, {}, {"sums": np.array([self._sum], object)})


class SavesNoJson(Total):
    def snapshot(self):
        return State(1, {"sum": float("nan")}, {})


class UnknownPort(Same):
    def process(self, batch):
        return [("elsewhere", batch)] if len(batch) else []


class LostKey(Same):
    def process(self, batch):
        return [(MAIN, Batch(batch.columns, batch.times, ("gone",)))] if len(batch) else []


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Unfreezes, "has changed"),
        (GivesNothing, "without rows"),
        (CountsBatches, "cut into single rows, row"),
        (OncePerBatch, "cut into single rows, 7 rows"),
        (ForgetsToSave, "restored after event 1, row"),
        (SavesTooLittle, "restored after event 1, row"),
        (SharesItsState, "changed later on"),
        (SavesObjects, "Python objects"),
        (UnknownPort, "not among the ports"),
        (LostKey, "key columns"),
    ],
)
def test_each_fault_is_caught(cls, words):
    with pytest.raises(AssertionError, match=words):
        check_operator(cls(), fresh())


def fresh():
    """Batches of their own, for operators that spoil them."""
    return [from_rows(ROWS[:5], range(5)), 3, from_rows(ROWS[5:], range(5, 7)), 100]


def test_changed_input_is_caught():
    with pytest.raises(AssertionError):
        check_operator(Changes(), fresh())


@pytest.mark.parametrize(
    ("cls", "error"), [(FailsOnNothing, IndexError), (SavesNoJson, ValueError)]
)
def test_what_raises_is_not_hidden(cls, error):
    with pytest.raises(error):
        check_operator(cls(), fresh())


@component("shuffled")
class Backwards(Same):
    """Gives the rows of a batch backwards."""

    def process(self, batch):
        return [(MAIN, batch.take(slice(None, None, -1)))] if len(batch) else []


def test_order_counts_unless_told_otherwise():
    with pytest.raises(AssertionError, match="row 0"):
        check_operator(Backwards(), BATCHES)
    check_operator(Backwards(), BATCHES, ordered=False)


def test_run_operator_keeps_its_state():
    total = Total()
    run_operator(total, BATCHES[:1])
    assert run_operator(total, [100])["sums"] == [{"sum": 10.0, "@time": 100}]


def test_state_is_written_and_read():
    arrays = {"a": np.arange(3), "text": np.array(["é", ""]), "none": np.zeros((0, 2))}
    again = read_state(write_state(State(7, {"x": [1, None, "é"]}, arrays)))
    assert (again.version, again.meta) == (7, {"x": [1, None, "é"]})
    for name, array in arrays.items():
        assert again.arrays[name].dtype == array.dtype
        assert again.arrays[name].tolist() == array.tolist()


def test_text_columns_are_compared():
    batch = Batch({"s": Strings.of(["a", None])}, np.zeros(2, np.int64))
    assert check_operator(Same(), [batch])[MAIN][1] == {"s": None, "@time": 0}
