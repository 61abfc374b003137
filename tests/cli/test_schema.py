from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edgestream.config.yaml import load
from edgestream.docs.pages import own
from edgestream.docs.schema import component_schema, pipeline_schema
from edgestream.errors import ConfigError
from edgestream.read import read_text
from edgestream.registry import KINDS, installed
from tests.cli.run import Cli
from tests.source_tree import ROOT
from tests.whole_files import around_example, blocks, whole

SCHEMA = pipeline_schema(installed())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
FILES = [*sorted((ROOT / "pipelines").glob("*.yaml"))]
FILES += sorted((ROOT / "edgestream/cli/templates").glob("*.yaml"))
EXAMPLES = [
    pytest.param(around_example(kind, example), id=f"{kind}-{name}-{number}")
    for kind in KINDS
    for name in own(installed()).names(kind)
    for number, example in enumerate(installed().load(kind, name).about.examples)
]


def data(text: str) -> Any:
    return load(text.encode(), "test.yaml").data


def faults(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(data(text))]


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    ran = Cli(capsys)("schema")
    assert ran.code == 0
    assert json.loads(ran.out) == SCHEMA


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_references_are_all_there() -> None:
    text = json.dumps(SCHEMA)
    for name in SCHEMA["$defs"]:
        assert f'"#/$defs/{name}"' in text, f"{name} is used nowhere"
    assert text.count('"$ref"') == sum(
        text.count(f'"$ref": "#/$defs/{name}"') for name in SCHEMA["$defs"]
    )


def test_keys_are_described_for_hovering() -> None:
    where = component_schema("operator", installed().load("operator", "where"))
    assert where["description"] == "Keep the rows for which a condition is true"
    mqtt = component_schema("source", installed().load("source", "mqtt"))
    assert mqtt["properties"]["url"]["description"].startswith("The broker: mqtt://host:1883")
    assert mqtt["required"] == ["url"]
    assert mqtt["properties"]["tls"]["properties"]["ca"]["description"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_pipeline_files_are_valid(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_components_are_valid(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize("text", blocks(ROOT / "docs" / "pipelines.md", "yaml"))
def test_pieces_on_the_page_are_valid(text: str) -> None:
    assert faults(whole(yaml.safe_load(text))) == []


GOOD = {
    "straight": "name: a\nsource: generate\nsink: stdout",
    "empty component": "name: a\nsource: {generate: }\nsink: {stdout: {}}",
    "no steps": "name: a\nsource: generate\nsteps:\nsink: stdout",
    "variables": "name: '${N}'\nsource: {generate: {devices: '${D}', jitter: '${J:-1s}'}}\n"
    "checkpoint: ${C:-5s}\nsink: stdout",
    "zero": "name: a\nsource: {generate: {jitter: 0}}\nsink: stdout",
    "a lone scalar for a list": "name: a\nsource: generate\nsteps: [{select: ts}]\nsink: stdout",
    "fields instead of a shorthand": "name: a\nsource: generate\n"
    "steps: [{where: {condition: temperature > 1}}]\nsink: stdout",
    "a constant": "name: a\nsource: generate\nsteps: [{set: {x: 1, y: true}}]\nsink: stdout",
    "time as a name": "name: a\nsource: {generate: , time: ts}\nsink: stdout",
    "tests": "name: a\nsource: generate\nsink: stdout\n"
    "tests: [{name: one, given: [{rows: [{x: 1}], at: 3s}], expect: [{x: 1}]}]",
    "several": "name: a\nsources: {a: generate, b: generate}\n"
    "sinks: {c: {from: [a, b], stdout: , spool: {max_bytes: 1GiB}}}",
}
BAD = {
    "no name": "source: generate\nsink: stdout",
    "a bad name": "name: A B\nsource: generate\nsink: stdout",
    "no sink": "name: a\nsource: generate",
    "no source": "name: a\nsink: stdout",
    "both forms": "name: a\nsource: generate\nsinks: {b: {from: source, stdout: }}",
    "an unknown key": "name: a\nsource: generate\nsnk: stdout\nsink: stdout",
    "an unknown source": "name: a\nsource: {mqqt: {}}\nsink: stdout",
    "an unknown source by name": "name: a\nsource: mqqt\nsink: stdout",
    "two sources in one": "name: a\nsource: {generate: , file: x}\nsink: stdout",
    "an unknown key beside": "name: a\nsource: {generate: , tme: ts}\nsink: stdout",
    "a sink that needs fields": "name: a\nsource: generate\nsink: sqlite",
    "a misspelt field": "name: a\nsource: {generate: {device: 3}}\nsink: stdout",
    "a missing field": "name: a\nsource: generate\nsink: {sqlite: {path: x.db}}",
    "text for a number": "name: a\nsource: {generate: {devices: many}}\nsink: stdout",
    "a number too small": "name: a\nsource: {generate: {devices: 0}}\nsink: stdout",
    "a fraction for a whole": "name: a\nsource: {generate: {devices: 1.5}}\nsink: stdout",
    "a bad duration": "name: a\nsource: {generate: {jitter: 10 parsecs}}\nsink: stdout",
    "a duration without unit": "name: a\nsource: {generate: {jitter: 10}}\nsink: stdout",
    "a bad size": "name: a\nsource: generate\nsink: {stdout: , spool: {max_bytes: 10s}}",
    "not one of the choices": "name: a\nsource: {generate: {signals: [rain]}}\nsink: stdout",
    "a literal secret": "name: a\nsource: {mqtt: {url: 'mqtt://x', topics: a, username: b, "
    "password: hunter2}}\nsink: stdout",
    "steps as a mapping": "name: a\nsource: generate\nsteps: {where: x > 1}\nsink: stdout",
    "a stream without from": "name: a\nsources: {a: generate}\nstreams: {b: {steps: []}}\n"
    "sinks: {c: {from: b, stdout: }}",
    "a bad delivery": "name: a\ndelivery: exactly_once\nsource: generate\nsink: stdout",
    "a test without a name": "name: a\nsource: generate\nsink: stdout\n"
    "tests: [{given: [{rows: [{x: 1}]}]}]",
    "an unknown key of a test": "name: a\nsource: generate\nsink: stdout\n"
    "tests: [{name: one, gven: []}]",
    "an unknown time key": "name: a\nsource: {generate: , time: {feld: ts}}\nsink: stdout",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_good_files_are_valid_and_are_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(text) == []
    monkeypatch.setenv("N", "name")
    monkeypatch.setenv("D", "3")
    assert read_text(text.encode(), "test.yaml").name in ("a", "name")


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_broken_files_are_neither(text: str) -> None:
    assert faults(text) != []
    with pytest.raises(ConfigError):
        read_text(text.encode(), "test.yaml")
