"""X6, X7: hostile device ids through a whole pipeline: inert in every sink, metric and page.

Single sinks have their own tests (tests/sinks, tests/connectors); here the same ids go to all of
them at once.
"""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from edgestream.batch import from_rows
from edgestream.clock import SystemClock
from edgestream.config.yaml import load
from edgestream.read import read_document
from edgestream.registry import installed
from edgestream.runtime.running import Running
from edgestream.runtime.view import WorkerView
from edgestream.web.metrics import render
from edgestream.web.server import start
from edgestream_connectors.mqtt.template import Template
from tests.web.fake_view import FakeView
from tests.web.test_page import dom

IDS = [
    "../../escaped",
    "/tmp/escaped",
    "..\\..\\escaped",
    "a\nb",
    "a\r\nSet-Cookie: x",
    "a\0b",
    "x" * 4096,
    "\u202egpj.exe",
    "'; DROP TABLE rows; --",
    '"; DROP TABLE rows; --',
    "<img src=x onerror=document.title='owned'>",
    "</script><script>document.title='owned'</script>",
    "javascript:document.title='owned'",
    '" onmouseover="document.title=`owned`" x="',
    "{{7*7}}${7*7}%s%n",
    "=cmd|' /C calc'!A0",
    'b"} 1\nfake_metric{a="b',
    "+/#",
    "$SYS/broker",
    "__proto__",
    "constructor",
]


def spec(folder: Path) -> Any:
    text = f"""\
name: names
sources:
  rows:
    file: "{folder}/rows.ndjson"
    time: {{field: ts, unit: s}}
streams:
  windows:
    from: rows
    steps:
      - window: {{tumbling: 1h, by: device, aggregate: {{n: count()}}}}
sinks:
  table: {{from: windows, sqlite: {{path: "{folder}/out.sqlite", table: rows}}}}
  lines: {{from: windows, file: "{folder}/out.ndjson"}}
  cells: {{from: windows, file: "{folder}/out.csv"}}
"""
    return read_document(load(text.encode(), "names.yaml"), installed())


@pytest.fixture
async def ran(tmp_path: Path) -> Running:
    rows = [{"ts": 1_700_000_000 + n, "device": text} for n, text in enumerate(IDS)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "rows.ndjson").write_text(lines)
    running = Running(spec(tmp_path), tmp_path / "state", SystemClock())
    await asyncio.wait_for(running.run(), 30)
    return running


async def test_every_sink_holds_them_as_they_are(ran: Running, tmp_path: Path) -> None:
    expected = sorted(IDS)
    with sqlite3.connect(tmp_path / "out.sqlite") as connection:
        found = [row[0] for row in connection.execute("SELECT device FROM rows")]
    connection.close()
    assert sorted(found) == expected
    with (tmp_path / "out.ndjson").open() as file:
        assert sorted(json.loads(line)["device"] for line in file) == expected
    with (tmp_path / "out.csv").open(newline="") as file:
        assert sorted(row["device"] for row in csv.DictReader(file)) == expected


async def test_no_file_is_made_but_those_that_were_named(ran: Running, tmp_path: Path) -> None:
    named = {"rows.ndjson", "out.sqlite", "out.ndjson", "out.csv", "state"}
    found = {path.name for path in tmp_path.iterdir()}
    beside = {name for name in found - named if not name.startswith("out.")}
    assert beside == set()
    assert not list(tmp_path.parent.glob("*escaped*"))
    assert not Path("/tmp/escaped").exists()


async def test_ids_are_no_series(ran: Running) -> None:
    """X7: what is counted is counted for steps, so a million ids make no series more."""
    text = render(WorkerView([ran], SystemClock()).metrics())
    for hostile in IDS:
        assert hostile not in text
    families = list(text_string_to_metric_families(text))
    assert "fake_metric" not in {family.name for family in families}
    labels = {label for family in families for one in family.samples for label in one.labels}
    assert labels <= {"pipeline", "step", "port", "stage"}
    assert sum(len(family.samples) for family in families) < 100


def test_a_topic_takes_no_id_that_would_leave_its_level() -> None:
    topics, refused = Template.of("out/{device}").topics(from_rows([{"device": d} for d in IDS]))
    for text, topic in zip(IDS, topics, strict=True):
        if topic:
            assert topic == f"out/{text}".encode()
            assert topic.count(b"/") == 1
        else:
            assert set(text) & set("/+#\n\r\0")
    assert len(refused) >= 8


class Hostile(FakeView):
    """A worker whose every name, message and value is hostile."""

    def pipelines(self) -> Mapping[str, Any]:
        return _poisoned(super().pipelines())

    def rows(self, pipeline: str, sink: str, after: int) -> Mapping[str, Any] | None:
        return {
            "keys": [MARKUP],
            "columns": [MARKUP, "value", IDS[10]],
            "next": len(IDS),
            "rows": [[text, 1.5, text] for text in IDS],
        }


MARKUP = "<img src=x onerror=document.title='owned'>"


def _poisoned(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _poisoned(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_poisoned(inner, key) for inner in value]
    if isinstance(value, str) and key in ("label", "message", "component", "version", "delivery"):
        return f"{MARKUP}</script><script>document.title='owned'</script>"
    return value


class Tags(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.server
async def test_no_script_of_a_name_runs_in_the_page(tmp_path: Path) -> None:
    server = await start(Hostile(), "127.0.0.1", 0, None)
    page, complaints = await dom(server.url, tmp_path)
    await server.close()
    assert complaints == ""
    tags = Tags()
    tags.feed(page)
    assert "owned" in page.replace("&lt;", "<"), "the hostile texts are shown"
    title = page.partition("<title>")[2].partition("</title>")[0]
    assert title != "owned"
    assert {tag for tag, _ in tags.found} & {"iframe", "object", "embed"} == set()
    for tag, attributes in tags.found:
        assert tag != "img" or attributes.get("src") == "/icon.svg"
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        if tag == "script":
            assert (attributes.get("src") or "").partition("?")[0].endswith(".js")
        assert not (attributes.get("href") or "").startswith("javascript:")
