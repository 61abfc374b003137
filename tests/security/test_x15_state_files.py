"""X15: a state file from an attacker is refused in words: links, other owners, lies, bombs."""

from __future__ import annotations

import io
import json
import os
import pickle
import sqlite3
import stat
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestream.batch import from_rows
from edgestream.component import State
from edgestream.errors import EXIT_PERMISSION, StoreError
from edgestream.packing import decode_batch, decode_state, encode_batch, encode_state
from edgestream.store.letters import Wanted
from edgestream.store.store import Store
from tests.security.memory import grown

TIMES = np.arange(3)


class Trap:
    """What a pickle would run."""

    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Trap, "ran", True)


def block(header: object, body: bytes = b"") -> bytes:
    """A block as edgestream packs it, with its checksum right, whatever it holds."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    packed = zlib.compress(len(head).to_bytes(4, "big") + head + body, 1)
    return b"ES1" + zlib.crc32(packed).to_bytes(4, "big") + packed


def state(arrays: object, body: bytes = b"", **changes: object) -> bytes:
    return block({"version": 1, "meta": {}, "arrays": arrays, **changes}, body)


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Trap()], object), allow_pickle=True)
    return file.getvalue()


HOSTILE = {
    "a pickle": pickle.dumps(Trap()),
    "a pickle with the right frame": block(pickle.dumps(Trap())),
    "an npy of objects": state([["a", "|O", [1]]], pickled()),
    "an object dtype": state([["a", "O", [1]]], b"\0" * 8),
    "a record dtype": state([["a", "V8", [1]]], b"\0" * 8),
    "a type that is a list": state([["a", [["x", "O"]], [1]]], b"\0" * 8),
    "a shape of petabytes": state([["a", "<f8", [2**50]]]),
    "a product that overflows": state([["a", "<f8", [2**33, 2**33]]]),
    "a negative shape": state([["a", "<f8", [-1]]], b"\0" * 8),
    "two that together are positive": state([["a", "<f8", [-1, -1]]], b"\0" * 8),
    "a shape of text": state([["a", "<f8", ["x"]]]),
    "a shape of floats": state([["a", "<f8", [1.0]]], b"\0" * 8),
    "a shape of nothing": state([["a", "<f8", None]]),
    "too many dimensions": state([["a", "<f8", [1] * 100]], b"\0" * 8),
    "fewer bytes than the shape": state([["a", "<f8", [2]]], b"\0" * 15),
    "more bytes than the shape": state([["a", "<f8", [1]]], b"\0" * 16),
    "a name that is a list": state([[["a"], "<f8", [1]]], b"\0" * 8),
    "arrays that are none": state(5),
    "no arrays": block({"version": 1, "meta": {}}),
    "a header that is a list": block([1]),
    "a header that is nothing": block(b""),
    "a header without end": block(b"[" * 200_000),
    "a number without end": block(b"9" * 100_000),
    "a header that is not UTF-8": block(b"\xff"),
    "a header longer than the block": b"ES1"
    + zlib.crc32(b := zlib.compress(b"\xff\xff\xff\xff{}")).to_bytes(4, "big")
    + b,
    "no version": state([], version=None),
    "a version that is text": state([], version="1"),
    "meta that is a list": state([], meta=[]),
    "nothing": b"",
    "only the frame": b"ES1\0\0\0\0",
    "no zlib": b"ES1" + zlib.crc32(b"junk").to_bytes(4, "big") + b"junk",
    "half of it": b"ES1" + zlib.crc32(h := zlib.compress(b"\0" * 9000)[:-9]).to_bytes(4, "big") + h,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_state_is_refused(name: str) -> None:
    with pytest.raises(StoreError):
        decode_state(HOSTILE[name])
    assert not Trap.ran


ROWS = {"keys": [], "texts": {}, "arrays": [["", "<i8", [1]], [".s", "<i4", [1]]]}


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"texts": {"s": ["a"]}}, 1),
        ({"texts": {"s": ["a"]}}, 2**31 - 1),
        ({"texts": {"s": ["a"]}}, -2),
        ({"texts": {"s": ["a", "a"]}}, 1),
        ({"texts": {"s": 5}}, 0),
        ({"texts": [["s"]]}, 0),
        ({"texts": {"s": [["a"]]}}, 0),
        ({"keys": 5}, 0),
        ({"keys": None}, 0),
        ({"arrays": [[".s", "<i4", [3]]]}, 0),
        ({"arrays": [["", "<i8", []], [".s", "<i4", [1]]]}, 0),
    ],
)
def test_hostile_rows_are_refused(changes: dict[str, Any], codes: int) -> None:
    body = np.int64(0).tobytes() + np.int32(codes).tobytes()
    with pytest.raises(StoreError):
        decode_batch(block({**ROWS, **changes}, body))


def test_every_truncation_and_flip_is_refused() -> None:
    for honest, decode in (
        (encode_state(State(1, {"a": [1, None]}, {"x": TIMES, "y": TIMES > 1})), decode_state),
        (encode_batch(from_rows([{"s": "a", "x": 1.0}, {"s": None, "x": None}])), decode_batch),
    ):
        decode(honest)
        for length in range(len(honest)):
            with pytest.raises(StoreError):
                decode(honest[:length])
        for place in range(len(honest)):
            flipped = bytearray(honest)
            flipped[place] ^= 0x41
            with pytest.raises(StoreError):
                decode(bytes(flipped))


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgestream.packing.MOST_BYTES", 1 << 20)
    bomb = state([["a", "|u1", [1 << 27]]], b"\0" * (1 << 27))
    with grown() as memory, pytest.raises(StoreError, match="more than 1,048,576 bytes"):
        decode_state(bomb)
    assert memory.kib < 8 * 1024


async def put(folder: Path, sql: str, *values: object) -> None:
    """Write into a state file behind the back of the worker."""
    with sqlite3.connect(folder / "p.db") as connection:
        connection.execute(sql, values)
    connection.close()


async def opened(folder: Path) -> Store:
    return await Store.open(folder, "p")


async def test_a_state_file_is_for_its_owner_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        store = await opened(tmp_path / "deep" / "state")
        await store.load()
        modes = {
            p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "deep/state").iterdir()
        }
        await store.close()
    finally:
        os.umask(old)
    names = ("p.db", "p.db-wal", "p.db-shm", "p.lock", "p.ballast")
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE((tmp_path / "deep" / "state").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["p.db", "p.db-wal", "p.db-shm", "p.lock"])
async def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep me")
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(StoreError) as caught:
        await opened(tmp_path)
    assert name in str(caught.value)
    assert victim.read_text() == "keep me"


async def test_a_dangling_link_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / "p.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link; a state file is not opened through it"):
        await opened(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


async def test_a_pipe_does_not_hold_the_worker(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.db")
    with pytest.raises(StoreError, match="is no plain file"):
        await opened(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["p.db", "p.db-wal"])
async def test_a_file_of_another_user_is_refused(tmp_path: Path, name: str) -> None:
    await (await opened(tmp_path)).close()
    (tmp_path / name).touch()
    os.chown(tmp_path / name, 65532, 65532)
    with pytest.raises(StoreError, match="belongs to user 65532, the worker runs as 0") as caught:
        await opened(tmp_path)
    assert caught.value.exit_code == EXIT_PERMISSION


async def test_a_hostile_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    cut = json.dumps({"positions": {"source": {"seq": 1}}, "meta": {}})
    for epoch, data in ((1, state([])), (2, HOSTILE["a shape of petabytes"])):
        await put(tmp_path, "INSERT INTO checkpoints(epoch, at, cut) VALUES (?, 0, ?)", epoch, cut)
        await put(tmp_path, "INSERT INTO states VALUES (?, 's', ?)", epoch, data)
    store = await opened(tmp_path)
    assert (await store.load()).states["s"].arrays == {}
    await store.close()


@pytest.mark.parametrize(
    "cut",
    [
        *("", "[]", "5", '{"positions": 5, "meta": {}}', '{"positions": {"s": 5}, "meta": {}}'),
        *('{"meta": {}}', "[" * 100_000, '{"positions": {"s": {"seq": "x"}}, "meta": {}}'),
    ],
)
async def test_a_hostile_cut_is_passed_over(tmp_path: Path, cut: str) -> None:
    await (await opened(tmp_path)).close()
    await put(tmp_path, "INSERT INTO checkpoints(epoch, at, cut) VALUES (1, 0, ?)", cut)
    store = await opened(tmp_path)
    resume = await store.load()
    await store.close()
    assert (resume.generation, len(resume.damaged)) == (0, 1)
    assert "checkpoint 1" in resume.damaged[0]


async def test_a_journal_that_is_a_bomb_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgestream.store.tables.MOST_RAW", 1 << 20)
    await (await opened(tmp_path)).close()
    bomb = zlib.compress(b"\0" * (1 << 22))
    await put(tmp_path, "INSERT INTO journal VALUES (1, 's', 1, 0, 1, ?)", bomb)
    store = await opened(tmp_path)
    assert await store.blocks(0) == []
    [kept] = await store.dead_letters(Wanted())
    assert "unpacks to more" in kept.reason
    await store.close()
