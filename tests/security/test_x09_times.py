"""X9: times from the edges of every number: dead letters; the watermark and the others go on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from edgestream.clock import SystemClock
from edgestream.config.yaml import load
from edgestream.read import read_document
from edgestream.registry import installed
from edgestream.runtime.running import Running

NO_TIMES = [
    "-9223372036854775808",
    "9223372036854775807",
    "9223372036854775808",
    "1e308",
    "-1e308",
    "1e18",
    "null",
    "[]",
    "{}",
    '""',
    '"yesterday"',
    '"9999-12-31T23:59:59Z"',
]
"""As they stand in JSON; none is a time in milliseconds."""
ODD_TIMES = ["-0.0", "0", "1e-300", "-1000", "4102444800000", "true"]
"""Times, although far away: 1970, 1969, 2100; a switch is a number where one is wanted."""
GOOD = 1_760_000_000_000


async def test_times_that_are_none_stop_nobody(tmp_path: Path) -> None:
    lines = [f'{{"ts": {GOOD + n * 1000}, "d": "good"}}' for n in range(10)]
    for n, text in enumerate([*NO_TIMES, *ODD_TIMES]):
        lines.insert(1 + n % 8, f'{{"ts": {text}, "d": "bad {n}"}}')
    (tmp_path / "rows.ndjson").write_text("\n".join(lines) + "\n")
    text = f"""\
name: times
sources:
  rows:
    file: "{tmp_path}/rows.ndjson"
    time: {{field: ts, unit: ms, delay: 1s}}
streams:
  windows:
    from: rows
    steps:
      - window: {{tumbling: 1h, by: d, aggregate: {{n: count()}}}}
sinks:
  lines: {{from: windows, file: "{tmp_path}/out.ndjson"}}
  late: {{from: windows.late, file: "{tmp_path}/late.ndjson"}}
"""
    running = Running(
        read_document(load(text.encode(), "times.yaml"), installed()),
        tmp_path / "state",
        SystemClock(),
    )
    await asyncio.wait_for(running.run(), 30)
    assert running.task is not None
    assert running.task.letters.count == len(NO_TIMES)
    with (tmp_path / "out.ndjson").open() as file:
        rows = [json.loads(line) for line in file]
    assert sum(row["n"] for row in rows if row["d"] == "good") == 10
    front = running.graph.entries["rows"].watermark.front
    assert front == (GOOD + 9_000) * 1_000_000, "a row of the year 2100 has moved the watermark"


async def test_one_clock_in_the_future_does_not_close_the_windows_of_others(
    tmp_path: Path,
) -> None:
    """tests/test_eventtime.py holds the watermark itself; here is a pipeline with such a device."""
    now = SystemClock().wall() // 1_000_000
    lines = [f'{{"ts": {now + n}, "d": "good"}}' for n in range(50)]
    lines[::5] = [f'{{"ts": {now + 90 * 86_400_000}, "d": "ahead"}}'] * 10
    (tmp_path / "rows.ndjson").write_text("\n".join(lines) + "\n")
    text = f"""\
name: ahead
sources:
  rows:
    file: "{tmp_path}/rows.ndjson"
    time: {{field: ts, unit: ms, delay: 1s}}
streams:
  windows: {{from: rows, steps: [{{window: {{tumbling: 1h, by: d, aggregate: {{n: count()}}}}}}]}}
sinks:
  lines: {{from: windows, file: "{tmp_path}/out.ndjson"}}
  late: {{from: windows.late, file: "{tmp_path}/late.ndjson"}}
"""
    running = Running(
        read_document(load(text.encode(), "ahead.yaml"), installed()),
        tmp_path / "state",
        SystemClock(),
    )
    await asyncio.wait_for(running.run(), 30)
    with (tmp_path / "out.ndjson").open() as file:
        rows = [json.loads(line) for line in file]
    assert sum(row["n"] for row in rows if row["d"] == "good") == 40
    late = tmp_path / "late.ndjson"
    assert not late.exists() or late.read_text() == ""
