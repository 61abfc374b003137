from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

import edgestream as es
from edgestream.cli.load import load_spec
from edgestream.cli.new import PLACEHOLDER, TEMPLATES
from tests.cli.run import Cli


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGESTREAM_STATE_DIR", str(tmp_path / "state"))
    return Cli(capsys)


def test_the_default_is_mqtt_to_sqlite(cli: Cli) -> None:
    ran = cli("new", "weather")
    assert ran.code == 0
    spec = load_spec(Path("weather.yaml"), ())
    assert spec.name == "weather"
    assert spec.sources["source"].component.about.name == "mqtt"
    assert spec.sinks["sink"].component.about.name == "sqlite"
    assert "edgestream check weather.yaml" in ran.out


@pytest.mark.parametrize("template", [name for name in TEMPLATES if name != "python"])
def test_every_template_passes_check(cli: Cli, template: str) -> None:
    assert cli("new", "a-b_1", "--template", template).code == 0
    assert cli("check", "a-b_1.yaml").code == 0
    text = Path("a-b_1.yaml").read_text()
    assert text.startswith("# ")
    assert PLACEHOLDER not in text


def test_file_to_stdout_runs_with_nothing_else(cli: Cli) -> None:
    cli("new", "hours", "--template", "file-stdout")
    ran = cli("worker", "hours.yaml", "--http", "off")
    assert ran.code == 0
    rows = [ast.literal_eval(line) for line in ran.out.splitlines()]
    assert [(row["device"], row["n"], row["celsius"]) for row in rows] == [
        ("kitchen", 2, 21.0),
        ("attic", 1, 14.0),
        ("kitchen", 1, 22.0),
        ("attic", 1, 15.5),
    ]


def test_the_python_template_builds_a_pipeline(cli: Cli) -> None:
    assert cli("new", "mine", "--template", "python").code == 0
    spec = runpy.run_path("mine.py")["PIPELINE"].spec()
    assert isinstance(spec, es.PipelineSpec)
    assert spec.name == "mine"
    assert [step.about.name for step in spec.streams["steps"].steps] == ["use", "where", "window"]


def test_nothing_is_overwritten(cli: Cli) -> None:
    Path("weather.yaml").write_text("mine")
    ran = cli("new", "weather")
    assert ran.code == 74
    assert "weather.yaml is there already" in ran.err
    assert Path("weather.yaml").read_text() == "mine"


def test_sample_data_that_is_there_is_left_alone(cli: Cli) -> None:
    Path("hours.ndjson").write_text("mine")
    assert cli("new", "hours", "--template", "file-stdout").code == 0
    assert Path("hours.ndjson").read_text() == "mine"


def test_output_may_be_elsewhere(cli: Cli) -> None:
    Path("folder").mkdir()
    assert cli("new", "--output", "folder/my own.yaml").code == 0
    assert load_spec(Path("folder/my own.yaml"), ()).name == PLACEHOLDER


def test_a_folder_that_is_not_there_is_told(cli: Cli) -> None:
    ran = cli("new", "--output", "nowhere/x.yaml")
    assert ran.code == 74
    assert "cannot be written: No such file or directory" in ran.err


@pytest.mark.parametrize("name", ["Weather", "1st", "a b", "../x", "x" * 64])
def test_a_bad_name_is_a_usage_error(cli: Cli, name: str) -> None:
    ran = cli("new", name)
    assert ran.code == 2
    assert "use a small letter" in ran.err
    assert list(Path().iterdir()) == []
