"""Tests that stand in pipeline files: what they find, and that the clock's jumps change nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgestream as es
from edgestream import count, mean
from edgestream.clock import SECOND
from edgestream.codecs.json import Json
from edgestream.codecs.senml import Senml
from edgestream.config.convert import convert
from edgestream.errors import ConfigError
from edgestream.graph import build
from edgestream.operators.function import Use
from edgestream.read import read_text
from edgestream.scenario import Scenario
from edgestream.spec import PipelineSpec
from edgestream.testing.scenarios import Outcome, check_scenarios, play, run_scenario
from edgestream.testing.scenarios.show import lines

START = "2026-11-24T10:00:00Z"


def weather(**time: Any) -> es.Pipeline:
    return (
        es.pipeline("weather")
        .source(
            es.Mqtt(url="mqtt://nowhere", topics=["sensors/{device}/telemetry"]),
            time=es.Time("ts", **{"unit": "ms", "delay": "2s", **time}),
        )
        .where("temperature > -40 and temperature < 85")
        .window(
            tumbling="10s",
            by="device",
            late="5s",
            aggregate={"n": count(), "mean": mean("temperature")},
        )
        .sink(es.Stdout())
    )


def scenario(**fields: Any) -> Scenario:
    made: Scenario = convert(Scenario, {"name": "it", "start": START, **fields})
    return made


def outcome(spec: es.Pipeline | PipelineSpec, **fields: Any) -> Outcome:
    return run_scenario(spec if isinstance(spec, PipelineSpec) else spec.spec(), scenario(**fields))


def rows(spec: es.Pipeline, **fields: Any) -> dict[str, list[Mapping[str, Any]]]:
    return play.play(spec.spec(), scenario(**fields)).rows


READINGS = [
    {"rows": [{"device": "a", "ts": "+3s", "temperature": 20}]},
    {"at": "4s", "rows": [{"topic": "sensors/a/telemetry", "ts": "+4s", "temperature": 21}]},
]
MEAN = {"device": "a", "window_start": "+0s", "n": 2, "mean": 20.5}


def test_a_window_closes_in_silence() -> None:
    assert outcome(weather(), given=READINGS, wait="1m", expect=[MEAN]).ok
    assert outcome(weather(), given=READINGS, expect=[]).ok
    assert outcome(weather(), given=READINGS, end=True, expect=[MEAN]).ok


def test_silence_is_as_long_as_written() -> None:
    # the watermark passes 10 s when 4 s + silence − 2 s ≥ 10 s, and idle is 30 s
    assert outcome(weather(), given=READINGS, wait="29s", expect=[]).ok
    assert outcome(weather(), given=READINGS, wait="30s", expect=[MEAN]).ok
    assert outcome(weather(idle="5s"), given=READINGS, wait="7900ms", expect=[]).ok
    assert outcome(weather(idle="5s"), given=READINGS, wait="8s", expect=[MEAN]).ok


def test_times_may_be_written_in_three_ways() -> None:
    for written in ("+0s", START, "2026-11-24T11:00:00+01:00"):
        expect = [{**MEAN, "window_start": written}]
        assert outcome(weather(), given=READINGS, end=True, expect=expect).ok
    wrong = outcome(weather(), given=READINGS, end=True, expect=[{**MEAN, "window_start": "+10s"}])
    assert not wrong.ok


@pytest.mark.parametrize(
    ("unit", "written"),
    [("s", 1795687203), ("us", 1795687203000000), ("iso8601", "2026-11-26T10:00:03Z"), (None, 0)],
)
def test_the_time_column_is_written_in_its_unit(unit: Any, written: object) -> None:
    spec = (
        es.pipeline("pass")
        .source(es.Mqtt(url="mqtt://nowhere", topics=["t"]), time=es.Time("ts", unit=unit))
        .sink(es.Stdout())
    )
    start = "1970-01-01T00:00:00Z" if written == 0 else "2026-11-26T10:00:00Z"
    offset = "+0s" if written == 0 else "+3s"
    given_ = [{"rows": [{"ts": offset}]}]
    assert outcome(spec, start=start, given=given_, expect=[{"ts": written}]).ok
    assert outcome(spec, start=start, given=given_, expect=[{"ts": offset}]).ok
    assert not outcome(spec, start=start, given=given_, expect=[{"ts": "+1h"}]).ok


def test_a_codec_that_gives_times_is_given_times() -> None:
    pipeline = (
        es.pipeline("packs")
        .source(es.Mqtt(url="mqtt://nowhere", topics=["packs"]), decode=Senml(), time="time")
        .sink(es.Stdout())
    )
    given = [{"rows": [{"topic": "packs", "name": "a", "time": "+3s", "value": 20.0}]}]
    assert outcome(pipeline, given=given, expect=[{"name": "a", "time": "+3s", "value": 20}]).ok


def test_late_rows_correct_a_window_then_leave_by_their_port() -> None:
    late = weather().sink(es.Stdout(), name="late", from_="steps.late").spec()
    given_ = [
        {"at": "1s", "rows": [{"device": "a", "ts": "+1s", "temperature": 20}]},
        {"at": "13s", "rows": [{"device": "a", "ts": "+13s", "temperature": 20}]},
        {"at": "14s", "rows": [{"device": "a", "ts": "+2s", "temperature": 22}]},
        {"at": "30s", "rows": [{"device": "a", "ts": "+30s", "temperature": 20}]},
        {"at": "31s", "rows": [{"device": "a", "ts": "+2s", "temperature": 24}]},
    ]
    expect = {
        "sink": [
            {"window_start": "+0s", "n": 1},
            {"window_start": "+0s", "n": 2, "mean": 21},
            {"window_start": "+10s", "n": 1},
        ],
        "late": [{"ts": "+2s", "temperature": 24}],
    }
    assert outcome(late, given=given_, expect=expect, in_order=True).ok


def test_a_clock_that_is_wrong_hurries_nobody() -> None:
    given_ = [
        {"rows": [{"device": "ahead", "ts": "+365d", "temperature": 20}]},
        {"rows": [{"device": "behind", "ts": 0, "temperature": 20}]},
        *READINGS,
    ]
    expect = [MEAN, {"device": "behind", "window_start": "1970-01-01T00:00:00Z", "n": 1}]
    assert outcome(weather(), given=given_, wait="1m", expect=expect).ok


@pytest.mark.parametrize("at", ["0s", "3s", "4s", "20s", "35s", ["3s", "4s", "20s"]])
def test_a_restart_changes_nothing(at: object) -> None:
    assert outcome(weather(), given=READINGS, restart_at=at, wait="2m", expect=[MEAN]).ok


def test_without_its_state_a_restart_would_lose_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "snapshot", lambda graph: {})
    assert not outcome(weather(), given=READINGS, restart_at="4s", wait="2m", expect=[MEAN]).ok


def test_bad_input_is_a_dead_letter_and_must_be_expected() -> None:
    given_ = [*READINGS, {"at": "5s", "payloads": ["{", {"ts": "noon"}, {"temperature": 5}]}]
    case = {"given": given_, "end": True, "expect": [MEAN]}
    assert not outcome(weather(), **case).ok
    assert outcome(weather(), **case, dead_letters=3).ok
    reasons = [{"reason": "missing"}, {"reason": "not JSON", "payload": "{"}, {"source": "source"}]
    assert outcome(weather(), **case, dead_letters=reasons).ok
    assert not outcome(weather(), **case, dead_letters=reasons[:2]).ok
    assert not outcome(weather(), **case, dead_letters=[{"reason": "gone"}] * 3).ok


def test_a_bad_time_first_does_not_settle_what_the_column_holds() -> None:
    given_ = [{"columns": {"device": "a"}, "payloads": [{"ts": "noon"}]}, *READINGS]
    assert outcome(weather(), given=given_, end=True, expect=[MEAN], dead_letters=1).ok


def test_what_a_port_takes_is_no_dead_letter() -> None:
    spec = weather().sink(es.Stdout(), name="bad", from_="source.rejected").spec()
    expect = {"bad": [{"payload": "{"}], "sink": []}
    assert outcome(spec, given=[{"payloads": ["{"]}], expect=expect).ok


def test_sources_that_give_rows_themselves() -> None:
    spec = (
        es.pipeline("made")
        .source(es.Generate(devices=1), time="ts")
        .window(tumbling="10s", by="device", aggregate={"mean": mean("temperature")})
        .sink(es.Stdout())
    )
    given_ = [
        {"rows": [{"device": "a", "ts": "+1s", "temperature": 5}, {"device": "b", "ts": "+1s"}]}
    ]
    expect = [{"device": "a", "mean": 5}, {"device": "b", "mean": None, "window_end": "+10s"}]
    assert outcome(spec, given=given_, end=True, expect=expect).ok


def test_rows_go_through_the_codec_of_their_source() -> None:
    csv = read_text(
        b"""
name: sheet
source:
  file: {path: x.txt, format: ndjson}
  decode: {csv: [device, ts, temperature]}
  time: ts
sink: stdout
""",
        "sheet.yaml",
    )
    given_ = [{"rows": [{"device": "a, b", "ts": "+3s"}]}, {"payloads": ["c,1,2", "c,1"]}]
    expect = [
        {"device": "a, b", "ts": "+3s", "temperature": None},
        {"device": "c", "ts": 1, "temperature": 2},
    ]
    assert outcome(csv, given=given_, expect=expect, dead_letters=1).ok


def test_the_difference_is_shown_cell_by_cell() -> None:
    expect = [{**MEAN, "mean": 20}, {"device": "b", "window_start": "+0s", "n": 1}]
    found = outcome(
        weather(),
        given=[*READINGS, {"rows": [{"device": "c", "ts": "+3s", "temperature": 7}], "at": "5s"}],
        end=True,
        expect=expect,
    )
    assert list(lines(found)) == [
        "sink: 1 differs, 1 missing, 1 unexpected",
        "              device  window_start  n  mean",
        "  expected    a       +0s           2  20",
        "  got         a       +0s           2  ≠ 20.5",
        "  missing     b       +0s           1",
        "  unexpected  c       +0s           1  7",
    ]


def test_a_test_that_ends_too_early_is_told_so() -> None:
    found = outcome(weather(), given=READINGS, expect=[MEAN])
    assert list(lines(found))[-1].startswith("the clock stopped at 4s; with wait: 1m")


def test_numbers_are_compared_nearly_and_missing_is_null() -> None:
    spec = es.pipeline("pass").source(es.Mqtt(url="mqtt://nowhere", topics=["t"])).sink(es.Stdout())
    case: dict[str, Any] = {"given": [{"rows": [{"x": 0.1, "ok": True, "name": None, "n": 3}]}]}
    assert outcome(spec, **case, expect=[{"x": 0.1 + 1e-12, "ok": True, "n": 3.0}]).ok
    assert outcome(spec, **case, expect=[{"name": None, "never": None}]).ok
    for wrong in ({"x": 0.1 + 1e-6}, {"ok": False}, {"x": None}, {"name": ""}, {"n": "3"}):
        assert not outcome(spec, **case, expect=[wrong]).ok


def test_rows_are_matched_whatever_else_they_could_match() -> None:
    spec = es.pipeline("pass").source(es.Mqtt(url="mqtt://nowhere", topics=["t"])).sink(es.Stdout())
    given_ = [{"rows": [{"x": 1, "y": 1}, {"x": 1, "y": 2}]}]
    assert outcome(spec, given=given_, expect=[{"x": 1}, {"x": 1, "y": 1}]).ok
    assert outcome(spec, given=given_, expect=[{"y": 2}, {"y": 1}]).ok
    assert not outcome(spec, given=given_, expect=[{"y": 2}, {"y": 1}], in_order=True).ok
    assert not outcome(spec, given=given_, expect=[{"x": 1}, {"x": 1}, {"x": 1}]).ok
    assert not outcome(spec, given=given_, expect=[{"x": 1}]).ok


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "own_steps.py").write_text(
        "import edgestream as es\n\n@es.operator\n"
        "def add(batch: es.Batch, by: float = 1.0) -> es.Batch:\n"
        "    return batch.with_columns(x=by / 0 if by == 0 else batch['x'] + by)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_steps", None)


@pytest.mark.usefixtures("steps")
def test_functions_of_ones_own_run_and_may_fail() -> None:
    def used(by: float) -> Outcome:
        source = es.Mqtt(url="mqtt://nowhere", topics=["t"])
        step = Use(function="own_steps:add", with_={"by": by})
        spec = es.pipeline("own").source(source).step(step).sink(es.Stdout()).spec()
        case = scenario(given=[{"rows": [{"x": 1}]}], expect=[{"x": 3}])
        return run_scenario(spec, case, ("own_steps",))

    assert used(2).ok
    failed = used(0)
    assert not failed.ok
    assert "ZeroDivisionError" in "\n".join(lines(failed))


READ = b"""
name: several
sources:
  one:
    mqtt: {url: "mqtt://localhost", topics: ["sensors/{device}/telemetry"]}
    time: {field: ts, unit: ms}
  two:
    generate: {count: 3}
streams:
  means:
    from: [one, two]
    steps:
      - window: {tumbling: 10s, by: device, aggregate: {n: count()}}
sinks:
  out: {from: means, stdout: }
  late: {from: means.late, file: late.ndjson}
tests:
  - name: first
"""


def problems(test: str) -> list[str]:
    text = READ + test.encode()
    try:
        check_scenarios(build(read_text(text, "f"), Json()))
    except ConfigError as error:
        return [f"{'.'.join(map(str, found.path))}: {found}" for found in error.problems]
    return []


@pytest.mark.parametrize(
    ("test", "path", "told"),
    [
        ("    given: [{rows: [{device: a}]}]", "given.0", "which source? there are 2"),
        ("    given: [{source: on, rows: [{device: a}]}]", "given.0.source", "mean 'one'?"),
        ("    given: [{source: one}]", "given.0", "rows or payloads must be given"),
        ("    given: [{source: one, rows: [{a: [1]}]}]", "given.0.rows.0.a", "plain values"),
        (
            "    given: [{source: one, rows: [{topic: other/a}]}]",
            "given.0.rows.0.topic",
            "nothing comes from the topic 'other/a'",
        ),
        ("    given: [{source: two, rows: [{speed: 1}]}]", "given.0.rows.0.speed", "no column"),
        ("    given: [{source: two, rows: [{device: 1}]}]", "given.0.rows.0.device", "text, got 1"),
        ("    given: [{source: two, payloads: [x]}]", "given.0.payloads", "gives rows"),
        ("    given: [{source: one, payloads: [5]}]", "given.0.payloads.0", "a payload is text"),
        (
            "    given:\n      - {source: one, at: 5s, rows: [{x: 1}]}\n"
            "      - {source: one, at: 4s, rows: [{x: 1}]}",
            "given.1.at",
            "4s is before 5s",
        ),
        ("    expect: []", "expect", "which sink? there are 2; known: out, late"),
        ("    expect: {ouch: []}", "expect.ouch", "there is no sink 'ouch'"),
        ("    expect: {out: [{devise: a}]}", "expect.out.0.devise", "did you mean 'device'?"),
        ("    expect: {out: [{n: many}]}", "expect.out.0.n", "expected a number, got 'many'"),
        ("    expect: {out: [{window_start: 5}]}", "expect.out.0.window_start", "a time such as"),
        ("    start: noon", "start", "'noon' is not a time"),
        ("    wait: long", "wait", "expected a duration"),
        ("    restart_at: 5s", "restart_at", "the test is over after 0s"),
        ("    faults: [out: 5s]", "faults.0", "expected: sink averages is down from 5s to 20s"),
        ("    faults: [sink oot is down from 5s to 9s]", "faults.0", "did you mean 'out'?"),
        ("    faults: [sink is down from 5s to 9s]", "faults.0", "which sink? there are 2"),
        ("    faults: [sink out is down from 9s to 5s]", "faults.0", "5s is not after 9s"),
        ("    dropped: -1", "dropped", "must be at least 0"),
        ("    expects: []", "expects", "did you mean 'expect'?"),
        ("    dead_letters: many", "dead_letters", "expected how many, or a list"),
        ("    dead_letters: [{source: tow}]", "dead_letters.0.source", "did you mean 'two'?"),
        ("  - name: first", "", "the name 'first' is used twice"),
        ("  - 5", "", "expected a test"),
    ],
)
def test_mistakes_are_told_with_their_place(test: str, path: str, told: str) -> None:
    (found,) = problems(test)
    assert told in found
    place = "tests.1" if test.startswith("  -") else "tests.0"
    assert found.startswith(f"{place}.{path}" if path else place)


def test_a_test_without_mistakes() -> None:
    assert problems("    given: [{source: one, rows: [{device: a}]}]\n    expect: {late: []}") == []


def cascade(first: str, second: str, idle: str) -> es.Pipeline:
    return (
        es.pipeline("cascade")
        .source(
            es.Mqtt(url="mqtt://nowhere", topics=["t/{device}"]),
            time=es.Time("ts", unit="ms", idle=idle),
        )
        .source(
            es.Mqtt(url="mqtt://nowhere", topics=["other"]),
            name="other",
            time=es.Time("ts", unit="ms", idle="20s"),
        )
        .stream("one", ["source", "other"])
        .window(tumbling=first, by="device", late="15s", aggregate={"n": count()})
        .stream("two", "one")
        .window(tumbling=second, aggregate={"rows": count(), "n": mean("n")})
        .sink(es.Stdout(), name="ones", from_="one")
        .sink(es.Stdout(), name="twos", from_="two")
        .sink(es.Stdout(), name="late", from_="two.late")
    )


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    spec=st.builds(
        cascade,
        st.sampled_from(["5s", "20s", "1m"]),
        st.sampled_from(["3s", "20s", "2m"]),
        st.sampled_from(["1s", "30s"]),
    ),
    arrivals=st.lists(
        st.tuples(
            st.sampled_from(["source", "other"]),
            st.integers(0, 100),
            st.integers(-20, 2),
            st.sampled_from("ab"),
        ),
        max_size=4,
    ),
    restart=st.integers(0, 100),
)
def test_jumps_of_the_clock_and_restarts_change_nothing(
    spec: es.Pipeline, arrivals: list[tuple[str, int, int, str]], restart: int
) -> None:
    given_ = [
        {
            "source": source,
            "at": f"{at}s",
            "rows": [{"device" if source == "source" else "x": device, "ts": f"{at + off:+}s"}],
        }
        for source, at, off, device in sorted(arrivals, key=lambda arrival: arrival[1])
    ]
    last = max((at for _, at, _, _ in arrivals), default=0)
    case: dict[str, Any] = {"given": given_, "wait": "4m"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "FIRST_STEPS", 1_000_000)
        plain = rows(spec, **case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "FIRST_STEPS", 32)
        assert rows(spec, **case) == plain
    if restart <= last:  # silence is counted anew after a restart, which changes nothing before
        before = rows(spec, **case, restart_at=f"{restart}s")
        assert len(before["ones"]) == len(plain["ones"])


def test_a_long_wait_takes_few_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = 0
    tick: Callable[..., Any] = play.Flow.tick

    def counted(self: Any, monotonic: int) -> Any:
        nonlocal ticks
        ticks += 1
        return tick(self, monotonic)

    monkeypatch.setattr(play.Flow, "tick", counted)
    assert outcome(weather(), given=READINGS, wait="365d", expect=[MEAN]).ok
    assert ticks < 10_000
    assert play.TICK == SECOND // 10
