"""Damage in the middle of SQLite's log is said; a torn end is not."""

import sqlite3
from pathlib import Path

import pytest

from edgestream.errors import StoreError
from edgestream.store import opening, tables
from edgestream.store.tables import JournalRow

ROWS = 20


def left_open(folder: Path, *, power_safe: bool = True) -> tuple[Path, bytes]:
    """A state file as a crash leaves it: twenty commits in its log; and the log."""
    path = folder / "p.db"
    connection = opening.connect(path, power_safe=power_safe)
    for seq in range(1, ROWS + 1):
        connection.execute("BEGIN IMMEDIATE")
        tables.append(connection, JournalRow(seq, "in", 1, 0, b"%03d" % seq * 50))
        connection.execute("COMMIT")
    data, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    connection.close()
    path.write_bytes(data)
    return path, log


def opened(path: Path, log: bytes) -> int:
    """How many rows are read with this log; raises `StoreError`."""
    Path(f"{path}-wal").write_bytes(log)
    Path(f"{path}-shm").unlink(missing_ok=True)
    connection = opening.connect(path)
    try:
        return len(tables.blocks(connection, 0))
    finally:
        connection.close()


def test_a_whole_log_is_read(tmp_path: Path) -> None:
    assert opened(*left_open(tmp_path)) == ROWS


def test_a_torn_end_costs_the_last_transaction_only(tmp_path: Path) -> None:
    path, log = left_open(tmp_path)
    assert opened(path, log[:-100]) == ROWS - 1


@pytest.mark.parametrize("at", [0, 8, 16, 24, 40, 0.3, 0.7])
def test_damage_before_other_transactions_is_refused(tmp_path: Path, at: float) -> None:
    path, log = left_open(tmp_path)
    place = int(at if at >= 1 or at == 0 else at * len(log))
    spoilt = log[:place] + bytes([log[place] ^ 0x10]) + log[place + 1 :]
    with pytest.raises(StoreError, match="transactions stand behind the damage") as refused:
        opened(path, spoilt)
    assert refused.value.exit_code == 78
    assert Path(f"{path}-wal").exists()


def test_a_block_that_rots_in_the_file_is_refused(tmp_path: Path) -> None:
    path, log = left_open(tmp_path)
    assert opened(path, log) == ROWS
    data = path.read_bytes()
    path.write_bytes(data.replace(b"007" * 10, b"008" * 10, 1))
    connection = opening.connect(path)
    with pytest.raises(StoreError, match="journalled block is damaged"):
        tables.blocks(connection, 0)
    connection.close()


def holed(path: Path, log: bytes) -> None:
    """The log with a hole in its middle, as a power cut leaves one that was not synced."""
    place = len(log) // 2
    Path(f"{path}-wal").write_bytes(log[:place] + bytes(8) + log[place + 8 :])
    Path(f"{path}-shm").unlink(missing_ok=True)


@pytest.mark.parametrize("power_safe", [True, False])
def test_a_log_that_was_not_synced_may_lose_its_end_whoever_opens_it(
    tmp_path: Path, power_safe: bool
) -> None:
    path, log = left_open(tmp_path, power_safe=False)
    holed(path, log)
    connection = opening.connect(path, power_safe=power_safe)
    assert 0 < len(tables.blocks(connection, 0)) < ROWS
    connection.close()


@pytest.mark.parametrize("power_safe", [True, False])
def test_a_log_that_was_synced_is_refused_whoever_opens_it(
    tmp_path: Path, power_safe: bool
) -> None:
    path, log = left_open(tmp_path)
    holed(path, log)
    with pytest.raises(StoreError, match="transactions stand behind the damage"):
        opening.connect(path, power_safe=power_safe)


def test_what_a_log_is_written_with_is_on_the_disk_before_what_is_not(tmp_path: Path) -> None:
    path, log = left_open(tmp_path)
    assert opened(path, log) == ROWS
    statements: list[str] = []

    class Traced(sqlite3.Connection):
        def execute(self, sql: str, *more: object) -> sqlite3.Cursor:  # type: ignore[override]
            statements.append(sql)
            return super().execute(sql, *more)  # type: ignore[arg-type]

    connect = sqlite3.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "edgestream.store.opening.sqlite3.connect",
            lambda *given, **named: connect(*given, factory=Traced, **named),
        )
        opening.connect(path, power_safe=False).close()
    mark = next(
        at for at, sql in enumerate(statements) if "'durability'" in sql and "INSERT" in sql
    )
    assert statements.index("PRAGMA synchronous=FULL") < mark
    assert mark < statements.index("PRAGMA synchronous=NORMAL")


def test_a_refused_check_changes_neither_file_nor_log(tmp_path: Path) -> None:
    path, log = left_open(tmp_path)
    with sqlite3.connect(path) as connection:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'dead_letters'"
        [(page,)] = connection.execute(query)
    connection.close()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 1024 : page * 1024] = bytes(1024)
    for _ in range(2):
        path.write_bytes(data)
        Path(f"{path}-wal").write_bytes(log)
        Path(f"{path}-shm").unlink(missing_ok=True)
        with pytest.raises(StoreError, match=r"is damaged .* nothing in it was changed"):
            opening.connect(path)
        assert path.read_bytes() == data
        assert Path(f"{path}-wal").read_bytes() == log


def test_a_database_without_a_log_has_nothing_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "p.db"
    opening.close(opening.connect(path))
    assert not Path(f"{path}-wal").exists()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM journal").fetchone() == (0,)
    connection.close()
