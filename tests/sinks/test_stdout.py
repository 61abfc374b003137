import json
import subprocess
import sys

import numpy as np
import pytest

from edgestream.batch import Batch, from_rows
from edgestream.errors import ConfigError, Disconnected, Rejected
from edgestream.sinks.stdout import Stdout
from edgestream.testing.connectors import batch, context


async def shown(capsys: pytest.CaptureFixture[str], sink: Stdout, *batches: Batch) -> str:
    assert await sink.open(context()) is None
    for each in batches:
        await sink.write(each)
    await sink.flush(None)
    await sink.close()
    await sink.close()
    return capsys.readouterr().out


async def test_json_lines(capsys):
    out = await shown(capsys, Stdout(), batch([3, 4]), batch([5], first=2))
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["device"], row["n"], row["average"]) for row in rows] == [
        ("d0", 3, None),
        ("d1", 4, 1.0),
        ("d2", 5, 1.25),
    ]


async def test_a_table_is_lined_up_and_repeats_its_heading_only_when_needed(capsys):
    rows = [
        [{"device": "a", "t": 1.25, "ok": True}, {"device": None, "t": None, "ok": False}],
        [{"device": "b", "t": 2.0, "ok": True}],
        [{"device": "a longer name", "t": 123456.789, "ok": True}],
        [{"device": "c", "n": 1}],
        [],
    ]
    out = await shown(capsys, Stdout(format="table"), *map(from_rows, rows))
    assert out.splitlines() == [
        "device     t   ok",
        "a       1.25  yes",
        "-          -   no",
        "b          2  yes",
        "device              t   ok",
        "a longer name  123457  yes",
        "device         n",
        "c              1",
    ]


async def test_times_in_a_table(capsys):
    times = np.array(["2026-11-24T10:00:00", "NaT"], "datetime64[us]")
    out = await shown(
        capsys, Stdout("table"), from_rows([{"t": 0}, {"t": 0}]).with_columns(t=times)
    )
    assert out.split() == ["t", "2026-11-24T10:00:00Z", "-"]


@pytest.mark.parametrize("format", ["json", "table"])
async def test_no_text_commands_the_terminal(capsys, format):
    out = await shown(capsys, Stdout(format=format), from_rows([{"x\x1b[2J": "\x1b]0;mine\x07"}]))
    assert "\x1b" not in out
    assert "\x07" not in out


async def test_broken_text_is_refused_and_its_neighbours_are_written(capsys):
    sink = Stdout()
    await sink.open(context())
    rows = [{"a": "x"}, {"a": "\ud800"}, {"a": "y", "bad\ud800": 1.0}, {"a": "z"}]
    with pytest.raises(Rejected) as caught:
        await sink.write(from_rows(rows))
    await sink.flush(None)
    await sink.close()
    assert set(caught.value.reasons) == {1, 2}
    out = capsys.readouterr().out
    assert [json.loads(line)["a"] for line in out.splitlines()] == ["x", "z"]


async def test_before_it_is_open_it_says_so():
    with pytest.raises(Disconnected, match="not open"):
        await Stdout().flush(None)


def test_the_format_is_checked():
    with pytest.raises(ConfigError, match="did you mean 'table'"):
        Stdout(format="tabel")


SCRIPT = """
import asyncio
from edgestream.errors import Fatal
from edgestream.sinks.stdout import Stdout
from edgestream.testing.connectors import batch, context

async def main():
    sink = Stdout()
    await sink.open(context())
    try:
        for number in range(100_000):
            await sink.write(batch([number]))
            await sink.flush(None)
    except Fatal as error:
        await sink.close()
        return error.exit_code if "has gone" in str(error) else 9
    return 8

raise SystemExit(asyncio.run(main()))
"""


def test_a_reader_that_went_away_ends_the_pipeline_quietly():
    script = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b'"device":"d0"' in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0
