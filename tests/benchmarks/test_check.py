"""What an engine at a broker lost, counted twice or got wrong is counted, whatever it keeps."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from benchmarks.check import counted, filtered, progress
from benchmarks.data import make
from benchmarks.peers.live import bento, node_red, ours, telegraf
from benchmarks.peers.live.engine import Engine, Job, flat_reading

DATA = make(400, 5, 20)


def windows(data, size):
    """Rows by device and window, as an engine writes them."""
    groups = {}
    for device, ts, value in zip(
        data.device.tolist(), data.ts.tolist(), data.temperature.tolist(), strict=True
    ):
        groups.setdefault((f"sensor-{device:04d}", ts // size * size), []).append(value)
    return [
        (device, start, len(values), sum(values) / len(values), min(values), max(values))
        for (device, start), values in groups.items()
    ]


@pytest.fixture
def job(tmp_path):
    return Job("window", tmp_path, 1883, len(DATA), 0, size=10_000)


def engine(rows, *, by_time):
    kept = rows if by_time else [(device, None, *rest) for device, _, *rest in rows]
    return Engine("any", lambda _: [], rows=lambda _: kept)


@pytest.mark.parametrize("by_time", [True, False])
def test_all_windows_are_right(job, by_time):
    found = counted(DATA, engine(windows(DATA, 10_000), by_time=by_time), job)
    assert (found["lost"], found["wrong"], found["windows"]) == (0, 0, 10)


@pytest.mark.parametrize("by_time", [True, False])
def test_messages_without_a_window_are_lost_and_their_windows_wrong(job, by_time):
    part = replace(DATA, **{name: getattr(DATA, name)[1:-3] for name in DATA.__slots__})
    found = counted(DATA, engine(windows(part, 10_000), by_time=by_time), job)
    assert found["lost"] == 4
    assert 1 <= found["wrong"] <= 4


def test_messages_in_two_windows_are_lost_below_zero(job):
    rows = windows(DATA, 10_000)
    found = counted(DATA, engine([*rows, rows[0]], by_time=False), job)
    assert found["lost"] == -rows[0][2]
    assert found["wrong"] == 1


def test_by_arrival_only_the_sums_are_compared(job):
    found = counted(DATA, engine(windows(DATA, 3_000), by_time=False), job)
    assert (found["lost"], found["wrong"]) == (0, 0)
    assert counted(DATA, engine(windows(DATA, 3_000), by_time=True), job)["wrong"] > 0


def test_without_rows_everything_is_lost(job):
    found = counted(DATA, engine([], by_time=False), job)
    assert (found["lost"], found["wrong"], found["windows"]) == (400, 5, 0)


def test_node_red_is_read_up_to_the_last_whole_line(job):
    rows = [[device, n, mean, low, high] for device, _, n, mean, low, high in windows(DATA, 10_000)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (job.folder / "rows.ndjson").write_text(lines + '["sensor-00')
    assert progress(node_red.ENGINE, job) == 400
    assert counted(DATA, node_red.ENGINE, job)["wrong"] == 0


SHAPES = {
    "telegraf": (telegraf, "mqtt_consumer", "device, temperature_count, temperature_mean"),
    "bento": (bento, "averages", "device, n, mean"),
    "edgestream": (ours, "averages", "device, n, mean"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_rows_in_a_database_are_counted_as_they_come(job, name):
    peer, table, columns = SHAPES[name]
    assert progress(peer.ENGINE, job) == 0
    with closing(sqlite3.connect(job.database)) as connection:
        connection.execute(f"CREATE TABLE {table} ({columns})")
        connection.execute(f"INSERT INTO {table} VALUES ('a', 3, 1.5), ('b', 4, 2.5)")
        connection.commit()
    assert progress(peer.ENGINE, job) == 7


class Heard:
    """Answers of the filter, all at one moment."""

    def __init__(self, answers):
        self._answers = answers

    def answers(self):
        return [(DATA.ts[0] / 1000 + 0.25, json.dumps(answer)) for answer in self._answers]


def answers():
    rows = zip(DATA.device.tolist(), DATA.ts.tolist(), DATA.temperature.tolist(), strict=True)
    return [
        {"device": f"sensor-{device:04d}", "ts": ts, "temperature": value * 1.8 + 32}
        for device, ts, value in rows
        if value > 20
    ]


def test_answers_of_the_filter_are_held_to_the_readings():
    peer = Engine("any", lambda _: [], reading=flat_reading)
    right = answers()
    found = filtered(DATA, peer, Heard(right), latency=True)
    assert (found["lost"], found["wrong"]) == (0, 0)
    assert found["max ms"] <= 250
    other = {**right[0], "temperature": right[0]["temperature"] + 0.01}
    found = filtered(DATA, peer, Heard([other, *right[2:], right[-1]]), latency=False)
    assert (found["lost"], found["wrong"]) == (2, 2)


def test_an_answer_of_telegraf_is_its_fields_and_tags():
    found = {"fields": {"ts": 5.0, "temperature": 70.5}, "tags": {"device": "a"}, "name": "x"}
    assert telegraf.ENGINE.reading is not None
    assert telegraf.ENGINE.reading(found) == ("a", 5, 70.5)
