"""Sinks that are down in the tests of pipelines."""

from __future__ import annotations

from typing import Any

import pytest

import edgestream as es
from edgestream import count
from edgestream.scenario import Fault
from edgestream.spec import PipelineSpec, Spool
from edgestream.testing.scenarios import play, run_scenario
from edgestream.testing.scenarios.show import lines
from tests.testing.test_scenarios import scenario


def minutes(**sink: Any) -> PipelineSpec:
    """A row a second from a, in windows of ten seconds, into the sink ``town`` and another."""
    made = (
        es.pipeline("minutes")
        .source(es.Mqtt(url="mqtt://nowhere", topics=["t"]), time=es.Time("ts", delay="0s"))
        .window(tumbling="10s", by="device", aggregate={"n": count()})
        .sink(es.Sqlite(path="a.db", table="t"), name="town", **sink)
        .sink(es.Sqlite(path="b.db", table="t"), name="here")
    )
    return made.spec()


def readings(seconds: int) -> list[dict[str, Any]]:
    return [
        {"at": f"{at}s", "rows": [{"device": "a", "ts": f"+{at}s"}]} for at in range(seconds + 1)
    ]


def played(spec: PipelineSpec, seconds: int, *faults: str, **more: Any) -> play.Played:
    test = scenario(given=readings(seconds), faults=list(faults), **more)
    return play.play(spec, test)


def starts(found: play.Played, sink: str) -> list[int]:
    times = [row["window_start"] for row in found.rows[sink]]
    return [time.minute * 60 + time.second for time in times]


def test_a_fault_is_read_as_it_is_said() -> None:
    assert Fault.from_config("sink town is down from 5s to 20s").sink == "town"
    assert Fault.from_config("sink is down  from 5s to 20s").sink == ""
    with pytest.raises(ValueError, match="expected: sink averages is down from 5s to 20s"):
        Fault.from_config("town is down")


def test_rows_arrive_after_the_outage_and_another_sink_does_not_notice() -> None:
    found = played(minutes(), 60, "sink town is down from 15s to 45s")
    assert starts(found, "town") == starts(found, "here") == [0, 10, 20, 30, 40, 50]
    still = played(minutes(), 60, "sink town is down from 15s to 2m")
    assert starts(still, "town") == [0]
    assert starts(still, "here") == [0, 10, 20, 30, 40, 50]


def test_an_outage_survives_a_restart_and_the_jumps_of_the_clock() -> None:
    more = {"restart_at": ["20s"], "wait": "3h"}
    found = played(minutes(), 40, "sink town is down from 15s to 2h", **more)
    assert starts(found, "town") == [0, 10, 20, 30, 40]


def test_late_rows_are_marked() -> None:
    found = played(minutes(spool=Spool(mark="late")), 40, "sink town is down from 15s to 35s")
    assert [row["late"] for row in found.rows["town"]] == [False, True, True, False]
    assert "late" not in found.rows["here"][0]


@pytest.mark.parametrize(
    ("overflow", "kept"),
    [("drop_oldest", [40, 50]), ("drop_newest", [0, 10]), ("downsample", None)],
)
def test_what_the_spool_drops_is_dropped_and_counted(overflow: Any, kept: list[int] | None) -> None:
    one = 165  # bytes, a little more than such a batch of one row takes
    spec = minutes(spool=Spool(f"{2 * one}B", overflow=overflow))
    found = played(spec, 61, "sink town is down from 5s to 60.5s")
    assert found.dropped["here"] == 0
    assert len(found.rows["town"]) + found.dropped["town"] == 6
    assert found.dropped["town"] > 0
    if kept is not None:
        assert starts(found, "town") == kept


def test_rows_that_waited_too_long_are_dropped() -> None:
    spec = minutes(spool=Spool(max_age="25s", overflow="drop_oldest"))
    found = played(spec, 60, "sink town is down from 15s to 55s")
    assert starts(found, "town") == [0, 20, 30, 40, 50]
    assert found.dropped["town"] == 1


def test_wait_holds_every_sink_and_loses_nothing() -> None:
    spec = minutes(when_unreachable="wait")
    cut = played(spec, 35, "sink town is down from 15s to 1h")
    assert starts(cut, "town") == [0]
    assert starts(cut, "here") == [0, 10], "no sink gets ahead of it by more than what was made"
    whole = played(spec, 61, "sink town is down from 15s to 55s")
    assert starts(whole, "town") == starts(whole, "here") == [0, 10, 20, 30, 40, 50]
    assert [row["n"] for row in whole.rows["town"]] == [10] * 6


def test_pause_holds_everything_once_the_spool_is_full() -> None:
    cut = played(minutes(spool=Spool("1B")), 45, "sink town is down from 15s to 1h")
    assert starts(cut, "here") == [0, 10]
    whole = played(minutes(spool=Spool("1B")), 61, "sink town is down from 15s to 55s")
    assert starts(whole, "town") == [0, 10, 20, 30, 40, 50]


def test_a_drop_that_was_not_expected_fails_the_test() -> None:
    spec = minutes(spool=Spool("330B", overflow="drop_oldest"))
    given: dict[str, Any] = {
        "given": readings(45),
        "faults": ["sink town is down from 5s to 1h"],
    }
    outcome = run_scenario(spec, scenario(**given))
    assert list(lines(outcome)) == ["dropped rows: 0 expected, 2 of town were dropped"]
    assert run_scenario(spec, scenario(**given, dropped=2)).ok
