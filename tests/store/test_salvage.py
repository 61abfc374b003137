"""What is saved of a damaged state file: everything that can be read, and nothing else."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestream.batch import from_rows
from edgestream.component import State
from edgestream.errors import StoreError
from edgestream.store import checkpoints, opening, salvage, tables
from edgestream.store.letters import Bounds, DeadLetter, bury
from edgestream.store.spool import SANE, Budget, Spool
from edgestream.store.tables import Cut, JournalRow

PAGE = 1024
TABLES = (*salvage.ALIKE, "checkpoints", "states", "heads", "spools", "event_ids")


def filled(folder: Path) -> Path:
    """A state file with something of everything, a part of it in the log, as a crash leaves it."""
    path = folder / "p.db"
    file = opening.connect(path)
    spool = Spool(folder)
    batch = from_rows([{"device": "a", "n": n} for n in range(5)])
    for epoch in range(1, 41):
        file.execute("BEGIN IMMEDIATE")
        for seq in range(10 * epoch - 9, 10 * epoch + 1):
            tables.append(file, JournalRow(seq, "in", 1, SANE, b"%d " % seq * 30))
        made = Cut(
            epoch,
            epoch,
            {"in": {"seq": 10 * epoch - 5}},
            {"outbox": {"sink": epoch, "sink/late": epoch}},
            {"step": State(1, {"at": epoch}, {"n": np.arange(epoch * 50) ** 3})},
            outbox=[("sink", epoch, batch)],
        )
        checkpoints.save(file, made, {"in": 150})
        spool.add(file, [("sink", epoch, batch)], {"sink": Budget(10**9)}, SANE)
        bury(file, [DeadLetter(epoch, "in", "decode", "{}", "bad", b"x" * epoch * 20)], Bounds())
        file.execute("COMMIT")
        if epoch == 30:
            file.execute("PRAGMA wal_checkpoint(RESTART)")
    checkpoints.incarnation(file)
    log = Path(f"{path}-wal").read_bytes()
    data = path.read_bytes()
    file.close()
    path.write_bytes(data)
    Path(f"{path}-wal").write_bytes(log)
    Path(f"{path}-shm").unlink(missing_ok=True)
    return path


def checkpointed(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def content(path: Path) -> dict[str, set[Any]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = {table: set(db.execute(f"SELECT * FROM {table}").fetchall()) for table in TABLES}
        query = "SELECT name, value FROM meta WHERE name NOT IN ('clean', 'format')"
        found["meta"] = {row for row in db.execute(query) if row[0] != "dead_letters"}
        return found


def shapes(path: Path) -> dict[str, set[Any]]:
    """The same without bytes, which have checksums of their own: only how many there are."""
    return {
        table: {tuple(len(v) if isinstance(v, bytes) else v for v in row) for row in rows}
        for table, rows in content(path).items()
    }


def root(path: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        return int(db.execute(query, (table,)).fetchone()[0])


def wipe(path: Path, page: int) -> None:
    data = bytearray(path.read_bytes())
    data[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)
    path.write_bytes(data)


def lost(report: salvage.Report) -> dict[str, int]:
    return {saved.table: saved.lost for saved in report.tables if saved.lost}


def test_of_a_whole_file_everything_is_saved(tmp_path: Path) -> None:
    path = filled(tmp_path)
    report = salvage.salvage(path, tmp_path / "new.db")
    assert content(tmp_path / "new.db") == content(path)
    assert (report.whole, report.same, report.checkpoint, report.damaged) == (True, True, 40, ())
    assert not list(tmp_path.glob("new.db-*"))
    assert salvage.sound(path)
    assert salvage.sound(tmp_path / "new.db")


def test_whichever_page_is_gone_what_is_saved_was_there_and_what_is_not_is_said(
    tmp_path: Path,
) -> None:
    path = filled(tmp_path)
    checkpointed(path)
    whole, known = path.read_bytes(), shapes(path)
    made = tmp_path / "new.db"
    said = 0
    for page in range(1, len(whole) // PAGE + 1, 3):
        path.write_bytes(whole)
        wipe(path, page)
        report = salvage.salvage(path, made)
        found = shapes(made)
        for table, rows in known.items():
            more = found[table] - rows
            if table == "checkpoints":
                more = {row for row in more if row[2]}
            if table == "meta" and not report.same:
                more = set()
            if table == "spools":
                more = set()
            assert not more, (page, table)
            missing = {row[0] for row in rows} - {row[0] for row in found[table]}
            assert not missing or table in lost(report), (page, table, missing)
        said += not report.whole
        made.unlink()
    assert said > 20


def test_what_is_lost_of_the_input_has_numbers(tmp_path: Path) -> None:
    path = filled(tmp_path)
    checkpointed(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        held = {row[0] for row in db.execute("SELECT seq FROM journal")}
    at = path.read_bytes().index(b"300 300 300")
    wipe(path, at // PAGE + 1)
    assert not salvage.sound(path)
    report = salvage.salvage(path, tmp_path / "new.db")
    [journal] = [saved for saved in report.tables if saved.table == "journal"]
    with contextlib.closing(sqlite3.connect(tmp_path / "new.db")) as db:
        left = {row[0] for row in db.execute("SELECT seq FROM journal")}
    [(first, last)] = journal.between
    assert last is not None
    assert first <= 300 <= last
    assert held - left == set(range(first, last + 1))
    assert (journal.lost, journal.rows, report.processed) == (1, len(left), 395)
    assert report.same, "the numbers that sinks remember are all known"


def test_a_lost_root_costs_no_row_that_is_whole(tmp_path: Path) -> None:
    path = filled(tmp_path)
    checkpointed(path)
    known = content(path)
    wipe(path, root(path, "journal"))
    report = salvage.salvage(path, tmp_path / "new.db")
    assert lost(report) == {"journal": 1}
    assert content(tmp_path / "new.db")["journal"] == known["journal"]


def test_a_lost_checkpoint_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    path = filled(tmp_path)
    checkpointed(path)
    wipe(path, root(path, "checkpoints"))
    report = salvage.salvage(path, tmp_path / "new.db")
    assert report.checkpoint is None
    file = opening.connect(tmp_path / "new.db")
    resume = checkpoints.load(file)
    file.close()
    assert (resume.generation, len(resume.damaged), resume.epoch) == (0, 1, 41)


@pytest.mark.parametrize("table", ["meta", "heads"])
def test_where_numbers_are_lost_the_identity_is_new(tmp_path: Path, table: str) -> None:
    path = filled(tmp_path)
    checkpointed(path)
    wipe(path, root(path, table))
    report = salvage.salvage(path, tmp_path / "new.db")
    assert (report.same, report.checkpoint) == (False, 40)
    with contextlib.closing(sqlite3.connect(tmp_path / "new.db")) as db:
        [(fresh,)] = db.execute("SELECT value FROM meta WHERE name = 'id'")
        [(size,)] = db.execute("SELECT size FROM spools WHERE sink = 'sink'")
        assert size == db.execute("SELECT sum(length(data)) FROM spool").fetchone()[0]
    assert len(fresh) == 16


def test_a_damaged_schema_is_that_of_a_fresh_file(tmp_path: Path) -> None:
    path = filled(tmp_path)
    checkpointed(path)
    known = content(path)
    wipe(path, 1)
    report = salvage.salvage(path, tmp_path / "new.db")
    found = content(tmp_path / "new.db")
    assert report.checkpoint == 40
    assert {table: found[table] for table in TABLES} == {table: known[table] for table in TABLES}


def test_a_damaged_log_costs_what_is_behind(tmp_path: Path) -> None:
    path = filled(tmp_path)
    log = bytearray(Path(f"{path}-wal").read_bytes())
    log[len(log) // 8] ^= 1
    Path(f"{path}-wal").write_bytes(log)
    with pytest.raises(StoreError, match="stand behind the damage"):
        opening.connect(path)
    assert not salvage.sound(path)
    report = salvage.salvage(path, tmp_path / "new.db")
    assert report.transactions > 1
    assert report.checkpoint in range(30, 40)
    assert (report.whole, report.same) == (False, False)
    assert Path(f"{path}-wal").read_bytes() == log
    file = opening.connect(tmp_path / "new.db")
    assert len(tables.blocks(file, 0)) > 100
    file.close()


def test_of_nothing_nothing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    path.write_bytes(b"not a database, certainly not one " * 300)
    with pytest.raises(StoreError, match="nothing in it can be read; start with --fresh") as caught:
        salvage.salvage(path, tmp_path / "new.db")
    assert caught.value.exit_code == 78
    assert [found.name for found in tmp_path.iterdir()] == ["p.db"]


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE meta SET value = '9' WHERE name = 'format'")
        db.commit()
    with pytest.raises(StoreError, match="has format 9"):
        salvage.salvage(path, tmp_path / "new.db")


def test_dropped_letters_are_still_counted(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        said = json.dumps({"rows": 40, "bytes": 1, "dropped": 7})
        db.execute("UPDATE meta SET value = ? WHERE name = 'dead_letters'", (said,))
        db.commit()
    salvage.salvage(path, tmp_path / "new.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "new.db")) as db:
        [(text,)] = db.execute("SELECT value FROM meta WHERE name = 'dead_letters'")
    assert json.loads(text) == {
        "rows": 40,
        "bytes": sum(20 * n + 71 for n in range(1, 41)),
        **{"dropped": 7},
    }
