"""Running from Python says which modules ``use:`` may import, as the worker's option does."""

import asyncio
from pathlib import Path

import pytest

import edgestream as es
from edgestream.errors import ConfigError
from edgestream.read import read_text

PIPELINE = b"""\
name: p
source: {file: {path: in.ndjson, format: ndjson}}
steps: [{use: "my_steps:twice"}]
sink: {file: {path: out.ndjson}}
"""
STEPS = """\
import edgestream as es

@es.operator
def twice(batch: es.Batch) -> es.Batch:
    return batch.with_columns(x=batch["x"] * 2)
"""


def test_a_function_is_imported_only_where_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_steps.py").write_text(STEPS)
    Path("in.ndjson").write_text('{"x": 2}\n')
    spec = read_text(PIPELINE, "p.yaml")
    with pytest.raises(ConfigError, match="my_steps"):
        es.run(spec, state_dir="state")
    es.run(spec, state_dir="state", allowed=["my_steps"])
    assert '"x":4' in Path("out.ndjson").read_text().replace(" ", "")
    asyncio.run(es.run_async(spec, state_dir="again", allowed=["my_steps"]))
