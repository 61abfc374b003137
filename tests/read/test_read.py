"""From YAML to specs: every form that is accepted, and nothing but `ConfigError` for the rest."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import edgestream as es
from edgestream.config.yaml import load
from edgestream.entrypoints import EntryPoint
from edgestream.errors import ConfigError
from edgestream.read import make, read_document, read_text, takes_mapping
from edgestream.registry import Registry, installed
from edgestream.spec import PipelineSpec, Spool
from tests.source_tree import ROOT


def read(text: str) -> PipelineSpec:
    return read_text(text.encode(), "p.yaml")


def steps(*lines: str) -> tuple[es.Operator, ...]:
    listed = "".join(f"  - {line}\n" for line in lines)
    spec = read(f"name: a\nsource: generate\nsteps:\n{listed}sink: stdout\n")
    return spec.streams["steps"].steps


def said(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("line", "operator"),
    [
        ("where: temperature > 20", es.Where("temperature > 20")),
        ("where: {condition: temperature > 20}", es.Where("temperature > 20")),
        ("where: true", es.Where("true")),
        ("select: device", es.Select(["device"])),
        ("select: [device, ts]", es.Select(["device", "ts"])),
        ("select: {columns: [device]}", es.Select(["device"])),
        ("set: {x: 1}", es.Set({"x": "1"})),
        ("set: {columns: device}", es.Set({"columns": "device"})),
        ("rename: {columns: c}", es.Rename({"columns": "c"})),
    ],
)
def test_a_step_by_its_fields_or_its_shorthand(line: str, operator: es.Operator) -> None:
    assert steps(line) == (operator,)


def test_a_straight_pipeline_has_plain_names() -> None:
    spec = read("name: a\nsource: generate\nsink: stdout\n")
    assert spec.sources["source"].component == es.Generate()
    assert spec.streams == {}
    assert spec.sinks["sink"].inputs == ("source",)
    spec = read("name: a\nsource: generate\nsteps: [{where: battery > 1}]\nsink: {stdout: }\n")
    assert spec.streams["steps"].inputs == ("source",)
    assert spec.sinks["sink"].inputs == ("steps",)


def test_a_straight_sink_may_choose_what_it_takes() -> None:
    text = "name: a\nsource: generate\nsink: {from: source.rejected, stdout: }\n"
    assert read(text).sinks["sink"].inputs == ("source.rejected",)


NAMED = """\
name: named
delivery: at_least_once
checkpoint: 250ms
memory: 64MiB
sources:
  a: {generate: {devices: 3}, time: ts}
  b: {file: x.ndjson, decode: raw, time: {field: at, unit: ms}}
streams:
  s: {from: [a, b], steps: [{where: x > 1}]}
  t: {from: s}
sinks:
  one: {from: t, stdout: , when_unreachable: wait}
  two: {from: [s, a], stdout: {}, spool: {max_bytes: 1MiB}}
"""


def test_a_named_pipeline() -> None:
    spec = read(NAMED)
    assert (spec.name, spec.delivery, spec.checkpoint) == ("named", "at_least_once", 250_000_000)
    assert spec.memory == 64 << 20
    assert spec.sources["a"].time == es.Time("ts")
    assert spec.sources["b"].decode == es.Raw()
    assert spec.sources["b"].time == es.Time("at", unit="ms")
    assert spec.streams["s"].inputs == ("a", "b")
    assert spec.streams["t"].steps == ()
    assert spec.sinks["one"].when_unreachable == "wait"
    assert spec.sinks["two"].spool == Spool("1MiB")


def test_variables_are_filled_in_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNT", "7")
    text = (
        "name: '${NAME:-a}'\ncheckpoint: ${EVERY:-9s}\ndelivery: ${HOW:-best_effort}\n"
        "source: {generate: {devices: '${COUNT}'}}\nsink: stdout\n"
    )
    spec = read(text)
    assert (spec.name, spec.checkpoint, spec.delivery) == ("a", 9_000_000_000, "best_effort")
    assert spec.sources["source"].component == es.Generate(devices=7)


def test_what_is_filled_in_never_becomes_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIL", "{generate: {devices: 9}}")
    assert said("name: a\nsource: {generate: {devices: '${EVIL}'}}\nsink: stdout\n") == [
        "expected a whole number, got the value of '${EVIL}'"
    ]


def test_an_unread_part_hides_no_other() -> None:
    text = """\
name: a
sources: {a: {generate: {devices: many}}}
streams:
  s: {from: a, steps: [{window: {tumbling: soon}}]}
  t: {from: 5, steps: [{where: x > }]}
sinks:
  o: {from: [s.late, s.lat, u], sqlite: {}}
"""
    assert said(text) == [
        "expected a whole number, got 'many'",
        "expected a duration such as 250ms, 10s, 5m, 2h or 7d, got 'soon'",
        "expected the name of a source or stream",
        "the expression ends too early",
        "'s' has no port 'lat'",
        "there is no source or stream 'u'",
        "the field 'path' is missing",
        "the field 'table' is missing",
    ]


def test_a_registry_may_be_given() -> None:
    empty = Registry({kind: {} for kind in installed().entries})
    with pytest.raises(ConfigError, match="there is no source 'generate'"):
        read_text(b"name: a\nsource: generate\nsink: stdout\n", "p.yaml", empty)


def test_a_component_that_cannot_be_imported_is_told() -> None:
    entries = dict(installed().entries)
    broken = EntryPoint("edgestream.sources", "gone", "edgestream.no_such_module:Gone")
    other = EntryPoint("edgestream.sources", "other", "edgestream.errors:Problem")
    entries["source"] = {"gone": broken, "other": other}
    registry = Registry(entries)
    for name, message in (
        ("gone", "'gone' (edgestream.no_such_module:Gone) cannot be imported: No module named"),
        ("other", "'other' (edgestream.errors:Problem) is not a component class"),
    ):
        document = load(f"name: a\nsource: {name}\nsink: stdout\n".encode(), "p.yaml")
        with pytest.raises(ConfigError) as caught:
            read_document(document, registry)
        assert message in str(caught.value)


def test_make_takes_fields_shorthands_and_nothing() -> None:
    assert make(es.Stdout, None) == es.Stdout()
    assert make(es.File, "a.csv") == es.File("a.csv")
    assert make(es.File, {"path": "a.csv"}) == es.File("a.csv")
    assert make(es.Csv, ["a", "b"]) == make(es.Csv, {"columns": ["a", "b"]})
    assert make(es.Csv, {"a": "float"}) == es.Csv(columns={"a": "float"})
    with pytest.raises(ConfigError, match="the fields of generate"):
        make(es.Generate, "x")
    with pytest.raises(ConfigError, match="'condition' is missing"):
        make(es.Where, None)


def test_takes_mapping() -> None:
    assert takes_mapping(Mapping[str, int])
    assert takes_mapping(Sequence[str] | Mapping[str, int] | None)
    assert not takes_mapping(Sequence[str] | None)
    assert not takes_mapping(str)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "10s", "ts", "generate", "stdout", "a.late", "mean(x)", "x > 1"])
    | st.text("abc_${}:.- ", max_size=8)
)
KEYS = st.sampled_from(
    [
        *("name", "source", "steps", "sink", "sources", "streams", "sinks", "from", "time"),
        *("decode", "window", "where", "set", "select", "by", "aggregate", "tumbling"),
        *("generate", "mqtt", "sqlite", "stdout", "path", "table", "spool", "tests", "url"),
        *("topics", "json", "x"),
    ]
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
FILES = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "pipelines").glob("*.yaml"))]


def _survives(data: Any) -> None:
    """It is a pipeline, or every problem has a place and words."""
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    problems: Sequence[es.Problem] = ()
    try:
        assert isinstance(read(text), PipelineSpec)
    except ConfigError as error:
        problems = error.problems or [es.Problem("nothing is told")]
    for problem in problems:
        assert problem.file == "p.yaml"
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message


@settings(max_examples=200, deadline=None)
@given(ANYTHING)
def test_whatever_a_file_holds_is_read_or_told(data: Any) -> None:
    _survives(data)


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    return [path, *(place for key in keys for place in _places(data[key], (*path, key)))]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_pipeline_with_one_part_changed_is_read_or_told(choose: st.DataObject) -> None:
    data = copy.deepcopy(yaml.safe_load(choose.draw(st.sampled_from(FILES))))
    *way, last = choose.draw(st.sampled_from(_places(data)[1:]))
    target = data
    for key in way:
        target = target[key]
    if choose.draw(st.booleans()):
        target[last] = choose.draw(ANYTHING)
    else:
        del target[last]
    _survives(data)
