"""``edgestream salvage``: from a state file that is refused to a pipeline that goes on."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from edgestream.store.lock import Lock
from tests.cli.run import Cli
from tests.cli.test_savepoint import Place


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def place(tmp_path: Path, cli: Cli) -> Place:
    made = Place(tmp_path / "gateway", cli)
    assert made.run(1, 2, 3) == [(1, None), (2, 1), (3, 2)]
    return made


def damage(place: Place, table: str) -> bytes:
    """Empty the first page of a table; the file as it is then, after a bad end."""
    path = place.folder / "state" / "p.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE meta SET value = '0' WHERE name = 'clean'")
        db.commit()
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        [(page,)] = db.execute(query, (table,))
    data = bytearray(path.read_bytes())
    data[(page - 1) * 1024 : page * 1024] = bytes(1024)
    path.write_bytes(data)
    return bytes(data)


def salvaged(place: Place, *more: object) -> tuple[int, str, str]:
    ran = place.cli("salvage", place.file, "--state-dir", place.folder / "state", *more)
    return ran.code, ran.out, ran.err


def test_a_refused_file_is_salvaged_and_the_pipeline_goes_on(place: Place) -> None:
    spoilt = damage(place, "dead_letters")
    worker = ("worker", place.file, "--state-dir", place.folder / "state", "--http", "off")
    with contextlib.chdir(place.folder):
        refused = place.cli(*worker)
    assert refused.code == 78
    assert "edgestream salvage" in refused.err
    code, out, _ = salvaged(place)
    assert code == 0
    assert "0  dead letters\n           lost: 1 unreadable page, of how many is not known" in out
    old = place.folder / "state" / "p.old.db"
    assert out.endswith(f"p.db is fresh; the old file is {old}\n")
    assert old.read_bytes() == spoilt
    times = [row[0] for row in place.run(4)]
    assert times == [1, 2, 3, 4], "its place in the file and the token are known"


def test_a_lost_checkpoint_asks_for_a_choice(place: Place) -> None:
    damage(place, "checkpoints")
    code, out, _ = salvaged(place, "--output", "json")
    said = json.loads(out)
    assert (code, said["checkpoint"], said["same"]) == (0, None, True)
    assert next(x for x in said["tables"] if x["table"] == "checkpoints")["lost"] == 1
    ran = place.cli("worker", place.file, "--state-dir", place.folder / "state", "--http", "off")
    assert ran.code == 78
    assert "no checkpoint in it is whole. Start with --recover log-start" in ran.err


def test_what_is_whole_missing_or_in_use_is_left_alone(place: Place) -> None:
    code, _, err = salvaged(place)
    assert (code, "is whole; there is nothing to salvage" in err) == (2, True)
    damage(place, "dead_letters")
    lock = Lock(place.folder / "state" / "p.lock")
    assert salvaged(place)[0] == 75
    lock.release()
    (place.folder / "state" / "p.db").unlink()
    code, _, err = salvaged(place)
    assert (code, "there is no state file" in err) == (2, True)
