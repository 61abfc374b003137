"""``edgestream dlq`` over files that a real worker wrote: the examples of docs/dead-letters.md."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from edgestream.cli.load import load_spec
from edgestream.clock import SystemClock
from edgestream.runtime.running import Running
from edgestream.store.letters import Bounds, DeadLetter
from edgestream.store.lock import Lock
from edgestream.store.store import Store
from tests.cli.run import Cli

STRICT = """
name: weather
source:
  file: {folder}/in.ndjson
  time: t
  decode: {{json: {{columns: {{t: float, n: {kind}}}}}}}
steps: [where: n >= 0]
sink: {{sqlite: {{path: {folder}/out.db, table: readings, mode: append}}}}
dead_letters: {{tolerance: 1}}
"""
LINES = [
    b'{"t": 1, "n": 1}',
    b'{"t": 2, "n": 2.5}',
    b'{"t": 3, "n": 3',
    b'{"n": 4}',
    b'{"t": 5, "n": 5}',
    b'{"t": 6, "n": \xff}',
    b'{"t": 7, "n": -1}',
]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def weather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline that has run; its codec takes whole numbers only, and its table no 5."""
    monkeypatch.setenv("EDGESTREAM_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "in.ndjson").write_bytes(b"\n".join(LINES) + b"\n")
    with sqlite3.connect(tmp_path / "out.db") as table:
        table.execute("CREATE TABLE readings (t, n CHECK (n <> 5))")
    path = tmp_path / "weather.yaml"
    path.write_text(STRICT.format(folder=tmp_path, kind="int"))
    asyncio.run(Running(load_spec(path, ()), tmp_path / "state", SystemClock()).run())
    return path


def listed(cli: Cli, path: Path, *more: object) -> list[dict[str, object]]:
    ran = cli("dlq", "ls", path, "--output", "json", *more)
    assert ran.code == 0, ran.err
    found: list[dict[str, object]] = json.loads(ran.out)
    return found


def rows(path: Path) -> list[object]:
    with sqlite3.connect(path.parent / "out.db") as table:
        return [row[0] for row in table.execute("SELECT n FROM readings ORDER BY rowid")]


def test_letters_are_listed_by_what_they_are(cli: Cli, weather: Path) -> None:
    found = listed(cli, weather)
    assert [(x["stage"], x["step"], x["attempts"]) for x in found] == [
        ("decode", "source", 1),
        ("decode", "source", 1),
        ("time", "source", 1),
        ("decode", "source", 1),
        ("write", "sink", 1),
    ]
    assert [x.get("payload", x.get("hex")) for x in found[:2]] == [
        LINES[1].decode(),
        LINES[2].decode(),
    ]
    assert found[3]["hex"] == LINES[5].hex()
    assert json.loads(str(found[4]["payload"]))["n"] == 5
    assert found[0]["position"]["row"] == 1  # type: ignore[index]
    assert [x["id"] for x in listed(cli, weather, "--stage", "time")] == [found[2]["id"]]
    assert [x["id"] for x in listed(cli, weather, "--step", "sink")] == [found[4]["id"]]
    assert len(listed(cli, weather, "--reason", "CHECK constraint")) == 1
    assert listed(cli, weather, "--older-than", "1h") == []
    assert len(listed(cli, weather, "--newer-than", "1h")) == 5
    text = cli("dlq", "ls", weather, "--limit", 2).out
    assert text.splitlines()[-1].startswith("5 dead letters, the newest 2 shown; 5 in all, ")


def test_one_is_shown_as_text_or_hex_with_what_to_do(cli: Cli, weather: Path) -> None:
    numbers = [x["id"] for x in listed(cli, weather)]
    text = cli("dlq", "show", weather, numbers[1]).out
    assert "reason:    " in text
    assert LINES[2].decode() in text
    assert f"edgestream dlq replay {weather} --id {numbers[1]}" in text
    dump = cli("dlq", "show", weather, numbers[3]).out
    assert "00000000  7b 22 74 22 3a 20 36 2c 20 22 6e 22 3a 20 ff 7d  " in dump
    assert '{"t": 6, "n": .}' in dump
    gone = cli("dlq", "show", weather, 999)
    assert gone.code == 2
    assert "there is no dead letter 999" in gone.err


def test_what_is_sent_again_leaves_or_comes_back_with_one_attempt_more(
    cli: Cli, weather: Path
) -> None:
    assert rows(weather) == [1]
    weather.write_text(STRICT.format(folder=weather.parent, kind="float"))
    done = cli("dlq", "replay", weather)
    assert (done.out, done.code) == ("5 sent, 4 came back\n", 1)
    assert rows(weather) == [1, 2.5]
    assert [(x["stage"], x["attempts"]) for x in listed(cli, weather)] == [
        ("decode", 2),
        ("time", 2),
        ("decode", 2),
        ("write", 2),
    ]
    with sqlite3.connect(weather.parent / "out.db") as table:
        table.execute("DROP TABLE readings")
    assert cli("dlq", "replay", weather, "--stage", "write").out == "1 sent, 0 came back\n"
    assert rows(weather) == [5]
    assert cli("dlq", "replay", weather).out == "3 sent, 3 came back\n"
    assert [x["attempts"] for x in listed(cli, weather)] == [3, 3, 3]
    # The worker goes on where it was: the file is not read again.
    asyncio.run(Running(load_spec(weather, ()), weather.parent / "state", SystemClock()).run())
    assert rows(weather) == [5]


def test_what_cannot_be_sent_stays_with_a_reason(cli: Cli, weather: Path) -> None:
    with sqlite3.connect(weather.parent / "state" / "weather.db") as state:
        state.execute("UPDATE dead_letters SET step = 'gone' WHERE stage = 'write'")
        state.execute("UPDATE dead_letters SET stage = 'operator', form = 'text' WHERE id = 1")
    done = cli("dlq", "replay", weather, "--id", 1, "--id", 5)
    assert done.code == 1, done.err
    assert done.out == "0 sent, 0 came back\n"
    assert "1 stays: an older edgestream kept it as text" in done.err
    assert "5 stays: there is no sink 'gone' any more" in done.err
    assert len(listed(cli, weather)) == 5


def test_letters_are_dropped_after_a_question(
    cli: Cli, weather: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert cli("dlq", "drop", weather).code == 130
    assert len(listed(cli, weather)) == 5
    assert cli("dlq", "drop", weather, "--stage", "decode", "--yes").out == "3 dropped\n"
    assert [x["stage"] for x in listed(cli, weather)] == ["time", "write"]
    assert cli("dlq", "drop", weather, "--yes").out == "2 dropped\n"
    assert cli("dlq", "drop", weather, "--yes").out == "0 dropped\n"


async def test_looking_goes_beside_a_worker(cli: Cli, weather: Path) -> None:
    store = await Store.open(weather.parent / "state", "weather")
    new = DeadLetter(9, "source", "decode", "{}", "while it runs", b"x")
    for _ in range(2):
        await store.bury([new], Bounds())
        found = await asyncio.to_thread(listed, cli, weather, "--reason", "while it runs")
        shown = await asyncio.to_thread(cli, "dlq", "show", weather, found[-1]["id"])
        assert (shown.code, "while it runs" in shown.out) == (0, True)
    assert len(found) == 2, "what is committed is seen, and looking stops no commit"
    await store.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [("2", "has format 2; start the worker once"), ("9", "has format 9"), ("", "is damaged")],
)
def test_a_file_that_cannot_be_looked_at_is_said(
    cli: Cli, weather: Path, change: str, said: str
) -> None:
    path = weather.parent / "state" / "weather.db"
    if change:
        with sqlite3.connect(path) as db:
            db.execute("UPDATE meta SET value = ? WHERE name = 'format'", (change,))
        db.close()
    else:
        path.write_bytes(b"not a database, certainly not one " * 300)
    ran = cli("dlq", "ls", weather)
    assert ran.code == 78
    assert said in ran.err


@pytest.mark.parametrize("what", ["replay", "drop"])
def test_while_a_worker_runs_it_is_refused_with_75(cli: Cli, weather: Path, what: str) -> None:
    lock = Lock(weather.parent / "state" / "weather.lock")
    try:
        refused = cli("dlq", what, weather)
    finally:
        lock.release()
    assert refused.code == 75
    assert "a worker runs weather" in refused.err
    assert "stop the worker first" in refused.err


def test_a_pipeline_that_never_ran_has_none(cli: Cli, weather: Path, tmp_path: Path) -> None:
    nowhere = cli("dlq", "ls", weather, "--state-dir", tmp_path / "other")
    assert nowhere.code == 2
    assert "there is no state file" in nowhere.err
    assert not (tmp_path / "other").exists()
    assert cli("dlq", "ls", weather, "--older-than", "soon").code == 2


def test_a_damaged_line_of_csv_is_a_letter_that_stays(cli: Cli, weather: Path) -> None:
    folder = weather.parent
    (folder / "in.csv").write_bytes(b'device,n\na,1\n"b,2\nc,3\n')
    path = folder / "table.yaml"
    path.write_text(
        f"name: table\nsource: {{file: {folder}/in.csv}}\n"
        f"sink: {{sqlite: {{path: {folder}/csv.db, table: readings}}}}\n"
    )
    asyncio.run(Running(load_spec(path, ()), folder / "state", SystemClock()).run())
    with sqlite3.connect(folder / "csv.db") as table:
        assert table.execute("SELECT device, n FROM readings").fetchall() == [("a", 1), ("c", 3)]
    (letter,) = listed(cli, path)
    assert letter["payload"] == '"b,2'
    assert letter["reason"] == "line 3: a quote is opened and not closed"
    assert letter["position"]["file"] == f"{folder}/in.csv"  # type: ignore[index]
    done = cli("dlq", "replay", path)
    assert done.out == "0 sent, 0 came back\n"
    assert "stays: it is a damaged line of a file" in done.err
