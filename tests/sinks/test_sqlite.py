import asyncio
import re
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestream.batch import Batch, Strings, from_rows
from edgestream.component import Token
from edgestream.errors import (
    EXIT_CONFIG,
    EXIT_IO,
    EXIT_PERMISSION,
    ConfigError,
    Disconnected,
    Fatal,
    Held,
    Rejected,
    Retry,
)
from edgestream.schema import Schema
from edgestream.sinks.sqlite import Sqlite
from edgestream.sinks.sqlite_errors import in_words
from edgestream.sinks.sqlite_table import Plan, Table
from edgestream.testing.connectors import batch, check_sink, context

ONE = Token("store", 1)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "out.db"


def rows(path: Path, table: str = "t", columns: str = "*") -> list[dict[str, Any]]:
    """What another program sees."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    known = connection.execute("SELECT name FROM sqlite_master").fetchall()
    there = "pragma" in table or table in {row["name"] for row in known}
    query = f"SELECT {columns} FROM {table}" if there else "SELECT 1 WHERE 0"
    found = [dict(row) for row in connection.execute(query)]
    connection.close()
    return found


def run(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


async def store(sink: Sqlite, *batches: Batch, token: Token | None = ONE) -> dict[int, str]:
    """Write and flush; the rows that were refused."""
    refused: dict[int, str] = {}
    await sink.open(context())
    try:
        for each in batches:
            try:
                await sink.write(each)
            except Rejected as error:
                refused |= error.reasons
        await sink.flush(token)
    finally:
        await sink.close()
    return refused


def keyed(data: list[Mapping[str, Any]], *keys: str) -> Batch:
    made = from_rows(data)
    return Batch(made.columns, made.times, keys)


def with_text(texts: list[str | None]) -> Batch:
    made = batch(list(range(1, len(texts) + 1)))
    return Batch({**made.columns, "note": Strings.of(texts)}, made.times, made.keys)


async def test_kit(path):
    await check_sink(
        lambda place: Sqlite(path=str(path), table=place),
        lambda place: rows(path, place),
        refused=(with_text(["fine", "\ud800", "half \udfff"]), frozenset({1, 2})),
    )


async def test_values_as_they_are_stored(path):
    made = from_rows(
        [
            {"f": 1.5, "i": 2**62, "b": True, "s": "ü\0x", "t": 0, "gap": 1.0, "inf": np.inf},
            {"f": -0.0, "i": -1, "b": False, "s": None, "t": 0, "gap": None, "inf": -np.inf},
            {"f": 1e300, "i": 0, "b": False, "s": "", "t": 0, "gap": None, "inf": 0.0},
        ]
    )
    times = np.array([1_795_514_400_000_000, 1_795_514_400_000_001, 0], "datetime64[us]")
    times[2] = np.datetime64("NaT")
    await store(Sqlite(path=str(path), table="t"), made.with_columns(t=times))
    stored = rows(path)
    assert stored == [
        {
            "f": 1.5,
            "i": 2**62,
            "b": 1,
            "s": "ü\0x",
            "t": "2026-11-24T10:00:00Z",
            "gap": 1.0,
            "inf": np.inf,
        },
        {
            "f": 0.0,
            "i": -1,
            "b": 0,
            "s": None,
            "t": "2026-11-24T10:00:00.000001Z",
            "gap": None,
            "inf": -np.inf,
        },
        {"f": 1e300, "i": 0, "b": 0, "s": "", "t": None, "gap": None, "inf": 0.0},
    ]
    assert rows(path, columns="unixepoch(t) AS s")[0] == {"s": 1_795_514_400}
    types = {row["name"]: row["type"] for row in rows(path, "pragma_table_info('t')")}
    assert list(types) == ["f", "i", "b", "s", "t", "gap", "inf"]
    assert list(types.values()) == ["REAL", "INTEGER", "INTEGER", "TEXT", "TEXT", "REAL", "REAL"]


async def test_a_missing_part_of_a_key_is_a_key_of_its_own(path):
    first = [
        {"device": "a", "zone": 1.0, "n": 1},
        {"device": None, "zone": 1.0, "n": 2},
        {"device": "", "zone": 1.0, "n": 3},
        {"device": None, "zone": None, "n": 4},
    ]
    again = [{**row, "n": row["n"] + 10} for row in first]
    sink = Sqlite(path=str(path), table="t")
    await store(sink, keyed(first, "device", "zone"), keyed(again[:2], "device", "zone"))
    await store(sink, keyed(again, "device", "zone"))
    assert sorted(row["n"] for row in rows(path)) == [11, 12, 13, 14]


async def test_an_upsert_leaves_other_columns_alone(path):
    sink = Sqlite(path=str(path), table="t")
    await store(sink, keyed([{"k": "a", "x": 1, "y": 2}, {"k": None, "x": 1, "y": 2}], "k"))
    await store(sink, keyed([{"k": "a", "x": 5}, {"k": None, "x": 6}], "k"))
    assert [tuple(row.values()) for row in rows(path)] == [("a", 5, 2), (None, 6, 2)]


async def test_rows_that_are_nothing_but_key(path):
    made = keyed([{"k": "a"}, {"k": "a"}, {"k": None}, {"k": None}], "k")
    await store(Sqlite(path=str(path), table="t"), made, made)
    assert [row["k"] for row in rows(path)] == ["a", None]


@pytest.mark.parametrize(("mode", "count"), [("auto", 2), ("upsert", 2), ("append", 4)])
async def test_modes(path, mode, count):
    await store(Sqlite(path=str(path), table="t", mode=mode), batch([1, 2]), batch([1, 2]))
    assert len(rows(path)) == count


async def test_columns_keep_their_order_and_times_lead_the_key(path):
    await store(Sqlite(path=str(path), table="t"), batch([1]))
    info = rows(path, "pragma_table_info('t')", "name, pk")
    assert [(row["name"], row["pk"]) for row in info] == [
        ("device", 2),
        ("window_start", 1),
        ("n", 0),
        ("average", 0),
        ("ok", 0),
    ]


async def test_odd_column_names_are_quoted(path):
    names = ["a.b", 'say "hi"', "select", "ä ö", "x]; DROP TABLE t; --"]
    made = from_rows([{name: index for index, name in enumerate(names)}])
    await store(Sqlite(path=str(path), table="t"), made)
    assert list(rows(path)[0]) == names


async def test_rows_with_columns_that_cannot_be_are_refused(path):
    good = {"x": 1.0}
    refused = await store(
        Sqlite(path=str(path), table="t"),
        from_rows([good, {**good, "X": 2.0}, {**good, "": 1.0}, {**good, "a\0b": 1.0}]),
    )
    assert set(refused) == {1, 2, 3}
    assert "only in the case of letters" in refused[1]
    assert rows(path) == [good]


async def test_a_table_is_not_given_columns_without_end(path):
    wide = {f"c{number}": 1.0 for number in range(502)}
    refused = await store(
        Sqlite(path=str(path), table="t"), from_rows([{"c0": 1.0}, wide, {"c499": 2.0}])
    )
    assert list(refused) == [1]
    assert "500 at most" in refused[1]
    assert len(rows(path)) == 2


async def test_text_later_in_a_column_of_numbers_is_kept(path):
    sink = Sqlite(path=str(path), table="t")
    await store(sink, from_rows([{"x": 1.5}]), from_rows([{"x": "broken"}]))
    assert [row["x"] for row in rows(path)] == [1.5, "broken"]


async def test_the_token_lies_in_the_same_file(path):
    run(path, "CREATE TABLE mine (x)", "INSERT INTO mine VALUES (7)")
    sink = Sqlite(path=str(path), table="t")
    await store(sink, batch([1]), token=Token("abc", 5))
    (commit,) = rows(path, "edgestream_commits")
    assert (commit["id"], commit["store"], commit["seq"]) == (context().id, "abc", 5)
    assert commit["at"].endswith("Z")
    assert rows(path, "mine") == [{"x": 7}]
    assert rows(path, "pragma_journal_mode") == [{"journal_mode": "wal"}]


async def test_a_token_without_rows_is_kept(path):
    sink = Sqlite(path=str(path), table="t")
    await store(sink, token=Token("abc", 5))
    assert await sink.open(context()) == Token("abc", 5)
    await sink.flush(None)
    await sink.close()


async def test_several_pipelines_share_a_file(path):
    sinks = [Sqlite(path=str(path), table=f"t{number}") for number in range(4)]
    contexts = [context(f"p{number}.out") for number in range(4)]
    for sink, ctx in zip(sinks, contexts, strict=True):
        await sink.open(ctx)

    async def feed(sink: Sqlite) -> None:
        for seq in range(1, 11):
            await sink.write(batch([seq], first=seq))
            await sink.flush(Token("s", seq))

    await asyncio.gather(*map(feed, sinks))
    for sink, ctx in zip(sinks, contexts, strict=True):
        assert await sink.open(ctx) == Token("s", 10)
        await sink.close()
    assert [len(rows(path, f"t{number}")) for number in range(4)] == [10] * 4


async def test_the_disk_is_touched_by_one_other_thread(path):
    before = set(threading.enumerate())
    sink = Sqlite(path=str(path), table="t")
    await sink.open(context())
    await sink.write(batch([1]))
    await sink.flush(ONE)
    assert len(set(threading.enumerate()) - before) == 1
    await sink.close()
    async with asyncio.timeout(10):
        while set(threading.enumerate()) - before:
            await asyncio.sleep(0.001)


# Tables that are there already


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE t (device TEXT, window_start TEXT, n, PRIMARY KEY (device, window_start))",
        "CREATE TABLE t (DEVICE TEXT, Window_Start TEXT, UNIQUE (device, window_start))",
        "CREATE TABLE t (device NOT NULL, window_start, PRIMARY KEY (device, window_start)) "
        "WITHOUT ROWID",
    ],
)
async def test_a_table_of_ones_own_with_a_key_will_do(path, table):
    run(path, table)
    await store(Sqlite(path=str(path), table="t"), batch([1, 2]), batch([3, 4]))
    assert [row["n"] for row in rows(path)] == [3, 4]


async def test_a_whole_number_as_primary_key_will_do(path):
    run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    made = keyed([{"id": 1, "x": 1.0}, {"id": 1, "x": 2.0}], "id")
    await store(Sqlite(path=str(path), table="t"), made)
    assert rows(path) == [{"id": 1, "x": 2.0}]


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE t (device TEXT, window_start TEXT)"],
        ["CREATE TABLE t (x)"],
        ["CREATE TABLE t (device TEXT PRIMARY KEY, window_start TEXT)"],
        [
            "CREATE TABLE t (device, window_start)",
            "CREATE UNIQUE INDEX i ON t (device, window_start) WHERE device > 'm'",
        ],
        [
            "CREATE TABLE t (device, window_start)",
            "CREATE UNIQUE INDEX i ON t (lower(device), window_start)",
        ],
    ],
)
async def test_a_table_without_the_key_is_told(path, statements):
    run(path, *statements)
    with pytest.raises(Fatal, match=r"no primary key or unique index.*run: (.*); or") as caught:
        await store(Sqlite(path=str(path), table="t"), batch([1]))
    assert caught.value.exit_code == EXIT_CONFIG
    if statements != ["CREATE TABLE t (x)"]:
        run(path, str(caught.value).split("run: ")[1].split("; or")[0])
        await store(Sqlite(path=str(path), table="t"), batch([1]))
    await store(Sqlite(path=str(path), table="t", mode="append"), batch([2], first=1))


async def test_a_view_is_told(path):
    run(path, "CREATE VIEW t AS SELECT 1 AS n")
    with pytest.raises(Fatal, match="t is a view"):
        await store(Sqlite(path=str(path), table="t"), batch([1]))


async def test_rows_that_break_a_constraint_are_refused_and_their_neighbours_are_not(path):
    run(path, "CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n < 100))")
    made = [{"k": "a", "n": 1.0}, {"k": "b", "n": 100.0}, {"k": "c", "n": None}, {"k": "d", "n": 4}]
    refused = await store(Sqlite(path=str(path), table="t"), keyed(made, "k"))
    assert set(refused) == {1, 2}
    assert "CHECK constraint failed" in refused[1]
    assert [row["k"] for row in rows(path)] == ["a", "d"]


async def test_reasons_keep_the_numbers_of_the_rows(path):
    run(path, "CREATE TABLE t (k TEXT PRIMARY KEY, n INTEGER CHECK (n < 100))")
    made = keyed([{"k": "\ud800", "n": 1}, {"k": "b", "n": 100}, {"k": "c", "n": 3}], "k")
    refused = await store(Sqlite(path=str(path), table="t"), made)
    assert set(refused) == {0, 1}
    assert [row["k"] for row in rows(path)] == ["c"]


async def test_a_table_dropped_by_another_is_made_again(path):
    sink = Sqlite(path=str(path), table="t")
    await sink.open(context())
    await sink.write(batch([1]))
    await sink.flush(ONE)
    run(path, "DROP TABLE t")
    with pytest.raises(Disconnected, match="changed by another program"):
        await sink.write(batch([2]))
    assert await sink.open(context()) == ONE
    await sink.write(batch([2]))
    await sink.flush(Token("store", 2))
    await sink.close()
    assert [row["n"] for row in rows(path)] == [2]


# What can go wrong


async def test_a_file_that_is_held_is_told_before_anything_is_read(path):
    older = Sqlite(path=str(path), table="t")
    await older.open(context(epoch=1))
    await older.write(batch([1]))
    newer = Sqlite(path=str(path), table="t", busy_timeout="1h")
    with pytest.raises(Held, match="locked by another process"):
        await newer.open(context(epoch=2))
    await older.flush(Token("kit", 1, 1))
    assert await newer.open(context(epoch=2)) == Token("kit", 1, 1)
    await newer.close()
    await older.close()
    assert [row["n"] for row in rows(path)] == [1]


async def test_a_locked_file_is_tried_again_and_nothing_is_lost(path):
    sink = Sqlite(path=str(path), table="t", busy_timeout="1ms")
    await sink.open(context())
    await sink.write(batch([1]))
    await sink.flush(ONE)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(Retry, match="locked by another process"):
            await sink.write(batch([2], first=1))
    with pytest.raises(Retry, match="locked"):
        await sink.flush(Token("store", 2))
    other.execute("ROLLBACK")
    other.close()
    await sink.write(batch([2], first=1))
    await sink.flush(Token("store", 2))
    await sink.close()
    assert [row["n"] for row in rows(path)] == [1, 2]


async def test_a_file_locked_at_the_start_is_opened_later(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE x (y)")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Held, match="locked"):
        await store(Sqlite(path=str(path), table="t", busy_timeout="1ms"), batch([1]))
    other.execute("ROLLBACK")
    other.close()
    await store(Sqlite(path=str(path), table="t"), batch([1]))


async def shrink(sink: Sqlite, pages: int) -> None:
    """Let the disk be full at so many pages."""
    session: Any = sink._database
    assert sink._thread is not None
    pragma = f"PRAGMA max_page_count = {pages}"
    await sink._thread.run(lambda: session._connection.execute(pragma).fetchall())


def wide(first: int) -> Batch:
    """A batch that does not fit into a few pages."""
    made = batch(list(range(1, 501)), first=first)
    return Batch({**made.columns, "note": Strings.of(["x" * 200] * 500)}, made.times, made.keys)


async def write_until_full(sink: Sqlite, rows: Batch) -> Exception | None:
    try:
        await sink.write(rows)
    except (Retry, Disconnected) as error:
        return error
    return None


async def test_a_full_disk_is_waited_for(path):
    sink = Sqlite(path=str(path), table="t")
    await sink.open(context())
    await sink.write(batch([1]))
    await sink.flush(ONE)
    await shrink(sink, 10)
    for _ in range(2):
        error = await write_until_full(sink, wide(10))
        assert isinstance(error, Retry)
        assert re.search("disk full: [0-9]+ MiB free", str(error))
    await shrink(sink, 10_000)
    await sink.write(wide(10))
    await sink.flush(Token("store", 2))
    await sink.close()
    assert len(rows(path)) == 501


async def test_a_disk_that_fills_within_a_transaction_loses_nothing(path):
    sink = Sqlite(path=str(path), table="t")
    await sink.open(context())
    await shrink(sink, 60)
    batches = [wide(1000), wide(2000)]
    error = None
    for each in batches:
        error = await write_until_full(sink, each)
    assert error is not None
    if isinstance(error, Disconnected):
        assert await sink.open(context()) is None
        await sink.write(batches[0])
    await shrink(sink, 10_000)
    await sink.write(batches[1])
    await sink.flush(ONE)
    await sink.close()
    assert len(rows(path)) == 1000


async def test_a_call_that_failed_half_way_leaves_nothing_behind(path, monkeypatch):
    sink = Sqlite(path=str(path), table="t", mode="append")
    await sink.open(context())
    await sink.write(batch([1]))
    real = Table.write

    def broken(table: Table, rows: Batch, plan: Plan) -> dict[int, str]:
        real(table, rows, plan)
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(Table, "write", broken)
    for _ in range(2):
        with pytest.raises(Retry, match="disk full"):
            await sink.write(batch([2]).with_columns(more=np.array([1.5])))
    monkeypatch.setattr(Table, "write", real)
    await sink.write(batch([2]).with_columns(more=np.array([1.5])))
    await sink.flush(ONE)
    await sink.close()
    assert [(row["n"], row["more"]) for row in rows(path)] == [(1, None), (2, 1.5)]


async def test_what_is_no_database_is_told(path):
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(Fatal, match="not an SQLite database") as caught:
        await store(Sqlite(path=str(path), table="t"), batch([1]))
    assert caught.value.exit_code == EXIT_CONFIG


@pytest.mark.parametrize(
    ("place", "words"), [("none/out.db", "no folder"), ("folder", "is a folder")]
)
async def test_a_place_that_cannot_be_is_told(tmp_path, place, words):
    (tmp_path / "folder").mkdir()
    with pytest.raises(Fatal, match=words) as caught:
        await store(Sqlite(path=str(tmp_path / place), table="t"), batch([1]))
    assert caught.value.exit_code == EXIT_CONFIG


@pytest.mark.parametrize(
    ("code", "kind", "exit_code", "words"),
    [
        (sqlite3.SQLITE_READONLY, Fatal, EXIT_PERMISSION, "write permission"),
        (sqlite3.SQLITE_CANTOPEN, Fatal, EXIT_PERMISSION, "write permission"),
        (sqlite3.SQLITE_IOERR_FSYNC, Fatal, EXIT_IO, "look at the disk"),
        (sqlite3.SQLITE_CORRUPT, Fatal, EXIT_IO, "damaged"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Held, 1, "locked"),
        (sqlite3.SQLITE_ERROR, Fatal, EXIT_CONFIG, "boom"),
    ],
)
def test_every_error_has_words_and_a_consequence(path, code, kind, exit_code, words):
    error = sqlite3.OperationalError("boom")
    error.sqlite_errorcode = code
    told = in_words(error, str(path))
    assert type(told) is kind
    assert told.exit_code == exit_code
    assert words in str(told)


async def test_before_it_is_open_it_says_so(path):
    sink = Sqlite(path=str(path), table="t")
    with pytest.raises(Disconnected, match="not open"):
        await sink.write(batch([1]))


@pytest.mark.parametrize(
    "table", ["", "1x", "a-b", 'a"b', "sqlite_x", "edgestream_commits", "x" * 64, "a b"]
)
def test_names_of_tables_are_checked(table):
    with pytest.raises(ConfigError, match="table"):
        Sqlite(path="x.db", table=table)


def test_what_can_be_known_at_load_is_told_at_load():
    with pytest.raises(ConfigError, match="no keys to upsert by"):
        Sqlite(path="x", table="t", mode="upsert").accepts(Schema.unknown(), [])
    with pytest.raises(ConfigError, match="two columns are called 'temp'"):
        Sqlite(path="x", table="t").accepts(Schema({"Temp": "float", "temp": "float"}), [])
    Sqlite(path="x", table="t").accepts(Schema({"a": "float"}), ["a"])
