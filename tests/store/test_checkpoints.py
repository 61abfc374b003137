"""Three generations with checksums, and what going back to an older one means."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from edgestream.batch import from_rows
from edgestream.component import State
from edgestream.store.store import Store
from edgestream.store.tables import Cut, JournalRow
from edgestream.store.tail import MESSAGES

BATCH = from_rows([{"device": "a", "n": 1}])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path, "weather")
    yield opened
    await opened.close()


def cut(epoch: int, seq: int, head: int = 0, **more: object) -> Cut:
    states = {"step": State(1, {}, {"n": np.array([epoch])}), "other": State(1, {"a": 1}, {})}
    meta = {"outbox": {"sink": head}}
    return Cut(epoch, epoch, {"source": {"seq": seq}}, meta, states, **more)  # type: ignore[arg-type]


def change(store: Store, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(store.path)) as other:
        assert other.execute(statement).rowcount > 0
        other.commit()


async def filled(store: Store) -> None:
    """Four checkpoints, each with a journal row before and one batch for the sink.

    A row has so many messages that what is before it can never be sent again.
    """
    for epoch in range(1, 5):
        await store.append(JournalRow(epoch, "source", MESSAGES, epoch, b"x"))
        await store.save(cut(epoch, epoch, epoch, outbox=[("sink", epoch, BATCH)]))


DAMAGE = {
    "a state is changed": "UPDATE states SET data = x'00' WHERE epoch = 4 AND step = 'step'",
    "a state is gone": "DELETE FROM states WHERE epoch = 4 AND step = 'other'",
    "a state is of an older one": "UPDATE states SET data = (SELECT data FROM states WHERE "
    "epoch = 3 AND step = 'step') WHERE epoch = 4 AND step = 'step'",
    "positions are changed": "UPDATE checkpoints SET cut = replace(cut, '4', '3') WHERE epoch = 4",
    "the text is cut off": "UPDATE checkpoints SET cut = substr(cut, 1, 9) WHERE epoch = 4",
    "the text is no text": "UPDATE checkpoints SET cut = x'ff00' WHERE epoch = 4",
    "a state has another name": "UPDATE states SET step = 'x' WHERE epoch = 4 AND step = 'step'",
}


@pytest.mark.parametrize("how", DAMAGE)
async def test_whatever_is_damaged_in_the_newest_is_noticed(store: Store, how: str) -> None:
    await filled(store)
    change(store, DAMAGE[how])
    resume = await store.load()
    assert (resume.generation, resume.epoch, resume.positions) == (3, 4, {"source": {"seq": 3}})
    assert resume.states["step"].arrays["n"].tolist() == [3]
    assert len(resume.damaged) == 1
    assert resume.ahead == {"sink": 3}


async def test_going_back_drops_what_is_made_again_and_uses_no_number_twice(store: Store) -> None:
    await filled(store)
    await store.delivered("sink", 1)
    change(store, DAMAGE["a state is gone"])
    resume = await store.go_back(await store.load())
    assert (resume.damaged, resume.generation, resume.epoch) == ((), 3, 3)
    assert [seq for seq, _ in await store.waiting("sink", 0, 9)] == [2, 3]
    assert resume.outbox_heads == {"sink": 4}, "a sink may have the token 4 already"
    assert [row.seq for row in await store.blocks(3)] == [4], "to be processed again"


async def test_the_journal_is_kept_for_the_oldest_generation(store: Store) -> None:
    await filled(store)
    for older in (4, 3):
        change(store, f"DELETE FROM states WHERE epoch = {older}")
    resume = await store.go_back(await store.load())
    assert resume.positions == {"source": {"seq": 2}}
    assert [row.seq for row in await store.blocks(2)] == [3, 4]


async def test_after_going_back_three_generations_come_to_be_again(store: Store) -> None:
    await filled(store)
    change(store, DAMAGE["a state is gone"])
    resume = await store.go_back(await store.load())
    for more in range(1, 3):
        await store.save(cut(resume.epoch + more, 4, 4))
    with contextlib.closing(sqlite3.connect(store.path)) as other:
        assert other.execute("SELECT epoch FROM checkpoints").fetchall() == [(3,), (4,), (5,)]


async def test_a_damaged_oldest_generation_keeps_the_journal_and_stops_nothing(
    store: Store,
) -> None:
    await filled(store)
    change(store, "UPDATE checkpoints SET cut = 'x' WHERE epoch = 3")
    await store.save(cut(5, 4, 4))
    assert [row.seq for row in await store.blocks(0)] == [3, 4]
    await store.save(cut(6, 4, 4))
    assert [row.seq for row in await store.blocks(0)] == [4]


async def test_starting_over_keeps_rows_for_sinks_and_their_numbers(store: Store) -> None:
    await filled(store)
    change(store, "UPDATE checkpoints SET crc = crc + 1")
    resume = await store.load()
    assert (resume.generation, len(resume.damaged)) == (0, 3)
    over = await store.start_over({"source": {"seq": 4}}, 9)
    assert (over.positions, over.states, over.epoch) == ({"source": {"seq": 4}}, {}, 5)
    assert over.outbox_heads == {"sink": 4}
    assert len(await store.waiting("sink", 0, 9)) == 4
