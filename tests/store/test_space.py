"""A full disk: what was on its way is written with the ballast's room, the rest waits for space."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgestream.component import State
from edgestream.errors import StoreError
from edgestream.store import room, thread
from edgestream.store.space import BALLAST
from edgestream.store.store import Store
from edgestream.store.tables import Cut, JournalRow
from tests.servers.small_disk import SmallDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    monkeypatch.setattr(room, "PAUSE", 0.01)
    monkeypatch.setattr(thread, "PAUSE", 0.01)
    with small_disk(tmp_path / "disk", "16m") as made:
        yield made


def block(seq: int) -> JournalRow:
    return JournalRow(seq, "source", 1, seq, random.Random(seq).randbytes(60_000))


async def append_until_full(
    store: Store, told: list[str]
) -> tuple[int, list[asyncio.Future[None]]]:
    """Journal until the disk is full; the last number, and what is not on disk yet."""
    seq = 0
    while not told:
        seq += 1
        future = store.append(block(seq))
        await asyncio.wait([future], timeout=0.2)
        assert future.done() or told
    return seq, [future]


async def test_the_ballast_lets_a_checkpoint_be_written_on_a_full_disk(disk: SmallDisk) -> None:
    told: list[str] = []
    store = await Store.open(disk.folder, "p", told.append)
    ballast = disk.folder / "p.ballast"
    size = ballast.stat().st_blocks * 512
    assert 64 * 1024 <= size <= BALLAST
    disk.fill(leave=200_000)
    seq, waiting = await append_until_full(store, told)
    assert told[0].startswith("the disk is full: ")
    assert store.full
    await asyncio.gather(*waiting)
    await store.save(Cut(1, 0, {"source": {"seq": seq}}, {}, {"step": State(1, {}, {})}))
    assert not ballast.exists()
    disk.empty()
    await asyncio.wait_for(store.room(), 5)
    assert told[1:] == [""]
    assert not store.full
    await store.append(block(seq + 1))
    assert ballast.exists()
    await store.close()
    again = await Store.open(disk.folder, "p")
    assert (await again.load()).positions == {"source": {"seq": seq}}
    assert [found.seq for found in await again.blocks(0)] == list(range(1, seq + 2))
    await again.close()


async def test_without_ballast_a_commit_waits_for_space_and_nothing_of_it_is_lost(
    disk: SmallDisk,
) -> None:
    told: list[str] = []
    store = await Store.open(disk.folder, "p", told.append)
    (disk.folder / "p.ballast").unlink()
    disk.fill()
    seq, waiting = await append_until_full(store, told)
    waiting += [store.append(block(seq + more)) for more in range(1, 5)]
    await asyncio.sleep(0.1)
    assert not any(future.done() for future in waiting)
    disk.empty()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert [found.seq for found in await store.blocks(0)] == list(range(1, seq + 5))
    await store.close()


async def test_a_stop_on_a_full_disk_ends_with_74_and_acknowledges_nothing(
    disk: SmallDisk,
) -> None:
    told: list[str] = []
    store = await Store.open(disk.folder, "p", told.append)
    (disk.folder / "p.ballast").unlink()
    disk.fill()
    seq, [waiting] = await append_until_full(store, told)
    store.hurry()
    with pytest.raises(StoreError, match="the disk is full") as caught:
        await asyncio.wait_for(waiting, 5)
    assert caught.value.exit_code == 74
    await store.close()
    disk.empty()
    again = await Store.open(disk.folder, "p")
    assert [found.seq for found in await again.blocks(0)] == list(range(1, seq))
    await again.close()


async def test_a_start_on_a_full_disk_waits(disk: SmallDisk) -> None:
    told: list[str] = []
    disk.fill()
    opening = asyncio.create_task(Store.open(disk.folder, "p", told.append))
    while not told:
        await asyncio.sleep(0.01)
    assert not opening.done()
    disk.empty()
    store = await asyncio.wait_for(opening, 5)
    await store.append(block(1))
    await store.close()
