"""What is done with a state file that is damaged, of another format, or open to others."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgestream.component import State
from edgestream.errors import StoreError
from edgestream.store import opening
from edgestream.store.letters import Wanted, readable
from edgestream.store.store import Store
from edgestream.store.tables import Cut, JournalRow

PAGE = 1024


async def made(folder: Path, *, clean: bool = False) -> Path:
    """A state file of some dozen pages, as a crash or a good stop leaves it."""
    store = await Store.open(folder, "weather")
    for seq in range(1, 60):
        await store.append(JournalRow(seq, "source", 1, seq, os.urandom(3000)))
    await store.save(Cut(1, 0, {"source": {"seq": 1}}, {}, {"step": State(1, {}, {})}))
    await store.close()
    path = folder / "weather.db"
    if not clean:
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE meta SET value = '0' WHERE name = 'clean'")
            other.commit()
    return path


def zeroed(data: bytearray) -> None:
    data[2 * PAGE : 3 * PAGE] = bytes(PAGE)


def truncated(data: bytearray) -> None:
    del data[len(data) // 2 :]


def emptied(data: bytearray) -> None:
    data.clear()


def flipped(data: bytearray) -> None:
    data[2 * PAGE + 5] ^= 0x40


def no_database(data: bytearray) -> None:
    data[:] = b"not a database, certainly not one " * 300


def header(data: bytearray) -> None:
    data[3] ^= 1


@pytest.mark.parametrize("damage", [zeroed, truncated, emptied, flipped, no_database, header])
async def test_a_damaged_file_is_refused_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[bytearray], None]
) -> None:
    path = await made(tmp_path)
    data = bytearray(path.read_bytes())
    damage(data)
    path.write_bytes(data)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"weather.db is damaged .*--fresh") as caught:
            await Store.open(tmp_path, "weather")
        assert caught.value.exit_code == 78
    assert path.read_bytes() == data
    assert not list(tmp_path.glob("*.new"))


async def test_a_file_that_was_closed_well_is_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(tmp_path, clean=True)
    checked: list[Path] = []
    monkeypatch.setattr(opening, "check", lambda connection, path: checked.append(path))
    await (await Store.open(tmp_path, "weather")).close()
    assert checked == []
    path = await made(tmp_path / "other")
    await (await Store.open(tmp_path / "other", "weather")).close()
    assert checked == [path]


async def test_a_long_check_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await made(tmp_path)
    monkeypatch.setattr(opening, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(opening, "_STEPS", 1)
    store = await Store.open(tmp_path, "weather")
    assert len(await store.blocks(0)) == 59
    await store.close()


async def test_a_failed_file_is_checked_next_time(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, "weather")
    with pytest.raises(StoreError):
        await store._running.submit(lambda connection: connection.execute("no SQL"))
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "weather.db")) as other:
        found = other.execute("SELECT value FROM meta WHERE name = 'clean'").fetchone()
    assert found == ("0",)


async def test_a_file_half_made_by_a_crash_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "weather.new").write_bytes(b"half")
    store = await Store.open(tmp_path, "weather")
    assert (await store.load()).epoch == 0
    await store.close()


FORMAT_1 = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('format', '1'), ('id', 'abc');
CREATE TABLE journal(
  seq INTEGER PRIMARY KEY, source TEXT NOT NULL, n INTEGER NOT NULL, received INTEGER NOT NULL,
  codec INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE checkpoints(
  epoch INTEGER PRIMARY KEY, at INTEGER NOT NULL, cut TEXT NOT NULL);
CREATE TABLE states(
  epoch INTEGER NOT NULL, step TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY(epoch, step));
CREATE TABLE outbox(
  sink TEXT NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY(sink, seq));
CREATE TABLE dead_letters(
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, step TEXT NOT NULL,
  stage TEXT NOT NULL, position TEXT NOT NULL, reason TEXT NOT NULL, data BLOB NOT NULL);
INSERT INTO checkpoints VALUES (7, 5, '{"positions": {"source": {"seq": 3}}, "meta":
  {"outbox": {"sink": 9}}}');
INSERT INTO journal VALUES (4, 'source', 1, 2, 0, x'41');
INSERT INTO dead_letters(at, step, stage, position, reason, data) VALUES
  (5, 'source', 'decode', '{"seq": 1, "row": 2}', 'not JSON', x'ff'),
  (6, 'sink', 'write', '{}', 'too large', CAST('{"device": "a"}' AS BLOB));
"""


async def test_a_file_of_format_1_is_brought_up_and_goes_on(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "weather.db")) as old:
        old.executescript(FORMAT_1)
    store = await Store.open(tmp_path, "weather")
    resume = await store.load()
    assert (resume.store, resume.epoch, resume.positions) == ("abc", 7, {"source": {"seq": 3}})
    assert resume.outbox_heads == {"sink": 9}
    state = State(1, {}, {"n": np.arange(3)})
    await store.save(Cut(8, 6, {"source": {"seq": 4}}, {"outbox": {"sink": 10}}, {"step": state}))
    assert (await store.load()).generation == 8
    payload, row = await store.dead_letters(Wanted())
    assert (payload.id, payload.form, payload.attempts, payload.data) == (1, "payload", 1, b"\xff")
    assert (row.form, row.received, readable(row)) == ("text", 0, '{"device": "a"}')
    held = await store.held()
    assert (held.rows, held.bytes, held.dropped) == (2, payload.size + row.size, 0)
    await store.close()


@pytest.mark.parametrize("version", ["4", "0", "x"])
async def test_another_format_is_refused_with_78(tmp_path: Path, version: str) -> None:
    path = await made(tmp_path, clean=True)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE meta SET value = ? WHERE name = 'format'", (version,))
        other.commit()
    with pytest.raises(StoreError) as caught:
        await Store.open(tmp_path, "weather")
    assert caught.value.exit_code == 78


async def test_a_database_of_something_else_is_refused_with_78(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "weather.db")) as other:
        other.execute("CREATE TABLE songs(name TEXT)")
    with pytest.raises(StoreError, match="is no state file of edgestream") as caught:
        await Store.open(tmp_path, "weather")
    assert caught.value.exit_code == 78
