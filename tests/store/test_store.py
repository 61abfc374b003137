import asyncio
import fcntl
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestream.batch import from_rows
from edgestream.component import State
from edgestream.errors import StoreLocked
from edgestream.store import tail, thread
from edgestream.store.letters import DeadLetter
from edgestream.store.lock import Lock
from edgestream.store.store import Store, state_dir
from edgestream.store.tables import Cut, JournalRow
from edgestream.store.thread import StoreThread

SECOND = 1_000_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path, "weather")
    yield opened
    await opened.close()


def row(
    seq: int, source: str = "source", n: int = 10, at: int = 0, raw: bytes = b"x"
) -> JournalRow:
    return JournalRow(seq, source, n, at, raw)


def cut(epoch: int, seq: int = 0, **more: object) -> Cut:
    return Cut(epoch, 0, {"source": {"seq": seq}}, {}, {}, **more)  # type: ignore[arg-type]


async def test_what_is_journalled_comes_back_compressed_or_not(store: Store) -> None:
    small, large = b"abc", bytes(range(256)) * 100
    await asyncio.gather(store.append(row(1, raw=small)), store.append(row(2, "other", raw=large)))
    assert [(r.seq, r.source, r.raw) for r in await store.blocks(0)] == [
        (1, "source", small),
        (2, "other", large),
    ]
    assert [r.seq for r in await store.blocks(1)] == [2]
    assert len(
        sqlite3.connect(store.path).execute("SELECT data FROM journal WHERE seq=2").fetchone()[0]
    ) < len(large)


async def test_what_is_asked_while_a_commit_is_in_flight_goes_into_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    commit = StoreThread._commit

    def counted(self: StoreThread, connection: sqlite3.Connection, group: list[Any]) -> None:
        groups.append(len(group))
        time.sleep(0.05)
        commit(self, connection, group)

    monkeypatch.setattr(StoreThread, "_commit", counted)
    await asyncio.gather(*(store.append(row(seq)) for seq in range(1, 101)))
    assert len(await store.blocks(0)) == 100
    assert len(groups) <= 4


async def test_what_nobody_waits_for_waits_for_others_to_share_its_commit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    commit = StoreThread._commit

    def counted(self: StoreThread, connection: sqlite3.Connection, group: list[Any]) -> None:
        groups.append(len(group))
        commit(self, connection, group)

    monkeypatch.setattr(StoreThread, "_commit", counted)
    monkeypatch.setattr(thread, "GATHER", 60.0)
    await store.load()
    for seq in range(1, 21):
        store.append(row(seq), silence=60.0 if seq % 2 else None)
        await asyncio.sleep(0.005)
    assert groups == [1], "only what was awaited"
    assert len(await store.blocks(0)) == 20
    assert groups == [1, 21], "whoever waits takes along what came before"


async def test_when_nothing_more_comes_a_commit_is_made_and_told_of(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "GATHER", 60.0)
    await store.load()
    async with asyncio.timeout(30):  # a sender may wait for just this acknowledgement
        store.append(row(1), silence=None)
        await store.append(row(2), silence=0.01)
    assert len(await store.blocks(0)) == 2


async def test_a_commit_that_nobody_waits_for_wakes_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    committed = asyncio.Event()
    loop, commit = asyncio.get_running_loop(), StoreThread._commit

    def seen(self: StoreThread, connection: sqlite3.Connection, group: list[Any]) -> None:
        commit(self, connection, group)
        loop.call_soon_threadsafe(committed.set)

    monkeypatch.setattr(thread, "GATHER", 0.01)
    await store.load()
    monkeypatch.setattr(StoreThread, "_commit", seen)
    monkeypatch.setattr(StoreThread, "_tell", lambda _self, call, *_: told.append(call))
    for seq in range(1, 4):
        committed.clear()
        journalled = store.append(row(seq), silence=None)
        async with asyncio.timeout(30):
            await committed.wait()
        assert not journalled.done()
    monkeypatch.undo()
    await store.load()  # whatever the thread did after the last commit is done
    assert told == []
    store.settle()
    assert journalled.done()


async def test_a_checkpoint_is_all_or_nothing(store: Store) -> None:
    state = State(1, {"keys": ["a"]}, {"n": np.arange(3)})
    batch = from_rows([{"device": "a", "n": 1}])
    await store.save(
        Cut(
            1,
            5,
            {"source": {"seq": 7}},
            {"outbox": {"sink": 1}},
            {"steps.0": state},
            [("sink", 1, batch)],
            {},
            [DeadLetter(1, "source", "decode", "{}", "not JSON", b"\xff")],
        )
    )
    resume = await store.load()
    assert (resume.epoch, resume.positions, resume.last_seq) == (1, {"source": {"seq": 7}}, 7)
    assert resume.states["steps.0"].arrays["n"].tolist() == [0, 1, 2]
    assert [(seq, rows.rows()) for seq, rows in await store.waiting("sink", 0, 10)] == [
        (1, batch.rows())
    ]
    assert resume.outbox_heads == {"sink": 1}
    await store.delivered("sink", 1)
    assert await store.waiting("sink", 0, 10) == []


async def test_the_journal_goes_only_below_the_oldest_checkpoint(store: Store) -> None:
    for seq in range(1, 11):
        messages = 1 if seq < 10 else tail.MESSAGES + 1  # all before it are out of the tail
        await store.append(row(seq, n=messages, at=2_000_000_000 * seq))
    for epoch, seq in enumerate([3, 5, 8, 8, 8], start=1):
        await store.save(cut(epoch, seq))
        kept = [r.seq for r in await store.blocks(0)]
        oldest = {1: 3, 2: 3, 3: 3, 4: 5, 5: 8}[epoch]
        assert kept == list(range(oldest + 1, 11))


async def test_the_tail_that_may_be_delivered_again_is_kept(store: Store) -> None:
    for seq in range(1, 6):
        await store.append(row(seq, n=tail.MESSAGES // 2 + 1, at=seq, raw=b"%d" % seq))
    for epoch in range(1, 5):
        await store.save(cut(epoch, 5))
    assert await store.tail("source") == [b"4", b"5"]
    assert await store.tail("other") == []


async def test_one_worker_a_file(tmp_path: Path, store: Store) -> None:
    with pytest.raises(StoreLocked, match=f"in use by another worker \\(process {os.getpid()}\\)"):
        await Store.open(tmp_path, "weather")
    assert StoreLocked("").exit_code == 75


async def test_the_lock_goes_with_the_process(tmp_path: Path) -> None:
    code = f"""
import asyncio
from pathlib import Path
from typing import Any
from edgestream.store.store import Store
asyncio.run(Store.open(Path({str(tmp_path)!r}), "weather"))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    await (await Store.open(tmp_path, "weather")).close()


def test_where_state_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGESTREAM_STATE_DIR", str(tmp_path))
    assert state_dir() == tmp_path
    monkeypatch.delenv("EDGESTREAM_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert state_dir() in (Path("/somewhere/edgestream"), Path("/var/lib/edgestream"))


def test_the_lock_is_advisory_and_exclusive(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(StoreLocked):
        Lock(path)
    os.close(descriptor)
    Lock(path).release()
