"""Tables read page by page: what SQLite says, past what it cannot read."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edgestream.store.pages import Lost, Pages, Row

PAGE = 1024


def made(path: Path, page: int = PAGE, rows: int = 400) -> sqlite3.Connection:
    """A file with rows of every kind of value, some far longer than a page."""
    rng = random.Random(7)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA page_size={page}")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE a(id INTEGER PRIMARY KEY, n INTEGER, x REAL, s TEXT, b BLOB)")
    db.execute("CREATE TABLE w(name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
    db.execute("CREATE TABLE k(a TEXT, b INTEGER, PRIMARY KEY(a, b))")
    db.execute("BEGIN")
    for at in range(rows):
        n = rng.choice([None, 0, 1, -1, 127, -32_768, 2**23 - 1, 2**31, -(2**47), 2**62, -(2**63)])
        size = rng.choice([0, 1, 90, page - 60, page - 35, page, 4 * page, 9_000])
        values = (rng.choice([at, 3 * at - 600, 2**40 + at]), n, rng.uniform(-9, 9), "é" * (at % 7))
        db.execute("INSERT OR IGNORE INTO a VALUES (?,?,?,?,?)", (*values, rng.randbytes(size)))
        db.execute("INSERT INTO w VALUES (?, ?)", (f"{at:05}", rng.randbytes(size // 3)))
        db.execute("INSERT INTO k VALUES (?, ?)", (str(at), at))
    db.execute("COMMIT")
    return db


def root(db: sqlite3.Connection, table: str) -> int:
    query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
    return int(db.execute(query, (table,)).fetchone()[0])


def read(path: Path, at: int) -> list[Row | Lost]:
    pages = Pages(path)
    try:
        return list(pages.rows(at))
    finally:
        pages.close()


@pytest.mark.parametrize("page", [512, 1024, 4096, 65_536])
@pytest.mark.parametrize("log", [True, False])
def test_a_whole_file_is_read_as_sqlite_reads_it(tmp_path: Path, page: int, log: bool) -> None:
    db = made(tmp_path / "x.db", page)
    if not log:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("DELETE FROM a WHERE id % 5 = 0")
    expected = db.execute("SELECT id, n, x, s, b FROM a ORDER BY id").fetchall()
    found = read(tmp_path / "x.db", root(db, "a"))
    given = [(row.number, *row.values[1:]) for row in found if isinstance(row, Row)]
    assert given == expected
    assert len(given) == len(found)
    for table, columns in (("w", "name, value"), ("k", "a, b")):
        found = read(tmp_path / "x.db", root(db, table))
        query = f"SELECT {columns} FROM {table}"
        expected = db.execute(f"{query} ORDER BY 1" if table == "w" else f"{query} ORDER BY rowid")
        assert [row.values for row in found if isinstance(row, Row)] == expected.fetchall()
    db.close()


@pytest.mark.parametrize("how", ["zeros", "noise", "flips"])
def test_whatever_is_damaged_nothing_is_made_up_but_in_bytes(tmp_path: Path, how: str) -> None:
    db = made(tmp_path / "x.db", rows=120)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    at = root(db, "a")
    known = {row[0]: row for row in db.execute("SELECT id, n, x, s, b FROM a")}
    db.close()
    whole = (tmp_path / "x.db").read_bytes()
    rng = random.Random(5)
    lost = 0
    for number in range(2, len(whole) // PAGE + 1):
        data = bytearray(whole)
        begin = (number - 1) * PAGE
        if how == "zeros":
            data[begin : begin + PAGE] = bytes(PAGE)
        elif how == "noise":
            data[begin : begin + PAGE] = rng.randbytes(PAGE)
        else:
            data[begin + rng.randrange(12)] ^= 1 << rng.randrange(8)
        (tmp_path / "x.db").write_bytes(data)
        found = read(tmp_path / "x.db", at)
        lost += any(isinstance(each, Lost) for each in found)
        if how == "zeros":
            rows = {row.number: row for row in found if isinstance(row, Row)}
            assert rows.keys() <= known.keys()
            missing = known.keys() - rows.keys()
            assert not missing or any(isinstance(each, Lost) for each in found)
    assert lost > 20


def test_what_no_page_leads_to_is_found_and_what_is_deleted_is_not(tmp_path: Path) -> None:
    db = made(tmp_path / "x.db")
    db.execute("DELETE FROM a WHERE id % 3 = 0")
    db.execute("DELETE FROM a WHERE id BETWEEN 100 AND 200")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    alive = {row[0] for row in db.execute("SELECT id FROM a")}
    roots = {table: root(db, table) for table in ("a", "w", "k", "sqlite_autoindex_k_1")}
    db.close()
    data = bytearray((tmp_path / "x.db").read_bytes())
    begin = (roots["a"] - 1) * PAGE
    data[begin : begin + PAGE] = bytes(PAGE)
    (tmp_path / "x.db").write_bytes(data)
    pages = Pages(tmp_path / "x.db")
    assert list(pages.rows(roots["a"])) == [Lost(roots["a"])]
    for table in ("w", "k"):
        assert not any(isinstance(each, Lost) for each in pages.rows(roots[table]))
    list(pages.rows(1))
    found = [row for rows in pages.orphans() for row in rows]
    assert {row.number for row in found if len(row.values) == 5} == alive
    data[36:40] = (int.from_bytes(data[36:40], "big") + 1).to_bytes(4, "big")
    (tmp_path / "x.db").write_bytes(data)
    pages.close()
    pages = Pages(tmp_path / "x.db")
    assert list(pages.orphans()) == [], "the list of free pages is not whole"
    pages.close()


def test_a_file_that_is_none_has_no_rows(tmp_path: Path) -> None:
    for data in (b"", b"SQLite format 3\0", b"x" * 5_000, bytes(5_000)):
        (tmp_path / "x.db").write_bytes(data)
        found: list[Any] = read(tmp_path / "x.db", 1)
        assert found == [Lost(1)]
