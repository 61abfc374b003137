"""Panes merged ahead: what windows are made of, what that costs, and that nothing of it stays."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream import aggregate
from edgestream.aggregate.cells import Cells
from edgestream.aggregate.pool import Pool
from edgestream.batch import Batch
from edgestream.operators.window import Window
from edgestream.window.aligned import Aligned
from edgestream.window.grid import Even
from edgestream.window.kind import FAR, Rows
from edgestream.window.nodes import FEW, Nodes
from edgestream.window.panes import Panes

SECOND = 1_000_000_000


def a_pool() -> Pool:
    return Pool({"n": aggregate.count(), "top": aggregate.max("x")})


def panes_of(number: int, span: int) -> list[int]:
    """The panes in what has this number, by how numbers are given: 2^56 a level."""
    level = (number + (1 << 54)) >> 56
    size = 4**level
    first = (number - ((level << 56) + (1 << 54) if level else 0)) * size
    assert size <= span
    return list(range(first, first + size))


@given(st.integers(1, 500), st.integers(-(10**15), 10**15))
def test_a_window_is_made_of_each_of_its_panes_once_and_in_order(span, window):
    pool = a_pool()
    nodes = Nodes(pool, Panes(pool), Even(span, 1))
    (made_of,) = nodes.cover.numbers(np.array([window])).tolist()
    panes = [pane for number in made_of for pane in panes_of(number, span)]
    assert panes == list(range(window, window + span))
    assert len(made_of) <= nodes.cover.layers
    if span >= FEW:
        assert len(made_of) <= 6 * np.log(span) / np.log(4) + 1


class Stream:
    """Windows over ``keys`` keys, a row a key and second."""

    def __init__(self, span: int, keys: int, late: int = 0) -> None:
        self.pool = a_pool()
        self.kind = Aligned(self.pool, Even(span * SECOND, SECOND), late * SECOND)
        self.keys = keys

    def second(self, at: int) -> None:
        slots, times = np.arange(self.keys), np.full(self.keys, at * SECOND)
        placed = self.kind.place(Rows(slots, self.keys, times, at * SECOND, at * SECOND))
        assert placed.late is None
        self.pool.cells.update(placed.cells, Batch({"x": np.full(self.keys, float(at))}, times))

    def close(self, watermark: int) -> list[tuple[int, int, float]]:
        self.kind.watermark = watermark
        return [
            (start // SECOND, int(n), float(top))
            for closed in self.kind.close()
            for start, n, top in zip(
                closed.starts.tolist(), *closed.cells.finish().values(), strict=True
            )
        ]


@pytest.fixture
def merged(monkeypatch):
    """How many cells each merge was given."""
    counts: list[int] = []
    plain = Cells.merge

    def counted(self):
        counts.append(self.rows.size)
        return plain(self)

    monkeypatch.setattr(Cells, "merge", counted)
    return counts


def cells_a_row(span: int, merged: list[int]) -> float:
    stream = Stream(span, keys=5)
    rows = 0
    for at in range(3 * span):
        if at == span:  # from here on windows are whole
            merged.clear()
            rows = 0
        stream.second(at)
        found = stream.close((at + 1) * SECOND)
        rows += len(found)
        assert all(n == min(span, at + 1) and top == at for _, n, top in found)
    assert rows == 2 * span * 5
    return sum(merged) / rows


def test_a_row_that_leaves_costs_a_few_merges_however_many_panes_its_window_has(merged):
    of = {span: cells_a_row(span, merged) for span in (12, 60, 240)}
    assert of[12] == 12
    assert of[60] < 12
    assert of[240] < 15


def test_a_late_row_costs_the_nodes_that_it_falls_into(merged):
    stream = Stream(60, keys=5)
    for at in range(120):
        stream.second(at)
        stream.close((at + 1) * SECOND)
    merged.clear()
    stream.second(117)
    found = stream.close(121 * SECOND)
    assert found == [(61, 60, 119.0)] * 5  # second 120 is empty; 117 came twice
    assert sum(merged) < 5 * 40


def test_nothing_of_it_stays():
    stream = Stream(60, keys=5)
    for at in range(150):
        stream.second(at)
        stream.close((at + 1) * SECOND)
    held = stream.pool.lent
    assert 5 * 59 <= held <= 5 * 59 * 4 / 3 + 5 * 3
    saved = stream.kind.save()
    assert len(saved["cells"]) == 5 * 59
    stream.close(FAR)
    assert stream.pool.lent == 0


def test_layers_stand_in_the_order_of_time():
    """Nodes have larger numbers than panes; that must not put them behind."""
    stream = Stream(60, keys=3)
    for at in range(90):
        stream.second(at)
        stream.close((at + 1) * SECOND)
    stream.second(90)
    nodes = stream.kind._nodes
    slots, cells = nodes.gather(nodes.cover.numbers(np.array([31])))
    assert slots[:3].tolist() == [0, 1, 2]
    assert cells[0, :, :3].all(), "no layer is empty"
    tops = stream.pool.cells.take(cells[0, :, 0]).finish()["top"]
    assert tops.tolist() == [31, 47, 63, 79, 83, 87, 88, 89, 90]


@pytest.mark.parametrize("late", [0, 5])
@pytest.mark.parametrize("keys", [1, 40])
def test_what_depends_on_the_order_of_time_sees_it(keys, late):
    """Every pane of every window holds rows, so that none of its layers is empty."""
    made = {"all": "collect(x, 100)", "area": "integral(x)", "steps": "delta(x)"}
    window = Window(hopping="25s", every="1s", by="key", aggregate=made, late=f"{late}s")
    seen = 0
    for at in range(90):
        times = np.full(keys, at * SECOND)
        window.process(Batch({"key": np.arange(keys), "x": np.full(keys, float(at))}, times))
        for _, rows in window.advance((at + 1) * SECOND):
            for row in rows.rows():
                begin = max(0, at - 24)
                wanted = list(range(begin, at + 1))
                assert json.loads(row["all"]) == wanted
                assert row["steps"] == at - begin
                assert row["area"] == pytest.approx(sum(wanted) - (begin + at) / 2)
                seen += 1
    assert seen == 90 * keys
