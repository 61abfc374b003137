"""Damaged blocks become dead letters in the transaction in which they go from their table."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgestream.batch import from_rows
from edgestream.errors import StoreError
from edgestream.store import letters, opening, tables
from edgestream.store.aside import Aside, Block
from edgestream.store.letters import Bounds, Wanted
from edgestream.store.spool import SANE, Budget, Spool
from edgestream.store.tables import JournalRow


@pytest.fixture
def file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = opening.connect(tmp_path / "p.db")
    yield connection
    connection.close()


def spoil(file: sqlite3.Connection, table: str, *numbers: int) -> None:
    for seq in numbers:
        changed = file.execute(f"UPDATE {table} SET data = x'00ff' WHERE seq = ?", (seq,))
        assert changed.rowcount == 1


def kept(file: sqlite3.Connection) -> list[tuple[str, str, bytes]]:
    return [(x.step, x.position, x.data) for x in letters.find(file, Wanted())]


def test_a_page_is_filled_past_what_is_damaged(file: sqlite3.Connection) -> None:
    for seq in range(1, 8):
        tables.append(file, JournalRow(seq, "in", 1, SANE, b"%d" % seq))
    spoil(file, "journal", 1, 2, 4)
    aside = Aside(Bounds())
    found = tables.blocks(file, 0, 2, aside=aside)
    assert [row.seq for row in found] == [3, 5]
    assert [x[1] for x in kept(file)] == [f'{{"journal": {n}, "rows": 1}}' for n in (1, 2, 4)]
    assert [row.seq for row in tables.blocks(file, 5, aside=aside)] == [6, 7]
    taken = aside.take()
    assert [(x.step, x.stage, x.received, x.data) for x in taken] == [
        ("in", "store", SANE, b"\x00\xff")
    ] * 3
    assert aside.take() == []


def test_without_a_place_for_it_damage_is_an_error(file: sqlite3.Connection) -> None:
    tables.append(file, JournalRow(1, "in", 1, 0, b"x"))
    spoil(file, "journal", 1)
    with pytest.raises(StoreError, match="checksum does not match"):
        tables.blocks(file, 0)


def test_a_block_that_is_no_bytes_is_damaged(file: sqlite3.Connection) -> None:
    file.execute("INSERT INTO journal VALUES (1, 'in', 1, 0, 0, 'text')")
    assert tables.blocks(file, 0, aside=Aside(Bounds())) == []
    assert kept(file)[0][2] == b"text"


def test_only_the_source_that_is_asked_for_is_looked_at(file: sqlite3.Connection) -> None:
    for seq, source in ((1, "in"), (2, "other"), (3, "in")):
        tables.append(file, JournalRow(seq, source, 1, 0, b"x"))
    spoil(file, "journal", 2)
    found = tables.blocks(file, 0, source="in", aside=Aside(Bounds()))
    assert [row.seq for row in found] == [1, 3]
    assert kept(file) == []


def test_they_are_bounded_like_all_dead_letters(file: sqlite3.Connection) -> None:
    aside = Aside(Bounds(rows=2))
    for seq in range(1, 5):
        aside.put(file, Block("journal", "in", seq, 1, 0, b"x"), "why")
    assert len(kept(file)) == 2
    assert letters.held_in(file).dropped == 2


def test_what_is_tried_again_after_a_full_disk_is_told_once(file: sqlite3.Connection) -> None:
    aside = Aside(Bounds())
    for _ in range(2):
        file.execute("BEGIN")
        aside.put(file, Block("outbox", "sink", 1, 1, 0, b"x"), "why")
        file.execute("ROLLBACK")
    assert len(aside.take()) == 1


@pytest.mark.parametrize("read", ["page", "thin"])
def test_a_spool_counts_what_is_set_aside(
    file: sqlite3.Connection, tmp_path: Path, read: str
) -> None:
    spool = Spool(tmp_path)
    budget = Budget(10**9, overflow="downsample")
    batch = from_rows([{"device": "a", "n": n} for n in range(50)])
    for seq in range(1, 6):
        spool.add(file, [("sink", seq, batch)], {"sink": budget}, SANE)
    spool = Spool(tmp_path)
    spool.page(file, "other", 0)
    spoil(file, "spool", 3)
    size = file.execute("SELECT sum(length(data)) FROM spool").fetchone()[0]
    file.execute("UPDATE spools SET size = ?", (size,))
    if read == "page":
        assert [seq for seq, _ in spool.page(file, "sink", 0)] == [1, 2, 4, 5]
    else:
        spool._walk(file, "sink").offered = 0
        waiting = spool.add(file, [], {"sink": Budget(size // 2, overflow="downsample")}, SANE)
        assert 0 < waiting["sink"].size <= size // 2
        assert spool.page(file, "sink", 0), "the others are thinned, not dropped"
    assert [x[1] for x in kept(file)] == ['{"spool": 3, "rows": 50}']
    left = file.execute("SELECT sum(length(data)) FROM spool").fetchone()[0]
    assert spool.waiting(file, "sink", budget).size == left
