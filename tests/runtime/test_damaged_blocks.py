"""Damaged blocks of a state file: what is whole goes on, the others are set aside and told of."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3
from pathlib import Path

import pytest

from edgestream.clock import SystemClock
from edgestream.component import Context, Token, component
from edgestream.errors import Disconnected
from edgestream.runtime.resending import send_again
from edgestream.runtime.running import Running
from edgestream.runtime.view import WorkerView
from edgestream.store.letters import DeadLetter, Wanted
from edgestream.store.store import Store
from tests.runtime.parts import Memory, Table, Wire
from tests.runtime.test_running import crash, message, pipeline, running, until


@component("hanging")
class Hanging(Memory):
    """A sink that is being opened for ever: its rows stay in the outbox."""

    async def open(self, ctx: Context) -> Token | None:
        await asyncio.Event().wait()
        return None


def ask(folder: Path, query: str, *values: object) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(folder / "test.db")) as db:
        found = db.execute(query, values).fetchall()
        db.commit()
        return found


def spoil(folder: Path, table: str, seq: int) -> bytes:
    """Turn one bit of a block over; its bytes then."""
    [(data,)] = ask(folder, f"SELECT data FROM {table} WHERE seq = ?", seq)
    assert isinstance(data, bytes)
    spoilt = data[:-3] + bytes([data[-3] ^ 0x04]) + data[-2:]
    ask(folder, f"UPDATE {table} SET data = ? WHERE seq = ?", spoilt, seq)
    return spoilt


async def letters(folder: Path) -> list[DeadLetter]:
    store = await Store.open(folder, "test")
    found = await store.dead_letters(Wanted())
    await store.close()
    return found


def counted(made: Running) -> dict[str, float]:
    samples = WorkerView([made], SystemClock()).metrics()
    return {s.labels["step"]: s.value for s in samples if s.name == "edgestream_damaged_rows"}


async def test_input_that_is_damaged_is_set_aside_and_the_rest_is_processed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire, table = Wire(), Table()
    made = Running(pipeline(wire, Memory(table), checkpoint="1h"), tmp_path, SystemClock())
    table.fail = [Disconnected("away")] * 1_000
    task = asyncio.create_task(made.run())
    for t in range(1, 5):
        wire.blocks.append([message("a", t)] * t)
        await until(lambda: wire.acknowledged[-1:] == [len(wire.blocks)])
    await crash(made, task)
    table.fail = []
    ask(tmp_path, "DELETE FROM checkpoints")
    spoilt = [spoil(tmp_path, "journal", seq) for seq in (2, 3)]
    for lap in range(2):
        caplog.clear()
        async with running(pipeline(wire, Memory(table)), tmp_path) as again:
            await until(lambda: len(table.rows) == 5 and again.state == "running")
            if not lap:
                assert counted(again) == {"source": 5}
        text = "source: journal is damaged in .*test.db, at number 2, 3, and set aside"
        lines = [r.getMessage() for r in caplog.records if "set aside" in r.getMessage()]
        assert len(lines) == (0 if lap else 1)
        if not lap:
            assert re.match(text, lines[0])
            assert lines[0].endswith("5 messages that were accepted are lost")
    assert [row["t"] for row in table.rows] == [1, 4, 4, 4, 4]
    kept = await letters(tmp_path)
    assert [letter.data for letter in kept] == spoilt
    assert [(x.step, x.stage, x.form, json.loads(x.position)) for x in kept] == [
        ("source", "store", "block", {"journal": 2, "rows": 2}),
        ("source", "store", "block", {"journal": 3, "rows": 3}),
    ]
    assert kept[0].reason == "a journalled block is damaged (checksum does not match)"
    done = await send_again(made.spec, tmp_path, SystemClock(), Wanted())
    assert (done.sent, set(done.left.values())) == (0, {"its bytes are not those that were stored"})


async def test_a_damaged_block_of_the_tail_loses_only_the_recognition(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire, table = Wire(), Table()
    async with running(pipeline(wire, Memory(table)), tmp_path):
        for t in range(1, 4):
            wire.blocks.append([message("a", t)])
            await until(lambda: wire.acknowledged[-1:] == [len(wire.blocks)])
    spoil(tmp_path, "journal", 2)
    async with running(pipeline(wire, Memory(table)), tmp_path):
        await until(lambda: "not recognised should they come again" in caplog.text)
    assert wire.recalled[-1] == [message("a", 1), message("a", 3)]
    assert "1 messages are processed already" in caplog.text
    assert len(table.rows) == 3
    assert [letter.step for letter in await letters(tmp_path)] == ["source"]


@pytest.mark.parametrize("lane", ["outbox", "spool"])
async def test_rows_that_are_damaged_hold_up_no_others(
    tmp_path: Path, lane: str, caplog: pytest.LogCaptureFixture
) -> None:
    wire, table = Wire(), Table()
    sink = Hanging(table) if lane == "outbox" else Memory(table)
    table.fail = [Disconnected("away")] * 100_000
    made = Running(pipeline(wire, sink, checkpoint="10ms"), tmp_path, SystemClock())
    task = asyncio.create_task(made.run())
    await until(lambda: bool(made.writers) and made.writers["sink"].status.state != "")
    for t in range(1, 4):
        wire.blocks.append([message("a", t)] * 2)
        count = f"SELECT count(*) FROM {lane}"
        await until(lambda q=count, t=t: ask(tmp_path, q) == [(t,)])  # type: ignore[misc]
    await crash(made, task)
    table.fail = []
    [(first,)] = ask(tmp_path, f"SELECT min(seq) FROM {lane}")
    assert isinstance(first, int)
    spoilt = spoil(tmp_path, lane, first + 1)
    wire.blocks.append([message("a", 9)])
    async with running(pipeline(wire, Memory(table)), tmp_path) as again:
        await until(lambda: 9 in [row["t"] for row in table.rows])
        await until(lambda: counted(again) == {"sink": 2})
        assert again.writers["sink"].lanes.waiting.size == 0
    assert sorted(row["t"] for row in table.rows) == [1, 1, 3, 3, 9]
    assert f"sink: {lane} is damaged" in caplog.text
    assert "2 rows do not reach the sink" in caplog.text
    [kept] = await letters(tmp_path)
    assert (kept.data, json.loads(kept.position)) == (spoilt, {lane: first + 1, "rows": 2})


async def test_nothing_but_damage_is_no_end(tmp_path: Path) -> None:
    wire, table = Wire(), Table()
    table.fail = [Disconnected("away")] * 100_000
    made = Running(pipeline(wire, Memory(table), checkpoint="10ms"), tmp_path, SystemClock())
    task = asyncio.create_task(made.run())
    await until(lambda: bool(made.writers) and made.writers["sink"].down)
    wire.blocks.append([message("a", 1)])
    await until(lambda: ask(tmp_path, "SELECT count(*) FROM spool") == [(1,)])
    await crash(made, task)
    table.fail = []
    [(seq,)] = ask(tmp_path, "SELECT seq FROM spool")
    assert isinstance(seq, int)
    spoil(tmp_path, "spool", seq)
    wire.blocks.append([message("a", 2)])
    async with running(pipeline(wire, Memory(table)), tmp_path):
        await until(lambda: [row["t"] for row in table.rows] == [2])


async def test_a_text_that_is_no_utf8_any_more_ends_nothing_with_74(tmp_path: Path) -> None:
    store = await Store.open(tmp_path, "test")
    await store.close()
    ask(tmp_path, "INSERT INTO heads VALUES (CAST(x'73ff' AS TEXT), 3)")
    store = await Store.open(tmp_path, "test")
    assert (await store.load()).outbox_heads == {"s\ufffd": 3}
    await store.close()
