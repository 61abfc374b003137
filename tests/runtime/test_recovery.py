"""A damaged newest checkpoint: exact results, or a refusal that says what can be chosen."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgestream import Sqlite, count
from edgestream.clock import SystemClock
from edgestream.component import Operator, Sink, State
from edgestream.errors import StoreError
from edgestream.eventid import EventId
from edgestream.eventtime import Time
from edgestream.operators.window import Window
from edgestream.packing import decode_state, encode_state
from edgestream.runtime.recovery import Choice
from edgestream.runtime.running import Running
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, StreamSpec
from edgestream.store import checkpoints
from edgestream.store.store import Store
from edgestream.store.tables import Cut
from tests.runtime.parts import Feed, Memory, MemoryUpsert, Table, Wire
from tests.runtime.test_running import message, until


def spec(wire: Wire, sink: Sink, *steps: Operator) -> PipelineSpec:
    return PipelineSpec(
        "test",
        {"source": SourceSpec(Feed(wire), None, Time("t", delay="0s"))},
        {"steps": StreamSpec(("source",), steps)} if steps else {},
        {"sink": SinkSpec(("steps",) if steps else ("source",), sink)},
        None,
        "1ms",
    )


async def run(made: PipelineSpec, folder: Path, condition: Any, choice: Choice | None = None):  # type: ignore[no-untyped-def]
    """Run until ``condition(running)`` holds, then stop well."""
    running = Running(made, folder, SystemClock(), recover=choice)
    task = asyncio.create_task(running.run(grace=1))
    try:
        await until(lambda: task.done() or condition(running))
        running.stop()
        await asyncio.wait_for(task, 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def damage(folder: Path, generations: int = 1) -> None:
    """Change a state of the newest generations."""
    with contextlib.closing(sqlite3.connect(folder / "test.db")) as db:
        newest = db.execute("SELECT max(epoch) FROM checkpoints").fetchone()[0]
        db.execute("UPDATE checkpoints SET crc = crc + 1 WHERE epoch > ?", (newest - generations,))
        db.commit()


def window() -> Window:
    return Window(tumbling="10s", by="device", aggregate={"n": count()})


async def fed(made: PipelineSpec, wire: Wire, folder: Path, *times: float) -> None:
    """Feed one row at a time, each followed by a checkpoint."""

    def condition(running: Running) -> bool:
        saved = running.task.checkpoints if running.task else 0
        if wire.next == len(wire.blocks) and saved >= wire.next and left:
            wire.blocks.append([message("a", left.pop(0))])
        return not left and saved >= len(times)

    left = list(times)
    wire.blocks, wire.next = [], 0
    await run(made, folder, condition)


def windows(path: Path) -> list[tuple[str, int]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        try:
            return db.execute("SELECT window_start, n FROM t ORDER BY 1, rowid").fetchall()
        except sqlite3.OperationalError:
            return []


@pytest.mark.parametrize("generations", [1, 2])
async def test_windows_are_exact_after_going_back(tmp_path: Path, generations: int) -> None:
    wire = Wire()
    made = spec(wire, Sqlite(str(tmp_path / "o.db"), "t"), window())
    await fed(made, wire, tmp_path, 1, 2, 3, 11, 12)
    damage(tmp_path, generations)
    wire.blocks, wire.next = [[message("a", 13)], [message("a", 21)]], 0
    await run(made, tmp_path, lambda running: len(windows(tmp_path / "o.db")) == 2)
    assert windows(tmp_path / "o.db") == [
        ("1970-01-01T00:00:00Z", 3),
        ("1970-01-01T00:00:10Z", 3),
    ]


async def test_events_since_an_older_checkpoint_are_not_taken_for_repeated(tmp_path: Path) -> None:
    wire, table = Wire(), Table()
    made = spec(wire, MemoryUpsert(table))
    source = replace(made.sources["source"], event_id=EventId(("t",)))
    made = replace(made, sources={"source": source})
    await fed(made, wire, tmp_path, 1, 2, 3)
    damage(tmp_path, 2)
    before = len(table.rows)
    wire.blocks, wire.next = [[message("a", t) for t in (1, 2, 3, 4)]], 0
    await run(made, tmp_path, lambda running: 4 in [row["t"] for row in table.rows])
    again = [row["t"] for row in table.rows[before:]]
    assert again == [2, 3, 4], "those after the checkpoint from the journal, the new one, no other"


async def test_rows_that_could_be_there_twice_are_refused_with_the_choices(
    tmp_path: Path,
) -> None:
    wire, table = Wire(), Table()
    made = spec(wire, Memory(table))
    await fed(made, wire, tmp_path, 1, 2, 3)
    damage(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"rows for sink .* could be there twice") as caught:
            await run(made, tmp_path, lambda running: False)
        assert caught.value.exit_code == 78
        assert "--recover older" in str(caught.value)
        assert "--recover now" in str(caught.value)
    assert [row["t"] for row in table.rows] == [1, 2, 3]


async def test_as_chosen_rows_since_an_older_checkpoint_are_written_again(tmp_path: Path) -> None:
    wire, table = Wire(), Table()
    made = spec(wire, Memory(table))
    await fed(made, wire, tmp_path, 1, 2, 3)
    damage(tmp_path)
    wire.blocks, wire.next = [[message("a", 4)]], 0
    await run(made, tmp_path, lambda running: 4 in [row["t"] for row in table.rows], "older")
    times = [row["t"] for row in table.rows]
    assert sorted(set(times)) == [1, 2, 3, 4], "nothing is lost"
    assert times[:3] == [1, 2, 3]


async def test_a_sink_that_overwrites_gets_them_again_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire, table = Wire(), Table()
    made = spec(wire, MemoryUpsert(table))
    await fed(made, wire, tmp_path, 1, 2, 3)
    damage(tmp_path)
    wire.blocks, wire.next = [[message("a", 4)]], 0
    await run(made, tmp_path, lambda running: 4 in [row["t"] for row in table.rows])
    assert {row["t"] for row in table.rows} == {1, 2, 3, 4}
    assert "its checksum does not match" in caplog.text
    assert "all input since then is processed again; rows for sink may be written" in caplog.text


async def test_no_whole_checkpoint_is_refused_with_two_choices(tmp_path: Path) -> None:
    wire = Wire()
    made = spec(wire, Sqlite(str(tmp_path / "o.db"), "t"), window())
    await fed(made, wire, tmp_path, 1, 2, 3)
    damage(tmp_path, 3)
    with pytest.raises(StoreError, match="no checkpoint in it is whole") as caught:
        await run(made, tmp_path, lambda running: False)
    assert caught.value.exit_code == 78
    assert "--recover older" not in str(caught.value)


@pytest.mark.parametrize(("choice", "n"), [("log-start", 4), ("now", 1)])
async def test_starting_over_begins_where_it_was_told_to(
    tmp_path: Path, choice: Choice, n: int
) -> None:
    wire = Wire()
    made = spec(wire, Sqlite(str(tmp_path / "o.db"), "t"), window())
    await fed(made, wire, tmp_path, 1, 2, 3)
    damage(tmp_path, 3)
    wire.blocks, wire.next = [[message("a", 4)], [message("a", 11)]], 0
    await run(made, tmp_path, lambda running: bool(windows(tmp_path / "o.db")), choice)
    assert windows(tmp_path / "o.db") == [("1970-01-01T00:00:00Z", n)]


async def test_a_choice_is_without_effect_where_nothing_is_damaged(tmp_path: Path) -> None:
    wire = Wire()
    made = spec(wire, Sqlite(str(tmp_path / "o.db"), "t"), window())
    await fed(made, wire, tmp_path, 1, 2, 3)
    wire.blocks, wire.next = [[message("a", 11)]], 0
    await run(made, tmp_path, lambda running: bool(windows(tmp_path / "o.db")), "now")
    assert windows(tmp_path / "o.db") == [("1970-01-01T00:00:00Z", 3)]


def impossible(folder: Path, generations: int, spoil: Callable[[State], State]) -> None:
    """Store state that nobody can have written, with the right checksums, in the newest ones."""
    with contextlib.closing(sqlite3.connect(folder / "test.db")) as db:
        epochs = db.execute("SELECT epoch, cut FROM checkpoints ORDER BY epoch DESC").fetchall()
        for epoch, text in epochs[:generations]:
            query = "SELECT step, data FROM states WHERE epoch = ?"
            states = dict(db.execute(query, (epoch,)))
            states["steps.window.0"] = encode_state(spoil(decode_state(states["steps.window.0"])))
            step = "UPDATE states SET data = ? WHERE epoch = ? AND step = 'steps.window.0'"
            db.execute(step, (states["steps.window.0"], epoch))
            crc = checkpoints.checksum(text, states.items())
            db.execute("UPDATE checkpoints SET crc = ? WHERE epoch = ?", (crc, epoch))
        db.commit()


SPOILT: dict[str, Callable[[State], State]] = {
    "no arrays": lambda state: replace(state, arrays={}),
    "no meta": lambda state: replace(state, meta={"of": state.meta["of"]}),
    "another type": lambda state: replace(
        state, arrays={name: array.astype("f4") for name, array in state.arrays.items()}
    ),
    "another shape": lambda state: replace(
        state, arrays={name: array.reshape(-1, 1, 1) for name, array in state.arrays.items()}
    ),
}


@pytest.mark.parametrize("how", SPOILT)
async def test_state_that_cannot_be_is_passed_over_for_an_older_one(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire()
    made = spec(wire, Sqlite(str(tmp_path / "o.db"), "t"), window())
    await fed(made, wire, tmp_path, 1, 2, 3, 11, 12)
    impossible(tmp_path, 2, SPOILT[how])
    wire.blocks, wire.next = [[message("a", 13)], [message("a", 21)]], 0
    await run(made, tmp_path, lambda running: len(windows(tmp_path / "o.db")) == 2)
    assert windows(tmp_path / "o.db") == [
        ("1970-01-01T00:00:00Z", 3),
        ("1970-01-01T00:00:10Z", 3),
    ]
    assert caplog.text.count("the saved state of steps.window.0 cannot be") == 2


async def test_where_no_state_can_be_the_choices_are_given_and_nothing_is_dropped(
    tmp_path: Path,
) -> None:
    wire = Wire()
    made = spec(wire, Sqlite(str(tmp_path / "o.db"), "t"), window())
    await fed(made, wire, tmp_path, 1, 2, 3)
    impossible(tmp_path, 3, SPOILT["no arrays"])
    for _ in range(2):
        with pytest.raises(StoreError, match="no checkpoint in it is whole") as caught:
            await run(made, tmp_path, lambda running: False)
        assert caught.value.exit_code == 78
        with contextlib.closing(sqlite3.connect(tmp_path / "test.db")) as db:
            assert db.execute("SELECT count(*) FROM checkpoints").fetchone() == (3,)
    wire.blocks, wire.next = [[message("a", 11)]], 0
    await run(made, tmp_path, lambda running: bool(windows(tmp_path / "o.db")), "log-start")
    assert windows(tmp_path / "o.db") == [("1970-01-01T00:00:00Z", 3)]


async def test_of_state_that_cannot_be_one_step_may_be_given_up(tmp_path: Path) -> None:
    wire = Wire()
    made = spec(wire, Sqlite(str(tmp_path / "o.db"), "t"), window())
    await fed(made, wire, tmp_path, 1, 2, 3)
    impossible(tmp_path, 3, SPOILT["no arrays"])
    wire.blocks, wire.next = [[message("a", 4)], [message("a", 11)]], 0
    running = Running(made, tmp_path, SystemClock(), accept=["steps.window.0"])
    task = asyncio.create_task(running.run(grace=1))
    await until(lambda: task.done() or bool(windows(tmp_path / "o.db")))
    running.stop()
    await task
    assert windows(tmp_path / "o.db") == [("1970-01-01T00:00:00Z", 1)]


@pytest.mark.parametrize(
    "meta",
    [{"watermarks": {"source": [1]}}, {"watermarks": {"source": "x"}}, {"outbox": {"s": []}}],
)
async def test_a_cut_that_cannot_be_is_passed_over(tmp_path: Path, meta: dict[str, Any]) -> None:
    store = await Store.open(tmp_path, "test")
    await store.save(Cut(1, 0, {"source": {"seq": 1}}, {}, {}))
    await store.save(Cut(2, 0, {"source": {"seq": 2}}, {}, {}))
    text = json.dumps({"positions": {}, "meta": meta})
    with contextlib.closing(sqlite3.connect(tmp_path / "test.db")) as db:
        values = (text, checkpoints.checksum(text, ()))
        db.execute("UPDATE checkpoints SET cut = ?, crc = ? WHERE epoch = 2", values)
        db.commit()
    resume = await store.load()
    await store.close()
    assert (resume.generation, len(resume.damaged)) == (1, 1)
