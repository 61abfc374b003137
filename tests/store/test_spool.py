"""What the spool keeps, drops and counts."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.batch import Batch, Strings
from edgestream.store import spool as module
from edgestream.store.spool import (
    SANE,
    SLACK,
    TABLES,
    Budget,
    Spool,
    Waiting,
    take_back,
    waiting_in,
)
from edgestream.store.thin import newest_window, thinned

SECOND = 1_000_000_000


def rows(numbers: range | list[int], device: str = "a", start: int = 0) -> Batch:
    count = len(numbers)
    return Batch(
        {
            "device": Strings.of([device] * count),
            "window_start": np.full(count, start, "datetime64[us]"),
            "n": np.array(numbers, np.int64),
        },
        np.zeros(count, np.int64),
        ("device", "window_start"),
    )


class File:
    """A spool over a database in memory; the clock stands at ``now``."""

    def __init__(self, folder: Path, **budget: Any) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript(TABLES)
        self.spool = Spool(folder)
        self.budget = Budget(**{"max_bytes": 10**9, **budget})
        self.now = SANE
        self.seq = 0

    def add(self, batch: Batch) -> Waiting:
        self.seq += 1
        given = [("sink", self.seq, batch)]
        return self.spool.add(self.connection, given, {"sink": self.budget}, self.now)["sink"]

    def kept(self, after: int = 0) -> list[int]:
        numbers: list[int] = []
        while page := self.spool.page(self.connection, "sink", after):
            numbers += [n for _, batch in page for n in batch["n"].tolist()]
            after = page[-1][0]
        return numbers


def size(tmp_path: Path, batch: Batch) -> int:
    return File(tmp_path).add(batch).size


def test_pages_come_in_order_and_are_forgotten_when_they_are_delivered(tmp_path: Path) -> None:
    file = File(tmp_path)
    for n in range(40):
        file.add(rows([n]))
    page = file.spool.page(file.connection, "sink", 0)
    assert len(page) == module.PAGE_BATCHES
    file.spool.forward(file.connection, "sink", page[-1][0])
    assert file.kept() == list(range(32, 40))
    file.spool.forward(file.connection, "sink", 40)
    assert file.spool.waiting(file.connection, "sink") == Waiting()


def test_a_page_holds_a_bounded_number_of_rows(tmp_path: Path) -> None:
    file = File(tmp_path)
    for _ in range(4):
        file.add(rows(range(10_000)))
    assert [seq for seq, _ in file.spool.page(file.connection, "sink", 0)] == [1]


def test_what_is_made_again_is_taken_back(tmp_path: Path) -> None:
    file = File(tmp_path)
    for n in range(5):
        file.add(rows([n]))
    take_back(file.connection, "sink", 2)
    assert file.kept() == [0, 1]
    waiting = file.spool.waiting(file.connection, "sink")
    assert (waiting.size, waiting.dropped) == (sum(size(tmp_path, rows([n])) for n in (0, 1)), 0)


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop_oldest", [3, 4, 5]), ("drop_newest", [0, 1, 2])]
)
def test_rows_beyond_the_budget_go_and_are_counted(
    tmp_path: Path, overflow: str, kept: list[int]
) -> None:
    one = size(tmp_path, rows([0]))
    file = File(tmp_path, max_bytes=3 * one + one // 2, overflow=overflow)
    waiting = [file.add(rows([n])) for n in range(6)][-1]
    assert waiting.size <= file.budget.max_bytes
    assert waiting.dropped == 3
    assert file.kept() == kept
    assert waiting_in(file.connection)["sink"].dropped == 3


def test_pause_drops_nothing(tmp_path: Path) -> None:
    file = File(tmp_path, max_bytes=1)
    assert file.add(rows([1])).dropped == 0
    assert file.kept() == [1]


def test_rows_that_were_offered_are_not_dropped(tmp_path: Path) -> None:
    one = size(tmp_path, rows([0]))
    file = File(tmp_path, max_bytes=3 * one + one // 2, overflow="drop_oldest")
    for n in range(3):
        file.add(rows([n]))
    file.spool.page(file.connection, "sink", 0)
    for n in range(3, 6):
        file.add(rows([n]))
    assert file.kept() == [0, 1, 2]
    file.spool.forward(file.connection, "sink", 3)
    for n in range(6, 10):
        file.add(rows([n]))
    assert file.kept() == [7, 8, 9]


def test_after_a_crash_the_first_page_may_have_been_offered(tmp_path: Path) -> None:
    one = size(tmp_path, rows([0]))
    file = File(tmp_path)
    for n in range(40):
        file.add(rows([n]))
    file.spool = Spool(tmp_path)
    file.budget = Budget(34 * one, overflow="drop_oldest")
    waiting = file.add(rows([40]))
    assert waiting.size <= 34 * one
    assert file.kept()[:32] == list(range(32))
    assert len(file.kept()) + waiting.dropped == 41


def test_rows_that_are_too_old_go_and_a_clock_that_was_not_set_says_nothing(tmp_path: Path) -> None:
    file = File(tmp_path, max_age=10 * SECOND, overflow="drop_newest")
    file.now = 5 * SECOND
    file.add(rows([0]))
    file.now = SANE + 100 * SECOND
    assert file.add(rows([1])).dropped == 0
    file.spool.forward(file.connection, "sink", 1)
    file.now += 11 * SECOND
    waiting = file.add(rows([2]))
    assert (waiting.dropped, waiting.oldest, file.kept()) == (1, file.now, [2])


def test_while_the_disk_is_nearly_full_the_spool_does_not_grow(tmp_path: Path) -> None:
    file = File(tmp_path, min_free=1 << 62, overflow="drop_oldest")
    noise = np.random.default_rng(1)
    sizes = []
    for _ in range(12):
        batch = rows(range(20_000)).with_columns(x=noise.random(20_000))
        sizes.append(file.add(batch))
    assert all(waiting.short for waiting in sizes)
    assert sizes[-1].size <= SLACK
    assert sizes[-1].dropped == 20_000 * 12 - len(file.kept())
    assert file.add(rows([1])).size <= SLACK


def test_downsample_keeps_every_second_row_of_each_key_and_then_every_fourth(
    tmp_path: Path,
) -> None:
    def window(start: int) -> Batch:
        return Batch(
            {
                "device": Strings.of(["a", "b", "c"]),
                "window_start": np.full(3, start, "datetime64[us]"),
                "n": np.full(3, start),
            },
            np.zeros(3, np.int64),
            ("device", "window_start"),
        )

    file = File(tmp_path, max_bytes=40_000, overflow="downsample")
    waiting = [file.add(window(start)) for start in range(2_000)]
    assert max(w.size for w in waiting) <= 40_000
    kept = np.array(file.kept())
    assert len(kept) + waiting[-1].dropped == 6_000
    devices, counts = np.unique(kept, return_counts=True)
    assert set(counts.tolist()) == {3}, "all devices keep the same windows"
    assert devices[0] == 0
    assert np.diff(devices[:50]).min() >= 2, "the oldest part is thinned"
    assert np.diff(devices).max() <= 16, "no long hole anywhere"


def test_where_nothing_can_be_thinned_the_oldest_rows_go(tmp_path: Path) -> None:
    one = size(tmp_path, rows([0], "device-0"))
    file = File(tmp_path, max_bytes=5 * one, overflow="downsample")
    for n in range(20):
        waiting = file.add(rows([n], f"device-{n}"))
    assert waiting.size <= 5 * one
    assert len(file.kept()) + waiting.dropped == 20
    assert file.kept()[-1] == 19


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1.0, 2.0, np.nan])), max_size=40),
    st.sampled_from([(), ("device",), ("device", "zone"), ("nothing",)]),
)
def test_thinning_against_a_loop(given_rows: list[tuple[str, float]], by: tuple[str, ...]) -> None:
    batch = Batch(
        {
            "device": Strings.of([row[0] for row in given_rows]),
            "zone": np.array([row[1] for row in given_rows], np.float64),
            "n": np.arange(len(given_rows)),
        },
        np.zeros(len(given_rows), np.int64),
    )
    seen: dict[tuple[str, ...], int] = {}
    expected = []
    for n, (device, zone) in enumerate(given_rows):
        values = {"device": device, "zone": str(zone)}
        key = tuple(values[name] for name in by if name in values)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] % 2:
            expected.append(n)
    assert thinned(batch, by)["n"].tolist() == expected


def test_the_newest_window_of_rows() -> None:
    assert newest_window(rows([1], start=5)) == 5
    assert newest_window(Batch({}, np.zeros(2, np.int64))) is None
    missing = rows([1]).with_columns(window_start=np.array(["NaT"], "datetime64[us]"))
    assert newest_window(missing) is None
