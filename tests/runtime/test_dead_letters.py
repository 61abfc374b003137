"""Dead letters of a running pipeline: which rows, from which step, and when there are too many."""

import asyncio
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest

import edgestream as es
from edgestream.batch import Batch
from edgestream.clock import SystemClock
from edgestream.component import Sink, Source, Token, component
from edgestream.config.values import Secret
from edgestream.errors import Disconnected, Fatal, Rejected
from edgestream.eventtime import Time
from edgestream.operators.set import Set
from edgestream.runtime.running import Running
from edgestream.runtime.view import WorkerView
from edgestream.spec import DeadLetters, PipelineSpec, SinkSpec, SourceSpec, StreamSpec
from edgestream.store.letters import DeadLetter, Wanted, readable
from edgestream.store.store import Store
from tests.runtime.parts import Feed, Memory, Table, Tally, Wire
from tests.runtime.test_running import message, running, until


def pipeline(
    wire: Wire, sink: Sink, *steps: es.Operator, delivery: Any = None, **limits: Any
) -> PipelineSpec:
    return PipelineSpec(
        "test",
        {"source": SourceSpec(Feed(wire), None, Time("t", delay="0s"))},
        {"steps": StreamSpec(("source",), steps)} if steps else {},
        {"sink": SinkSpec(("steps",) if steps else ("source",), sink)},
        delivery,
        "50ms",
        dead_letters=DeadLetters(**limits),
    )


async def letters_in(folder: Path) -> list[DeadLetter]:
    store = await Store.open(folder, "test")
    try:
        return await store.dead_letters(Wanted())
    finally:
        await store.close()


def devices(rows: Iterable[dict[str, Any]]) -> list[str]:
    return [row["device"] for row in rows]


@es.operator
def fussy(batch: Batch) -> Batch:
    if "x" in batch["device"].to_list():
        raise ValueError("no x, please")
    return batch.with_columns(n=batch["t"] * 2)


@es.operator
def picky(batch: Batch) -> Batch:
    bad = {row: "it is b" for row, name in enumerate(batch["device"].to_list()) if name == "b"}
    if bad:
        raise Rejected(bad)
    return fussy(batch)


async def test_rows_on_which_a_step_fails_become_dead_letters_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    block = [message(device, n) for n, device in enumerate("abxcdxxe")]
    wire, table = Wire([block, [message("f", 9)]]), Table()
    async with running(pipeline(wire, Memory(table), fussy.using()), tmp_path) as made:
        await until(lambda: len(table.rows) == 6)
        assert made.task.letters.by == {("steps.0", "operator"): 3}
    assert devices(table.rows) == list("abcdef")
    assert [row["n"] for row in table.rows] == [0, 2, 6, 8, 14, 18]
    letters = await letters_in(tmp_path)
    assert [json.loads(readable(letter))["t"] for letter in letters] == [2, 5, 6]
    assert {(letter.step, letter.stage) for letter in letters} == {("steps.0", "operator")}
    assert letters[0].reason.startswith("ValueError: no x, please (in tests.runtime.test_dead_")


async def test_a_step_may_name_the_rows_it_refuses(tmp_path: Path) -> None:
    block = [message(device, n) for n, device in enumerate("abxb")]
    wire, table = Wire([block]), Table()
    async with running(pipeline(wire, Memory(table), picky.using()), tmp_path):
        await until(lambda: len(table.rows) == 1)
    found = {json.loads(readable(one))["t"]: one.reason[:10] for one in await letters_in(tmp_path)}
    assert found == {1: "it is b", 3: "it is b", 2: "ValueError"}


async def test_rows_made_by_the_watermark_may_be_refused_too(tmp_path: Path) -> None:
    wire, table = Wire([[message("x", 1), message("a", 2)], [message("b", 20)]]), Table()

    @es.operator
    def step(batch: Batch) -> Batch:
        return fussy(batch.with_columns(t=batch["n"]))

    async with running(pipeline(wire, Memory(table), Tally(), step.using()), tmp_path):
        await until(lambda: len(table.rows) == 2)
    (letter,) = await letters_in(tmp_path)
    assert json.loads(readable(letter))["device"] == "x"


async def test_a_reason_holds_no_secret_and_is_one_line(tmp_path: Path) -> None:
    @es.operator
    def leaking(batch: Batch, key: Any) -> Batch:
        raise ValueError(f"cannot log in\nwith {key.reveal()}" + "!" * 5_000)

    secret = Secret("hunter2-is-my-key", "${KEY}")
    wire = Wire([[message("a", 1)]])
    spec = pipeline(wire, Memory(Table()), leaking.using(secret))
    async with running(spec, tmp_path) as made:
        await until(lambda: made.task and made.task.letters.count == 1)
    (letter,) = await letters_in(tmp_path)
    assert letter.reason.startswith("ValueError: cannot log in\\x0awith ***!!!")
    assert len(letter.reason) == 500


@component("blind")
class Blind(Sink):
    """A transactional sink that says of a bad batch only that it is bad."""

    delivery: ClassVar[Any] = "transactional"
    table: Any = es.option(help="Where rows go.")

    async def open(self, ctx: es.Context) -> Token | None:
        self.open_rows: list[dict[str, Any]] = []
        self.table.opened += 1
        token: Token | None = self.table.token
        return token

    async def write(self, batch: Batch) -> None:
        self.table.writes = [*getattr(self.table, "writes", []), len(batch)]
        if "bad" in batch["device"].to_list():
            raise Rejected("some value is too large")
        self.open_rows += batch.rows()

    async def flush(self, token: Token | None) -> None:
        if self.table.fail:
            raise self.table.fail.pop()
        self.table.rows += self.open_rows
        self.table.token = token
        self.open_rows = []

    async def close(self) -> None:
        self.open_rows = []


async def test_a_sink_that_cannot_tell_its_bad_rows_is_asked_for_halves(tmp_path: Path) -> None:
    """Also when its commits fail: no row and no letter is there twice."""
    names = ["a"] * 1_000
    names[137] = names[730] = "bad"
    wire, table = Wire([[message(name, n) for n, name in enumerate(names)]]), Table()
    table.fail = [Disconnected("the server is gone")] * 2
    async with running(pipeline(wire, Blind(table)), tmp_path):
        await until(lambda: len(table.rows) == 998)
    assert [row["t"] for row in table.rows] == [n for n in range(1_000) if n not in (137, 730)]
    assert table.opened == 3
    assert len(table.writes) <= 3 * (1 + 2 * 20)
    letters = await letters_in(tmp_path)
    found = [(json.loads(readable(x))["t"], x.reason, x.stage) for x in letters]
    why = "some value is too large"
    assert found == [(137, why, "write"), (730, why, "write")]


async def test_too_many_bad_payloads_pause_reading_and_lose_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [[b"nonsense"] * 5 for _ in range(3)]
    wire, table = Wire([[message("a", 1)], *bad[:2]]), Table()
    spec = pipeline(wire, Memory(table), tolerance=0.5, within=10, retry_after="1h")
    async with running(spec, tmp_path) as made:
        view = WorkerView([made], SystemClock())
        await until(lambda: bool(made.task and made.task.breakers.paused))
        wire.blocks += [*bad[2:], [message("b", 2)]]
        await until(lambda: wire.acknowledged[-1:] == [5])
        await until(lambda: bool(view.ready()))
        (missing,) = view.ready()
        assert re.match(r"test: source: \d+ of the last 10 rows were bad", missing)
        assert view.live() == []
        assert view.pipelines()["pipelines"][0]["message"] == made.task.breakers.paused  # type: ignore[index]
        letters = made.task.letters.count
        samples = {(s.name, s.labels.get("step")): s.value for s in view.metrics()}
        assert samples["edgestream_breaker_open", "source"] == 1
        assert samples["edgestream_breaker_open", "sink"] == 0
        assert samples["edgestream_dead_letters", "source"] == letters
        assert samples["edgestream_dead_letters_kept", None] == letters
        assert 6 <= letters <= 10
    assert len([text for text in caplog.messages if "paused" in text]) == 1
    assert len(await letters_in(tmp_path)) == letters
    # What came while it paused was kept in the journal, and is processed at the next start.
    async with running(pipeline(wire, Memory(table), tolerance=1), tmp_path):
        await until(lambda: len(table.rows) == 2)
    assert devices(table.rows) == ["a", "b"]
    assert len(await letters_in(tmp_path)) == 15


async def test_after_the_pause_it_goes_on_by_itself_when_the_rows_are_good(tmp_path: Path) -> None:
    wire, table = Wire([[b"nonsense"] * 10]), Table()
    spec = pipeline(wire, Memory(table), tolerance=0.5, within=10, retry_after="200ms")
    async with running(spec, tmp_path) as made:
        await until(lambda: bool(made.task and made.task.breakers.paused))
        wire.blocks += [[message("a", 1)]]
        await until(lambda: len(table.rows) == 1)
        await until(lambda: made.task.breakers.paused == "")
        assert WorkerView([made], SystemClock()).ready() == []


@pytest.mark.parametrize("when", ["auto", "stop"])
async def test_a_source_that_ends_stops_with_65_instead(tmp_path: Path, when: str) -> None:
    @component("bounded")
    class Bounded(Feed):
        def total(self) -> tuple[int, int]:
            return 0, 1

    wire = Wire([[message("a", 1), b"nonsense", b"nonsense"], [message("b", 2)]])
    source: Source = Bounded(wire) if when == "auto" else Feed(wire)
    limits = DeadLetters(tolerance=0.5, within=2, when_exceeded=when)  # type: ignore[arg-type]
    spec = PipelineSpec(
        "test",
        {"source": SourceSpec(source, None, Time("t"))},
        {},
        {"sink": SinkSpec(("source",), Memory(Table()))},
        dead_letters=limits,
    )
    made = Running(spec, tmp_path, SystemClock())
    with pytest.raises(Fatal, match="2 of the last 2 rows were bad") as caught:
        await asyncio.wait_for(made.run(), 10)
    assert caught.value.exit_code == 65
    assert len(await letters_in(tmp_path)) == 2


async def test_a_step_that_fails_on_everything_pauses_the_pipeline(tmp_path: Path) -> None:
    wire, table = Wire([[message("x", n)] for n in range(30)]), Table()
    spec = pipeline(wire, Memory(table), Set({"y": "t"}), fussy.using(), within=10)
    async with running(spec, tmp_path) as made:
        await until(lambda: bool(made.task and made.task.breakers.paused))
        assert made.task.breakers.paused.startswith("steps.1: ")
        assert "no x, please" in made.task.breakers.paused


async def test_a_sink_that_refuses_everything_waits_and_its_rows_are_kept(tmp_path: Path) -> None:
    wire, table = Wire([[message("bad", n) for n in range(8)]]), Table()
    spec = pipeline(wire, Memory(table), within=10, retry_after="1h")
    async with running(spec, tmp_path) as made:
        await until(lambda: made.writers and made.writers["sink"].status.state == "waiting")
        assert "8 of the last 10 rows were bad" in made.writers["sink"].status.message
        assert not made.task.breakers.paused
        wire.blocks += [[message("a", 20)]]
        await until(lambda: made.writers["sink"].undelivered > 0)
    assert table.rows == []
    async with running(pipeline(wire, Memory(table)), tmp_path):
        await until(lambda: len(table.rows) == 1)
    assert len(await letters_in(tmp_path)) == 8


async def test_best_effort_keeps_its_dead_letters_too(tmp_path: Path) -> None:
    wire, table = Wire([[message("bad", 1), b"nonsense", message("a", 2)]]), Table()
    async with running(pipeline(wire, Memory(table), delivery="best_effort"), tmp_path):
        await until(lambda: len(table.rows) == 1)
    assert sorted(letter.stage for letter in await letters_in(tmp_path)) == ["decode", "write"]


async def test_bounds_are_those_of_the_pipeline_and_what_goes_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire([[b"nonsense %d" % n for n in range(10)]])
    spec = pipeline(wire, Memory(Table()), max_rows=4, tolerance=1)
    async with running(spec, tmp_path) as made:
        await until(lambda: made.task and made.task.letters.held.rows == 4)
        wire.blocks += [[b"more"]]
        await until(lambda: made.task.letters.held.dropped == 7)
    assert [letter.data for letter in await letters_in(tmp_path)][-1] == b"more"
    assert "(7 older ones had no room and were dropped)" in caplog.text
