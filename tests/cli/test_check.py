"""What a user with a broken file sees: exact lines, all at once, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgestream.registry import KINDS, installed
from tests.cli.run import Cli


class Check:
    """Writes files into an empty folder, checks them, and gives the lines that are printed."""

    def __init__(self, cli: Cli) -> None:
        self._cli = cli

    def __call__(self, text: str | bytes, name: str = "p.yaml") -> list[str]:
        Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
        return self.of(name)

    def of(self, *arguments: str) -> list[str]:
        ran = self._cli("check", *arguments)
        lines = ran.err.splitlines()
        assert ran.code == (78 if lines else 0)
        assert "Traceback" not in ran.err
        assert (ran.out == "") == bool(lines)
        return lines


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(capsys)


@pytest.fixture
def check(cli: Cli) -> Check:
    return Check(cli)


MANY = """\
name: Many Mistakes
delivry: at_least_once
checkpoint: 5 parsecs
sources:
  radio:
    mqtt:
      url: "mqtt://localhost:1883"
      topcs: [a]
      topic: [x]
      qos: two
      keep_alive: soon
      username: me
      password: hunter2
    time: {field: ts, unit: minutes}
  queue: {kafka: {}}
  two: {generate: , file: x.csv}
  fake:
    generate: {devices: many, rate: -1, jitter: 10, coutn: 3}
    tme: ts
streams:
  one:
    from: nowhere
    steps:
      - where: temperature >> 3
      - where: x > 1
        select: [x]
      - windw: {}
      - sqlite: {}
      - set: {y: "1 +", z: nope(x)}
      - window: {tumbling: 10s, by: device, aggregate: {m: mean(), p: "meen(x)"}}
      - where:
      - 5
  round: {from: about}
  about: {from: round}
  five: 7
sinks:
  kept:
    from: one
    sqlite: {path: x.db}
    when_unreachable: never
    spool: {max_bytes: 5 lightyears}
  lost: {stdout: }
  fed: {from: {}, stdout: }
"""


def with_names(text: str) -> str:
    """The names of all there is, which grow."""
    for kind in KINDS:
        text = text.replace(f"{kind.upper()}S", ", ".join(installed().names(kind)))
    return text


MANY_SAID = """\
1:7: name: 'Many Mistakes' is not a usable name; use a small letter, then small letters, digits, \
- and _; at most 63
2:1: delivry: unknown key 'delivry'; did you mean 'delivery'?
3:13: checkpoint: expected a duration such as 250ms, 10s, 5m, 2h or 7d, got '5 parsecs'
8:7: sources.radio.mqtt.topcs: unknown field 'topcs'; did you mean 'topics' or 'topic'?
9:7: sources.radio.mqtt.topic: expected text, got a list
10:12: sources.radio.mqtt.qos: 'two' is not one of the choices; known: 0, 1
11:19: sources.radio.mqtt.keep_alive: expected a duration such as 250ms, 10s, 5m, 2h or 7d, got \
'soon'
13:17: sources.radio.mqtt.password: a secret is not written here; use ${VARIABLE} or \
${file:/run/secrets/name}
14:29: sources.radio.time.unit: 'minutes' is not one of the choices; known: iso8601, ms, ns, s, us
15:11: sources.queue.kafka: there is no source 'kafka'; known: SOURCES
16:27: sources.two.file: one source is named at a time, found generate and file
18:25: sources.fake.generate.devices: expected a whole number, got 'many'
18:37: sources.fake.generate.rate: must be at least 0, got -1
18:49: sources.fake.generate.jitter: expected a duration such as 250ms, 10s, 5m, 2h or 7d, got '10'
18:53: sources.fake.generate.coutn: unknown field 'coutn'; did you mean 'count'?
19:5: sources.fake.tme: unknown key 'tme' beside the source; did you mean 'time'?
20:1: streams: the streams about, round feed each other in a circle
22:11: streams.one.from: there is no source or stream 'nowhere'; known: about, fake, five, one, \
queue, radio, round, two
24:29: streams.one.steps.0.where: unexpected '>'
26:9: streams.one.steps.1.select: one operator is named at a time, found where and select
27:9: streams.one.steps.2.windw: there is no operator 'windw'; did you mean 'window'?
28:9: streams.one.steps.3.sqlite: there is no operator 'sqlite'; 'sqlite' is a sink
29:22: streams.one.steps.4.set.y: the expression ends too early; a value is missing
29:28: streams.one.steps.4.set.z: there is no function 'nope'
30:60: streams.one.steps.5.window.aggregate.m: mean() needs an expression; write mean(column)
30:72: streams.one.steps.5.window.aggregate.p: there is no aggregate 'meen'; \
did you mean 'mean' or 'median'?
31:15: streams.one.steps.6.where: the field 'condition' is missing; What must be true of a row, \
as an expression.
32:9: streams.one.steps.7: expected an operator; known: OPERATORS
35:9: streams.five: expected {from: …, steps: […]}
39:5: sinks.kept.sqlite: the field 'table' is missing; The table: letters, digits and _.
40:23: sinks.kept.when_unreachable: 'never' is not one of the choices; known: spool, wait
41:24: sinks.kept.spool.max_bytes: expected a size such as 64KiB, 10MiB or 1GiB, got '5 lightyears'
42:3: sinks.lost: nothing feeds it; add from:
43:9: sinks.fed.from: expected the name of a source or stream; write from: name or from: [a, b]
"""


def test_every_mistake_of_a_file_is_told_at_once(check: Check) -> None:
    assert check(MANY) == [f"p.yaml:{line}" for line in with_names(MANY_SAID).splitlines()]


COLUMNS = """\
name: columns
delivery: effectively_once
source:
  generate: {count: 5}
  time: tss
steps:
  - where: temprature > 20 and humidity < 'warm'
  - select: [device, temperature, ts, presure]
  - set:
      warm: temperature > 20
  - select: [device, temperature]
  - where: "humidity > 3"
sink: stdout
"""
WINDOWS = """\
name: windows
source: generate
steps:
  - window:
      tumbling: 1m
      by: devic
      aggregate: {n: count(), m: mean(temperature + humidty), t: mean(device)}
  - drop: temperature
  - use: os:system
sink: stdout
"""
AFTER = """\
name: after
source: generate
steps:
  - window: {tumbling: 1m, by: device, aggregate: {n: count()}}
  - rename: {m: count}
  - where: >-
      device == 'attic'
sink: stdout
"""


def test_unknown_columns_are_found_before_anything_runs(check: Check) -> None:
    assert check(COLUMNS) == [
        "p.yaml:2:11: delivery: source → sink cannot hold effectively_once: it is read again "
        "from its position; after a crash its last rows may come twice; ask for "
        "at_least_once, or write to a sink with transactions or upserts",
        "p.yaml:5:9: source.time: there is no column 'tss' here; did you mean 'ts'?",
        "p.yaml:7:12: steps.0.where: there is no column 'temprature' here; "
        "did you mean 'temperature'?",
        "p.yaml:7:41: steps.0.where: 'humidity' is a number, but 'warm' is text; both must be of "
        "one kind; number(x), text(x) and seconds(t) change kinds",
        "p.yaml:8:39: steps.1.select.3: there is no column 'presure' here; "
        "known: battery, device, humidity, temperature, ts",
        "p.yaml:12:13: steps.4.where: there is no column 'humidity' here; text stands in quotes: "
        "'humidity'; known: device, temperature",
    ]


def test_a_window_is_held_against_what_enters(check: Check) -> None:
    assert check(WINDOWS) == [
        "p.yaml:6:11: steps.0.window.by: there is no column 'devic' here; did you mean 'device'?",
        "p.yaml:7:53: steps.0.window.aggregate.m: there is no column 'humidty' here; "
        "did you mean 'humidity'?",
        "p.yaml:7:66: steps.0.window.aggregate.t: mean() needs numbers, and this is text; text and "
        "times have count, first, last and mode; times have min and max as well",
        "p.yaml:8:11: steps.1.drop: there is no column 'temperature' here; "
        "known: devic, m, n, t, window_end, window_start",
        "p.yaml:9:10: steps.2.use: the module 'os' is not on the allow-list of modules pipelines "
        "may import; the one who starts the worker allows it with edgestream worker "
        "--allow-module os or EDGESTREAM_ALLOW_MODULES=os; allowed now: none",
    ]


SLIGHT = """\
name: slight
source: {generate: {rte: 1}}
steps:
  - window: {tumbling: 1m, by: device, aggregate: {n: count(), n: count(), p: quantile(x, 0.9)}}
  - select: [device, f(x, 2)]
sink: stdot
"""


def test_a_comma_trap_or_a_key_that_comes_twice_hides_nothing_else(check: Check) -> None:
    assert check(SLIGHT) == [
        "p.yaml:2:21: source.generate.rte: unknown field 'rte'; did you mean 'rate'?",
        "p.yaml:4:64: steps.0.window.aggregate.n: the key 'n' comes twice; it came first on line 4",
        "p.yaml:4:79: steps.0.window.aggregate.p: a call with several arguments must stand in "
        'quotes inside { }; write "quantile(x, 0.9)"',
        "p.yaml:5:22: steps.1.select.1: a call with several arguments must stand in quotes "
        'inside [ ]; write "f(x, 2)"',
        "p.yaml:6:7: sink: there is no sink 'stdot'; did you mean 'stdout'?",
    ]


def test_behind_a_window_there_are_its_columns_only(check: Check) -> None:
    assert check(AFTER) == [
        "p.yaml:5:14: steps.1.rename.m: there is no column 'm' here; "
        "known: device, n, window_end, window_start"
    ]


PORTS = """\
name: ports
sources:
  a: generate
streams:
  s: {from: a, steps: [{window: {tumbling: 1m, aggregate: {n: count()}}}]}
  t: {from: [s.lat, a.rejcted, b]}
sinks:
  a: {from: s.late, stdout: }
  o: {from: s, stdout: }
"""


def test_ports_and_names(check: Check) -> None:
    assert check(PORTS) == [
        "p.yaml:6:7: streams.t.from: 's' has no port 'lat'; did you mean 'late'?",
        "p.yaml:6:7: streams.t.from: 'a' has no port 'rejcted'; did you mean 'rejected'?",
        "p.yaml:6:7: streams.t.from: there is no source or stream 'b'; known: a, s, t",
        "p.yaml:8:3: sinks.a: the name 'a' is used twice",
    ]


def test_a_port_of_a_stream_that_could_not_be_read_is_not_asked_for(check: Check) -> None:
    text = (
        "name: a\nsources: {a: generate}\nstreams: {s: {from: a, steps: [{windw: {}}]}}\n"
        "sinks: {o: {from: s.late, stdout: }}\n"
    )
    assert check(text) == [
        "p.yaml:3:33: streams.s.steps.0.windw: there is no operator 'windw'; did you mean 'window'?"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "1:1: expected a pipeline: name:, source:, steps:, sink:"),
        ("5", "1:1: expected a pipeline: name:, source:, steps:, sink:"),
        ("", "1:1: there is nothing in this file"),
        (
            "source: generate\nsink: stdout\n",
            "1:1: the pipeline has no name; add name: weather",
        ),
        ("name: a\nsource: generate\n", "1:1: there is no sink; add sink: or sinks:"),
        ("name: a\nsink: stdout\n", "1:1: there is no source; add source: or sources:"),
        (
            "name: a\nsource: generate\nsinks: {}\n",
            "2:9: source: source: and sinks: cannot stand in one pipeline; "
            "use source:, steps:, sink: or sources:, streams:, sinks:",
        ),
        (
            "name: a\nsource: generate\nsteps: {where: x}\nsink: stdout\n",
            "3:1: steps: expected a list of steps; begin each with '- '",
        ),
        (
            "name: a\nsource: generate\nsink: stdout\ntests: 5\n",
            "4:8: tests: expected a list of tests; begin each with '- '",
        ),
        (
            "name: a\nsource: {generate: , decode: jsn}\nsink: stdout\n",
            "2:30: source.decode: there is no codec 'jsn'; did you mean 'json'?",
        ),
        (
            "name: a\nsource: {time: ts}\nsink: stdout\n",
            "2:1: source: no source is named here; known: SOURCES",
        ),
        (
            "name: a\nsource: {lora_serial: {prt: /dev/ttyS0}}\nsink: stdout\n",
            "2:10: source.lora_serial: the field 'port' is missing; The serial port.\n"
            "p.yaml:2:24: source.lora_serial.prt: unknown field 'prt'; did you mean 'port'?",
        ),
        (
            "name: a\nsource: {mqtt: {url: '${NO_SUCH_VARIABLE}', topics: a}}\nsink: stdout\n",
            "2:22: source.mqtt.url: environment variable NO_SUCH_VARIABLE is not set; "
            "write ${NO_SUCH_VARIABLE:-default} for a default",
        ),
        (
            "name: a\nsource: generate\nsink: {sqlite: {path: x, table: t, mode: upsert}}\n",
            "3:42: sink.sqlite.mode: these rows have no keys to upsert by; "
            "put a window before it, or use mode: append",
        ),
    ],
)
def test_one_mistake(check: Check, text: str, said: str) -> None:
    assert "\n".join(check(text)) == with_names(f"p.yaml:{said}")


def test_a_literal_secret_is_not_repeated(check: Check) -> None:
    assert not any("hunter2" in line for line in check(MANY))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "name: a\nsource: &x generate\nsink: *x\n",
            "2:9: source: anchors ('&…') are not allowed; write it out\n"
            "p.yaml:3:7: sink: aliases ('*…') are not allowed; write the value out",
        ),
        (
            "name: !!python/object/apply:os.system ['id']\n",
            "1:7: name: tags ('!…') are not allowed; a value that begins with '!' must stand in "
            "quotes",
        ),
        (
            "name: a\nname: b\nsource: generate\nsink: stdout\n",
            "2:1: name: the key 'name' comes twice; it came first on line 1",
        ),
        (b"\xff\xfen\x00", "1:1: the file is UTF-16 or UTF-32, not UTF-8; save it as UTF-8"),
        (b"\xff", "1:1: not UTF-8: byte 0xff; save it as UTF-8"),
        ("a: b\n" * 2_000_000, "1:1: the file is too large; more than 1 MiB is not read"),
        ("name: a\n\tsource: x\n", "2:1: a tab cannot be used to indent; use spaces"),
    ],
)
def test_attacks_are_refused(check: Check, text: str | bytes, said: str) -> None:
    assert "\n".join(check(text)) == f"p.yaml:{said}"


def test_deep_nesting_is_refused(check: Check) -> None:
    (line,) = check("a: " + "[" * 5000 + "]" * 5000)
    assert line.startswith("p.yaml:1:")
    assert line.endswith("nested too deep; 40 levels are read")


GOOD = "name: {name}\nsource: generate\nsink: stdout\n"


def test_good_files_are_counted(cli: Cli) -> None:
    Path("one.yaml").write_text(GOOD.format(name="one"))
    assert cli("check", "one.yaml").out == "1 pipeline without problems\n"
    Path("two.yml").write_text(GOOD.format(name="two"))
    assert cli("check", ".").out == "2 pipelines without problems\n"
    assert cli("check", ".", "one.yaml").out == "2 pipelines without problems\n"


def test_all_files_are_told_of_at_once(check: Check) -> None:
    Path("a.yaml").write_text(GOOD.format(name="same"))
    Path("b.yaml").write_text(GOOD.format(name="same"))
    Path("c.yaml").write_text("5")
    Path("empty").mkdir()
    assert check.of("nowhere.yaml", "empty", ".") == [
        "nowhere.yaml: there is no such file or folder",
        "empty: no .yaml file in this folder",
        "b.yaml: name: the name 'same' is taken by a.yaml; two pipelines need two names",
        "c.yaml:1:1: expected a pipeline: name:, source:, steps:, sink:",
    ]


def test_a_folder_with_the_name_of_a_file(check: Check) -> None:
    Path("a.yaml").mkdir()
    assert check.of(".") == ["a.yaml: cannot be read: Is a directory"]


def test_problems_as_json(cli: Cli) -> None:
    Path("a.yaml").write_text("name: a\nsource: generate\nsink: stdot\n")
    ran = cli("check", "a.yaml", "--output", "json")
    assert ran.code == 78
    assert json.loads(ran.out) == [
        {
            "file": "a.yaml",
            "line": 3,
            "column": 7,
            "path": "sink",
            "message": "there is no sink 'stdot'",
            "hint": "did you mean 'stdout'?",
        }
    ]
    assert ran.err == ""
    Path("a.yaml").write_text(GOOD.format(name="a"))
    assert json.loads(cli("check", "a.yaml", "--output", "json").out) == []


def test_a_module_may_be_allowed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("steps_of_mine.py").write_text(
        "import edgestream as es\n\n@es.operator\ndef same(batch: es.Batch) -> es.Batch:\n"
        "    return batch\n"
    )
    monkeypatch.syspath_prepend(".")
    Path("a.yaml").write_text(
        "name: a\nsource: generate\nsteps: [{use: 'steps_of_mine:same'}]\nsink: stdout\n"
    )
    assert "not on the allow-list" in cli("check", "a.yaml").err
    assert cli("check", "a.yaml", "--allow-module", "steps_of_mine").code == 0
