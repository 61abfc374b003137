"""``event_id``: what comes twice is dropped, through crashes of the worker and of the broker."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edgestream.clock import SystemClock
from edgestream.codecs.json import Json
from edgestream.errors import ConfigError
from edgestream.eventid import EventId
from edgestream.graph import build
from edgestream.read import read_text
from edgestream.runtime.running import Running
from edgestream.spec import PipelineSpec
from tests.cli.run import Cli
from tests.runtime.parts import Memory, Table, Wire
from tests.runtime.test_running import crash, message, pipeline, running, until
from tests.servers.mosquitto import Mosquitto


def named(spec: PipelineSpec, event_id: EventId) -> PipelineSpec:
    source = replace(spec.sources["source"], event_id=event_id)
    return replace(spec, sources={"source": source})


@pytest.mark.parametrize("delivery", ["best_effort", "effectively_once"])
async def test_what_comes_twice_is_dropped_and_counted(tmp_path: Path, delivery: str) -> None:
    wire, table = Wire([[message("a", 1), message("b", 1), message("a", 2)]]), Table()
    spec = named(pipeline(wire, Memory(table), delivery=delivery), EventId(("device",)))
    async with running(spec, tmp_path) as made:
        await until(lambda: len(table.rows) == 2)
        wire.blocks += [[message("b", 5), message("c", 6)]]
        await until(lambda: len(table.rows) == 3)
        assert made.graph.entries["source"].repeated == 2
    wire.blocks += [[message("a", 7), message("d", 8)]]
    async with running(spec, tmp_path):
        await until(lambda: len(table.rows) == 4)
    assert [row["device"] for row in table.rows] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("checkpoint", ["10ms", "1h"])
async def test_ids_survive_a_crash(tmp_path: Path, checkpoint: str) -> None:
    wire, table = Wire(), Table()
    for lap in range(4):
        spec = pipeline(wire, Memory(table), checkpoint=checkpoint)
        made = Running(named(spec, EventId(("device", "t"))), tmp_path, SystemClock())
        task = asyncio.create_task(made.run())
        wire.acknowledged.clear()
        wire.blocks += [[message("a", 1), message("a", lap)], [message(f"n{lap}", 1)]]
        await until(lambda: wire.acknowledged[-1:] == [2])
        await crash(made, task)
    wire.blocks += [[message("end", 1)]]
    async with running(named(pipeline(wire, Memory(table)), EventId(("device", "t"))), tmp_path):
        await until(lambda: any(row["device"] == "end" for row in table.rows))
    got = [(row["device"], row["t"]) for row in table.rows]
    assert sorted(got) == sorted(set(got))
    assert len(got) == 9  # (a, 0..3), n0..n3, end


def test_an_unknown_column_is_told_with_its_place() -> None:
    text = b"""
name: x
source: {generate: {count: 1}, event_id: devise}
sink: stdout
"""
    with pytest.raises(ConfigError, match=r"source\.event_id.*devise") as told:
        build(read_text(text, "x.yaml"), Json())
    assert "did you mean 'device'" in str(told.value)


TESTED = """
name: tested
source: {file: a.ndjson, event_id: {by: id, within: 1h}}
sink: stdout
tests:
  - name: what comes twice is dropped, over restarts too
    given:
      - {at: 1s, rows: [{id: a}, {id: b}, {id: a}]}
      - {at: 20s, rows: [{id: b}, {id: c}]}
      - {at: 40s, rows: [{id: a}, {id: c}, {id: d}]}
      - {at: 2h, rows: [{id: a}]}
    restart_at: [10s, 30s]
    expect: {sink: [{id: a}, {id: b}, {id: c}, {id: d}, {id: a}]}
"""


def test_the_tests_of_a_pipeline_know_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tested.yaml"
    path.write_text(TESTED)
    ran = Cli(capsys)("test", path)
    assert ran.code == 0, ran.out + ran.err


PIPELINE = """
name: twice
checkpoint: 100ms
source:
  mqtt: {{url: "{url}", topics: [t], qos: 1}}
{event_id}
sink:
  sqlite: {{path: "{path}", table: rows, mode: append}}
"""
COUNT = 400


def count(path: Path) -> tuple[int, int]:
    """All rows, and different ones."""
    if not path.exists():
        return 0, 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        try:
            query = "SELECT count(*), count(DISTINCT n) FROM rows"
            return tuple(connection.execute(query).fetchone())
        except sqlite3.OperationalError:
            return 0, 0


@pytest.mark.server
@pytest.mark.parametrize("event_id", ["", "  event_id: {by: n, within: 10m}"])
async def test_a_broker_that_comes_back_with_an_old_session(tmp_path: Path, event_id: str) -> None:
    """Killed and restored from what it saved before, it sends again what was acknowledged."""
    broker = Mosquitto(tmp_path / "broker", ["autosave_interval 3600"], persistent=True)
    saved, kept = tmp_path / "broker" / "mosquitto.db", tmp_path / "kept.db"
    path = tmp_path / "out.db"
    text = PIPELINE.format(url=broker.url, path=path, event_id=event_id)
    spec = read_text(text.encode(), "twice.yaml")
    broker.start()
    try:
        async with running(spec, tmp_path) as made:  # makes the session, and leaves
            await until(lambda: made.state == "running")
            await until(lambda: made.readers["source"].status.state == "connected")
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        for n in range(COUNT):
            client.publish("t", b'{"n": %d}' % n, qos=1).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()
        broker.process.signal(signal.SIGUSR1)  # save: everything waits in the session
        await until(saved.exists)
        await asyncio.sleep(0.2)
        shutil.copy(saved, kept)
        async with running(spec, tmp_path) as made:
            await until(lambda: count(path) == (COUNT, COUNT))
            broker.kill()
            shutil.copy(kept, saved)
            broker.start()
            entry = made.graph.entries["source"]
            await until(lambda: entry.rows_out + entry.repeated == 2 * COUNT, 30)
        again = 0 if event_id else COUNT
        assert count(path) == (COUNT + again, COUNT)
    finally:
        broker.stop()
