"""What a source and a sink promise, and what a spool takes back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgestream.config.yaml import load
from edgestream.delivery import agreed, durability, pairs, received
from edgestream.errors import ConfigError
from edgestream.eventid import EventId
from edgestream.read import make
from edgestream.registry import installed
from edgestream.schema import Schema
from edgestream.sinks.sqlite import Sqlite
from edgestream.spec import PipelineSpec, SinkSpec, SourceSpec, Spool
from tests.cli.run import Cli
from tests.runtime.parts import Memory, Table, Wire
from tests.runtime.test_running import pipeline, running, until

PIPELINE = """
name: weather
{delivery}
source: {{generate: {{}}}}
steps:
  - window: {{tumbling: 10s, by: device, aggregate: {{n: count()}}}}
sink:
  {component}
  {more}
"""
SQLITE = "sqlite: {path: weather.db, table: averages}"


class Command:
    """A command over the pipeline above."""

    def __init__(self, folder: Path, cli: Cli) -> None:
        self.path = folder / "weather.yaml"
        self.cli = cli

    def __call__(self, command: str, more: str, *, delivery: str = "", sink: str = SQLITE) -> str:
        asked = f"delivery: {delivery}" if delivery else ""
        self.path.write_text(PIPELINE.format(delivery=asked, component=sink, more=more))
        ran = self.cli(*command.split(), self.path)
        return ran.out + ran.err


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, Cli(capsys))


@pytest.mark.parametrize(
    ("more", "sink", "told"),
    [
        (
            "",
            SQLITE,
            "sink away: its rows wait in the state file, up to 256MiB, then reading pauses; "
            "after that new rows go first",
        ),
        (
            "spool: {max_bytes: 1MiB, max_age: 7d, overflow: drop_oldest}",
            "stdout:",
            "sink away: its rows wait in the state file, up to 1MiB and 7d, then the oldest rows "
            "are dropped and counted; after that all go in their order",
        ),
        ("when_unreachable: wait", SQLITE, "sink away: reading stops until it is back"),
    ],
)
def test_plan_says_what_a_sink_does_that_is_away(
    run: Command, more: str, sink: str, told: str
) -> None:
    assert told in run("plan", more, sink=sink)


def test_plan_says_what_a_dropping_spool_means_for_the_guarantee(run: Command) -> None:
    told = run("plan", "spool: {overflow: downsample}")
    assert "source → sink: effectively_once" in told
    but = (
        "but the spool holds up to 256MiB, then every second row of each key is dropped and counted"
    )
    assert f"), {but}\n" in told
    plan = json.loads(run("plan --output json", "spool: {overflow: downsample}"))
    assert plan[0]["guarantees"][0]["but"] == but


@pytest.mark.parametrize(
    ("more", "delivery", "problem"),
    [
        (
            "spool: {overflow: drop_oldest}",
            "effectively_once",
            "sink.spool.overflow: effectively_once cannot be held by a spool that drops rows; use "
            "overflow: pause; or leave out delivery:, then it holds for all rows that are kept",
        ),
        (
            "spool: {overflow: downsample}",
            "best_effort",
            "sink.spool.overflow: best_effort keeps no rows on disk that could be downsampled; "
            "use overflow: drop_oldest, or a stronger delivery",
        ),
        ("spool: {max_age: 1h}", "best_effort", "max_age: best_effort knows no age of rows"),
        (
            "when_unreachable: wait\n  spool: {max_bytes: 1MiB}",
            "",
            "sink.spool: with when_unreachable: wait nothing is spooled; leave out spool:, or",
        ),
        ("spool: {mark: n}", "", "sink.spool.mark: rows have a column 'n' already; name another"),
        (
            "spool: {overflow: downsample, by: [devise]}",
            "",
            "sink.spool.by.0: there is no column 'devise' here; did you mean 'device'?",
        ),
        ("spool: {overflow: drop}", "", "known: downsample, drop_newest, drop_oldest, pause"),
        ("spool: {max_bytes: 0}", "", "sink.spool.max_bytes: must be at least 1B, got 0B"),
    ],
)
def test_check_refuses_what_does_not_fit(
    run: Command, more: str, delivery: str, problem: str
) -> None:
    assert problem in run("check", more, delivery=delivery)


SHARED = """
name: shared
sources: {{gen: {{generate: {{}}}}}}
sinks:
  one: {{from: gen, file: {{path: {one}}}}}
  two: {{from: gen, file: {{path: {two}}}}}
"""


def test_two_sinks_on_one_file_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "shared.yaml", tmp_path / "out.ndjson"
    (tmp_path / "link.ndjson").symlink_to(out)
    path.write_text(SHARED.format(one=out, two=tmp_path / "link.ndjson"))
    told = Cli(capsys)("check", path)
    assert f"sinks.two: two and one write to {out}, which takes one sink at a time" in told.err
    path.write_text(SHARED.format(one=out, two=tmp_path / "other.ndjson"))
    assert Cli(capsys)("check", path).code == 0


def test_plan_says_how_a_file_holds_each_row_once(run: Command) -> None:
    told = run("plan", "", sink="file: out.ndjson")
    assert "source → sink: effectively_once (" in told
    assert "; what was not committed is cut off when the file is opened again)" in told


def test_new_rows_first_is_refused_where_an_older_row_would_win() -> None:
    spec = SinkSpec(("steps",), Sqlite("a.db", "averages"), spool=Spool(order="live_first"))
    schema = Schema.of_kinds({"device": "string", "window_start": "time"})
    with pytest.raises(ConfigError, match="an older row would replace a newer one: no key is a"):
        received(spec, schema, ("device",))
    assert received(spec, schema, ("device", "window_start")) == schema
    assert received(spec, schema, ()) == schema


SOURCES = installed().names("source")
SINKS = installed().names("sink")
ASKED = (None, "best_effort", "at_least_once", "effectively_once")
DURABLE = (None, "power", "process", "none")


def example(kind: str, name: str) -> object:
    """A component as its manual shows it first."""
    cls = installed().load(kind, name)  # type: ignore[arg-type]
    data = load(cls.about.examples[0].encode(), "example").data
    return make(cls, data[name] if isinstance(data, dict) else None)


def spec_of(source: object, sink: object, **asked: object) -> PipelineSpec:
    return PipelineSpec(
        "pair",
        {"source": SourceSpec(source)},  # type: ignore[arg-type]
        {},
        {"sink": SinkSpec(("source",), sink)},  # type: ignore[arg-type]
        **asked,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("sink_name", SINKS)
@pytest.mark.parametrize("source_name", SOURCES)
def test_every_pair_holds_what_it_says_or_is_refused_with_a_remedy(
    source_name: str, sink_name: str
) -> None:
    source, sink = example("source", source_name), example("sink", sink_name)
    twice = sink.delivery == "at_least_once"  # type: ignore[attr-defined]
    strongest = "at_least_once" if twice else "effectively_once"
    for delivery in ASKED:
        for durable in DURABLE:
            spec = spec_of(source, sink, delivery=delivery, durability=durable)
            contrary = (delivery == "best_effort" and durable in ("power", "process")) or (
                delivery in ("at_least_once", "effectively_once") and durable == "none"
            )
            if contrary or (delivery == "effectively_once" and twice):
                with pytest.raises(ConfigError) as told:
                    agreed(spec)
                problem = told.value.problems[0]
                assert problem.path in (("durability",), ("delivery",))
                assert problem.hint, problem
                continue
            nothing = delivery == "best_effort" or durable == "none"
            assert agreed(spec) == ("best_effort" if nothing else delivery or strongest)
            assert durability(spec) == ("none" if nothing else durable or "power")
            (pair,) = pairs(spec)
            assert pair.delivery == agreed(spec)
            assert ("power cut" in pair.reason) == (durable == "process")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("mqtt: {url: 'mqtt://h', topics: [t], qos: 1}", "sent again until then"),
        ("mqtt: {url: 'mqtt://h', topics: [t], qos: 0}", "is not sent again"),
        ("lora_serial: /dev/ttyUSB0", "is not sent again"),
        ("http: 127.0.0.1:8081", "sent again until then; what comes twice is known by its id"),
        ("file: a.ndjson", "it is read again from its position"),
    ],
)
def test_plan_says_from_where_on_nothing_is_lost(source: str, reason: str) -> None:
    name, _, value = source.partition(": ")
    made = make(installed().load("source", name), load(value.encode(), "x").data)
    (pair,) = pairs(spec_of(made, Sqlite("a.db", "t")))
    assert reason in pair.reason


def test_an_event_id_is_in_the_reason() -> None:
    spec = spec_of(example("source", "mqtt"), Sqlite("a.db", "t"))
    source = replace(spec.sources["source"], event_id=EventId(("id",)))
    (pair,) = pairs(replace(spec, sources={"source": source}))
    assert "known by its id" in pair.reason


@pytest.mark.parametrize(
    ("durable", "synchronous"), [("power", 2), ("process", 1), (None, 2), ("none", 1)]
)
async def test_durability_is_how_the_state_file_commits(
    tmp_path: Path, durable: str | None, synchronous: int
) -> None:
    wire, table = Wire([[b'{"device": "a", "t": 1}']]), Table()
    spec = replace(pipeline(wire, Memory(table)), durability=durable)
    async with running(spec, tmp_path) as made:
        await until(lambda: bool(table.rows))
        store = made.readers["source"]._journal or made.task._store
        found = await store._running.submit(lambda db: db.execute("PRAGMA synchronous").fetchone())
        journalled = made.readers["source"]._journal is not None
    assert found == (synchronous,)
    assert journalled == (durable != "none")
