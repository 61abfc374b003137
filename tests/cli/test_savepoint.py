"""Savepoints: back to a moment, over to another machine, and what is refused."""

import contextlib
import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from edgestream.errors import StoreError
from edgestream.store.savepoint import FIRST, restore
from tests.cli.run import Cli

TEXT = """
name: p
source:
  file: {path: in.jsonl}
  time: {field: t, unit: s, delay: 0s}
steps:
  - lag: {column: t, by: device, as: before}
sink:
  sqlite: {path: OUT, table: t}
"""


class Place:
    """One machine: a folder with pipeline, input, state and output."""

    def __init__(self, folder: Path, cli: Cli) -> None:
        folder.mkdir()
        self.folder, self.cli = folder, cli
        self.file = folder / "p.yaml"
        self.input = folder / "in.jsonl"
        self.file.write_text(TEXT.replace("OUT", str(folder / "out.db")))
        self.input.touch()

    def run(self, *times: int) -> list[tuple[int, int | None]]:
        """Feed rows, run to the end of the input, and see what is in the table."""
        with self.input.open("a") as file:
            file.writelines(json.dumps({"device": "a", "t": t}) + "\n" for t in times)
        with contextlib.chdir(self.folder):
            ran = self.cli(
                "worker", self.file, "--state-dir", self.folder / "state", "--http", "off"
            )
        assert ran.code == 0, ran.err
        db = sqlite3.connect(self.folder / "out.db")
        rows = db.execute("SELECT t, before FROM t ORDER BY rowid").fetchall()
        db.close()
        return rows

    def savepoint(self, command: str, *more: object) -> str:
        ran = self.cli("savepoint", command, self.file, "--state-dir", self.folder / "state", *more)
        assert ran.code == 0, ran.err
        return ran.out

    def refused(self, command: str, *more: object) -> tuple[int, str]:
        ran = self.cli("savepoint", command, self.file, "--state-dir", self.folder / "state", *more)
        return ran.code, ran.err


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def place(tmp_path: Path, cli: Cli) -> Place:
    return Place(tmp_path / "one", cli)


def test_back_to_a_savepoint_and_over_to_another_machine(
    place: Place, tmp_path: Path, cli: Cli
) -> None:
    place.run(1, 2, 11)
    place.savepoint("create", "early")
    [early] = json.loads(place.savepoint("ls", "--output", "json"))
    assert early["name"] == "early"
    since = [(12, None), (13, 12), (21, 13)]
    assert place.run(12, 13, 21)[3:] == since

    place.savepoint("restore", "early")
    assert (place.folder / "state" / "p.old.db").exists()
    assert place.run()[3:] == [*since, *since], "read again from there"

    carried = tmp_path / "early.savepoint"
    place.savepoint("export", "early", carried)
    other = Place(tmp_path / "two", cli)
    other.savepoint("import", "from-one", carried)
    other.savepoint("restore", "from-one")
    other.input.write_bytes(place.input.read_bytes())
    assert other.run() == since, "what was before the savepoint is not made again"


def test_what_a_savepoint_command_refuses(place: Place) -> None:
    assert place.refused("create", "x")[0] == 78
    place.run(1)
    assert place.refused("create", "../x")[0] == 2
    place.savepoint("create", "x")
    assert place.refused("create", "x")[0] == 2
    assert place.refused("restore", "y")[0] == 2
    assert place.refused("export", "x", place.file)[0] == 78
    code, text = place.refused("import", "y", place.file)
    assert (code, "it is no savepoint of a version" in text) == (78, True)


def test_a_damaged_savepoint_is_refused_at_every_byte(place: Place) -> None:
    place.run(1, 2, 11)
    place.savepoint("create", "x")
    [path] = (place.folder / "state" / "savepoints").iterdir()
    honest = path.read_bytes()
    for at in range(0, len(honest), 7):
        for wrong in (honest[:at], honest[:at] + bytes([honest[at] ^ 4]) + honest[at + 1 :]):
            path.write_bytes(wrong)
            with pytest.raises(StoreError):
                restore(path, place.folder / "new.db")
            assert not (place.folder / "new.db").exists()


def signed(*rows: tuple[object, bytes] | bytes) -> bytes:
    """A savepoint as an attacker would make it: the digest is right."""
    data = FIRST
    for row in rows:
        if isinstance(row, bytes):
            data += row
        else:
            head = json.dumps(row[0]).encode()
            data += len(head).to_bytes(4, "big") + head + row[1]
    data += b"\0\0\0\0"
    return data + hashlib.sha256(data).digest()


CUT = json.dumps({"positions": {}, "meta": {}})


@pytest.mark.parametrize(
    "content",
    [
        signed(),
        signed((["meta", 0, "id", "x"], b"")),
        signed((["states", 1 << 40, 1, "s"], b"")),
        signed((["states", -1, 1, "s"], b"")),
        signed((["states", 0, 1, ["s"]], b"")),
        signed((["states", 0, True, "s"], b"")),
        signed((["heads; DROP TABLE heads", 0, "s", 1], b"")),
        signed((["heads", 0, "s", 1 << 70], b"")),
        signed((["heads", 0, "s"], b"")),
        signed(([], b"")),
        signed(({}, b"")),
        signed(b"\xff\xff\xff\xff"),
        signed(b"\x00\x00\x00\x05[[[[["),
        signed((["checkpoints", 0, 1, 0, CUT, 5, ""], b"")),
        signed((["heads", 0, "s", 1], b""), (["heads", 0, "s", 1], b"")),
    ],
)
def test_a_hostile_savepoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(StoreError, match="the savepoint cannot be used") as caught:
        restore(tmp_path / "x", tmp_path / "p.db")
    assert caught.value.exit_code == 78
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
