"""Ids of events against a plain dictionary, and what a checkpoint holds of them."""

from __future__ import annotations

import numpy as np
import pytest

from edgestream.batch import Strings
from edgestream.errors import ConfigError
from edgestream.eventid import EventId
from edgestream.operators.repeats import Repeats

HOUR = 3_600_000_000_000


def first(repeats: Repeats, texts: list[str | None], now: int) -> list[bool]:
    found = repeats.first({"id": Strings.of(texts)}, len(texts), now)
    return [True] * len(texts) if found is None else found.tolist()


def test_an_id_passes_once() -> None:
    ids = Repeats(["id"], HOUR, 100)
    assert first(ids, ["a", "b", "a"], 0) == [True, True, False]
    assert first(ids, ["b", "c"], 1) == [False, True]
    assert ids.count == 2


def test_a_missing_id_passes_always() -> None:
    ids = Repeats(["id"], HOUR, 100)
    assert first(ids, [None, "a", None, "a"], 0) == [True, True, True, False]
    assert first(ids, [None], 0) == [True]


def test_several_columns_are_one_id() -> None:
    ids = Repeats(["device", "frame"], HOUR, 100)
    devices, frames = Strings.of(["a", "a", "b", "a"]), np.array([1, 2, 1, 1])
    found = ids.first({"device": devices, "frame": frames}, 4, 0)
    assert found is not None
    assert found.tolist() == [True, True, True, False]


def test_an_id_is_forgotten_by_age() -> None:
    ids = Repeats(["id"], 10, 100)
    assert first(ids, ["a"], 0) == [True]
    assert first(ids, ["a"], 9) == [False]
    assert first(ids, ["a"], 10) == [True]  # ten after the first: forgotten, and new again
    assert first(ids, ["a"], 5) == [False]  # a clock set back forgets nothing


def test_the_last_ids_are_kept_and_no_more_than_a_quarter_beside() -> None:
    ids = Repeats(["id"], HOUR, 1_000)
    for block in range(100):
        texts = [f"{block}-{i}" for i in range(100)]
        assert all(first(ids, list(texts), block))
        assert ids._seen.count <= 1_250
    recent = [f"{block}-{i}" for block in range(90, 100) for i in range(100)]
    assert not any(first(ids, list(recent), 100))
    assert all(first(ids, ["0-0", "1-1"], 100))


def test_the_same_as_a_dictionary_however_the_rows_are_cut() -> None:
    rng = np.random.default_rng(3)
    names = [f"n{k}" for k in rng.integers(0, 400, 3_000)]
    known: dict[str, int] = {}
    wanted = []
    for row, name in enumerate(names):
        at = row // 500 * 100
        wanted.append(name not in known or known[name] <= at - 250)
        if wanted[-1]:
            known[name] = at
    for size in (1, 7, 500):
        ids = Repeats(["id"], 250, 10_000)
        got: list[bool] = []
        for block in range(0, len(names), size):
            got += first(ids, list(names[block : block + size]), block // 500 * 100)
        if 500 % size == 0:
            assert got == wanted, size


def test_what_checkpoints_hold_is_known_again() -> None:
    ids = Repeats(["id"], 1_000, 100)
    chunks = []
    for now in range(3):
        first(ids, [f"{now}", "x"], now)
        chunk = ids.fresh()
        assert chunk is not None
        assert len(chunk.data) == (48 if now == 0 else 24)
        assert (chunk.newest, chunk.floor) == (now, now - 1_000)
        chunks.append(chunk.data)
    assert ids.fresh() is None
    again = Repeats(["id"], 1_000, 100)
    again.load(chunks)
    assert first(again, ["0", "1", "2", "x", "y"], 3) == [False] * 4 + [True]
    assert again.fresh() is not None
    anew = Repeats(["id"], 1_000, 100)
    anew.load(chunks, anew=True)
    whole = anew.fresh()
    assert whole is not None
    assert len(whole.data) == 4 * 24


@pytest.mark.parametrize(
    ("value", "by", "most"),
    [
        ("id", ["id"], 100_000),
        (["device", "frame"], ["device", "frame"], 100_000),
        ({"by": "id", "most": 7}, ["id"], 7),
    ],
)
def test_it_is_written_in_three_ways(value: object, by: list[str], most: int) -> None:
    made = EventId.from_config(value)
    assert (list(made.by), made.most) == (by, most)


@pytest.mark.parametrize("value", [[], {"by": "id >"}, {"by": "id", "within": "0s"}, 3])
def test_what_makes_no_sense_is_refused(value: object) -> None:
    with pytest.raises((ConfigError, ValueError)):
        EventId.from_config(value)
