"""What a source and a sink promise, and what a spool takes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgestream.delivery import received
from edgestream.errors import ConfigError
from edgestream.schema import Schema
from edgestream.sinks.sqlite import Sqlite
from edgestream.spec import SinkSpec, Spool
from tests.cli.run import Cli

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


def test_new_rows_first_is_refused_where_an_older_row_would_win() -> None:
    spec = SinkSpec(("steps",), Sqlite("a.db", "averages"), spool=Spool(order="live_first"))
    schema = Schema.of_kinds({"device": "string", "window_start": "time"})
    with pytest.raises(ConfigError, match="an older row would replace a newer one: no key is a"):
        received(spec, schema, ("device",))
    assert received(spec, schema, ("device", "window_start")) == schema
    assert received(spec, schema, ()) == schema
