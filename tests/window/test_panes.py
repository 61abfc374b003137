import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.aggregate import count
from edgestream.aggregate.pool import Pool
from edgestream.window.panes import Panes

placed = st.lists(
    st.tuples(st.integers(-3, 3) | st.integers(-(2**40), 2**40), st.integers(0, 3000)),
    min_size=1,
    max_size=60,
)
steps = st.lists(placed | st.sets(st.integers(0, 10), max_size=3) | st.just("keep"), max_size=8)


class Model:
    """(pane, slot) → cell in a dict, beside the real thing."""

    def __init__(self):
        self.pool = Pool({"n": count()})
        self.panes = Panes(self.pool)
        self.known = {}
        self.slots = 1

    def place(self, pairs):
        panes = np.array([pane for pane, _ in pairs], np.int64)
        slots = np.array([slot for _, slot in pairs], np.intp)
        self.slots = max(self.slots, int(slots.max()) + 1)
        low, high = int(panes.min()), int(panes.max())
        cells = self.panes.locate(panes, low, high, slots, self.slots)
        for pair, cell in zip(pairs, cells.tolist(), strict=True):
            assert cell > 0
            assert self.known.setdefault(pair, cell) == cell
        assert len(set(self.known.values())) == len(self.known)

    def drop(self, which):
        panes = self.panes.panes().tolist()
        gone = [panes[at] for at in which if at < len(panes)]
        self.panes.drop(gone)
        self.known = {pair: cell for pair, cell in self.known.items() if pair[0] not in gone}

    def keep(self):
        used = self.panes.used(self.slots)
        kept = np.flatnonzero(used)
        assert kept.tolist() == sorted({slot for _, slot in self.known})
        self.panes.keep(kept)
        new = {slot: at for at, slot in enumerate(kept.tolist())}
        self.known = {(pane, new[slot]): cell for (pane, slot), cell in self.known.items()}
        self.slots = max(1, len(kept))

    def check(self):
        panes, slots, cells = (part.tolist() for part in self.panes.cells(self.panes.panes()))
        assert list(zip(panes, slots, strict=True)) == sorted(self.known)
        assert [self.known[pair] for pair in zip(panes, slots, strict=True)] == cells
        assert self.pool.lent == len(self.known)
        if panes:
            distinct = np.unique(panes)
            columns, block = self.panes.block(distinct)
            found = {
                (pane, slot): cell
                for pane, row in zip(distinct.tolist(), block[:-1].tolist(), strict=True)
                for slot, cell in zip(columns.tolist(), row, strict=True)
                if cell
            }
            assert found == self.known
            assert not block[-1].any()


@settings(max_examples=150, deadline=None)
@given(steps)
def test_panes_against_a_dict(given_steps):
    model = Model()
    for step in given_steps:
        if step == "keep":
            model.keep()
        elif isinstance(step, set):
            model.drop(step)
        else:
            model.place(step)
        model.check()
    loaded = Panes(model.pool)
    loaded.load(*model.panes.cells(model.panes.panes()))
    model.panes = loaded
    model.check()


@pytest.mark.parametrize("pane", [0, 10**12])
def test_a_pane_far_away_costs_what_its_keys_cost(pane):
    model = Model()
    model.place([(0, slot) for slot in range(3000)])
    before = model.panes.nbytes
    for k in range(1000):
        model.place([(pane + 1000 * (k + 1), k % 7)])
    assert model.panes.nbytes - before <= 1000 * 16
    model.check()


def test_a_pane_that_fills_up_becomes_dense():
    model = Model()
    model.place([(0, slot) for slot in range(2000)])
    for begin in range(0, 2000, 10):
        model.place([(77, slot) for slot in range(begin, begin + 10)])
    model.check()
    bytes_then = model.panes.nbytes
    model.place([(77, slot) for slot in range(2000)])
    assert model.panes.nbytes == bytes_then
