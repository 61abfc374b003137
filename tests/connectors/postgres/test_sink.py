"""The sink against a real PostgreSQL."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from edgestream.batch import Batch, Strings, from_rows
from edgestream.component import Token
from edgestream.errors import ConfigError, Disconnected, Fatal, Fenced, Held, Rejected
from edgestream.schema import Schema
from edgestream.testing.connectors import batch, check_sink, context
from edgestream_connectors.postgres import Postgres
from edgestream_connectors.postgres.columns import misfits
from edgestream_connectors.postgres.table import create
from tests.servers.postgres import Postgres as Server

from .conftest import Database

STAMP = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)


def keyed(rows: list[dict[str, Any]], *keys: str) -> Batch:
    made = from_rows(rows)
    return Batch(made.columns, made.times, keys)


async def write(sink: Postgres, *batches: Batch, seq: int = 1) -> None:
    await sink.open(context("p.s"))
    try:
        for each in batches:
            await sink.write(each)
        await sink.flush(Token("store", seq))
    finally:
        await sink.close()


async def refused(sink: Postgres, rows: Batch) -> dict[int, str]:
    """The reasons of the rows refused, after the others were flushed."""
    reasons: dict[int, str] = {}
    await sink.open(context("p.s"))
    try:
        await sink.write(rows)
    except Rejected as error:
        reasons = error.reasons
    await sink.flush(Token("store", 1))
    await sink.close()
    return reasons


async def test_sinks_that_begin_at_the_same_moment_make_their_tables_once(
    database: Database,
) -> None:
    """Without a lock PostgreSQL refuses most: the table, or its type, is there already."""
    connections = [await database.connect() for _ in range(6)]
    try:
        for lap in range(20):
            table = f"made_{lap} (id text PRIMARY KEY)"
            await asyncio.gather(*(create(connection, table) for connection in connections))
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))
    tables = await database.rows("SELECT count(*) AS n FROM pg_tables WHERE tablename LIKE 'made%'")
    assert tables == [{"n": 20}]


async def test_the_kit(database: Database) -> None:
    bad = batch([1, 2, 3]).with_columns(device=["d0", "nul\0", "d2"])
    await check_sink(
        database.sink,
        lambda place: database.rows(f"SELECT * FROM {place}"),
        restart=database.server.restart,
        refused=(bad, frozenset({1})),
        unreachable=lambda: Postgres("postgresql://nobody@127.0.0.1:1/none", "t"),
    )


async def test_every_kind_of_column_comes_back_as_it_went(database: Database) -> None:
    rows = [
        {"f": 0.1, "i": 2**63 - 1, "b": True, "s": "grün", "t": STAMP},
        {"f": None, "i": -(2**63), "b": False, "s": None, "t": None},
        {"f": float("inf"), "i": 0, "b": True, "s": "", "t": datetime(1, 1, 1, tzinfo=UTC)},
    ]
    await write(database.sink(), from_rows(rows))
    assert await database.rows("SELECT f, i, b, s, t FROM readings ORDER BY i DESC") == [
        rows[0],
        rows[2],
        rows[1],
    ]
    assert await database.types("readings") == {
        "f": "double precision",
        "i": "bigint",
        "b": "boolean",
        "s": "text",
        "t": "timestamp with time zone",
    }


async def test_a_column_that_comes_later_is_added(database: Database) -> None:
    sink = database.sink()
    await write(sink, from_rows([{"a": 1}]), from_rows([{"a": 2, "wind.speed": 3.5}]))
    assert await database.rows("SELECT * FROM readings ORDER BY a") == [
        {"a": 1, "wind.speed": None},
        {"a": 2, "wind.speed": 3.5},
    ]


async def test_the_last_of_a_key_wins_and_missing_keys_are_equal(database: Database) -> None:
    first = keyed([{"d": "a", "n": 1}, {"d": None, "n": 2}, {"d": "a", "n": 3}], "d")
    second = keyed([{"d": None, "n": 4}, {"d": "b", "n": 5}], "d")
    await write(database.sink(), first, second, seq=1)
    await write(database.sink(), second, seq=2)
    assert await database.rows("SELECT d, n FROM readings ORDER BY d") == [
        {"d": "a", "n": 3},
        {"d": "b", "n": 5},
        {"d": None, "n": 4},
    ]


async def test_rows_that_are_only_keys_are_written_once(database: Database) -> None:
    await write(database.sink(), keyed([{"d": "a"}, {"d": "a"}], "d"), keyed([{"d": "a"}], "d"))
    assert await database.rows("SELECT * FROM readings") == [{"d": "a"}]


async def test_append_takes_no_heed_of_keys(database: Database) -> None:
    rows = keyed([{"d": "a", "n": 1}, {"d": "a", "n": 1}], "d")
    await write(database.sink(mode="append"), rows)
    assert len(await database.rows("SELECT * FROM readings")) == 2


async def test_a_table_of_the_user_is_used_with_its_key_and_types(database: Database) -> None:
    await database.do(
        "CREATE TABLE readings (d uuid PRIMARY KEY, n integer CHECK (n < 100), note varchar(5),"
        " price numeric(6,2), day date)"
    )
    uuid = "00000000-0000-0000-0000-00000000000"
    rows = keyed(
        [
            {"d": uuid + "1", "n": 1, "note": "12345", "price": 1.25, "day": STAMP},
            {"d": "no uuid", "n": 2, "note": "", "price": 1.0, "day": STAMP},
            {"d": uuid + "3", "n": 100, "note": "", "price": 1.0, "day": STAMP},
            {"d": uuid + "4", "n": 4, "note": "123456", "price": 1.0, "day": STAMP},
            {"d": uuid + "5", "n": 2**40, "note": "", "price": 1.0, "day": STAMP},
            {"d": uuid + "6", "n": 6, "note": "", "price": 1e9, "day": STAMP},
            {"d": None, "n": 7, "note": "", "price": 1.0, "day": STAMP},
            {"d": uuid + "8", "n": 8, "note": None, "price": None, "day": None},
            {"d": uuid + "1", "n": 9, "note": "last", "price": 2.5, "day": STAMP},
        ],
        "d",
    )
    reasons = await refused(database.sink(), rows)
    assert sorted(reasons) == [1, 2, 3, 4, 5, 6]
    assert "invalid input syntax for type uuid" in reasons[1]
    assert "violates check constraint" in reasons[2]
    assert "too long" in reasons[3]
    assert reasons[4] == "'n': it is too large for a integer"
    assert "overflow" in reasons[5]
    assert reasons[6] == "'d' is a key and is missing"
    seen = await database.rows("SELECT n, note, price::float8, day::text FROM readings ORDER BY n")
    assert seen == [
        {"n": 8, "note": None, "price": None, "day": None},
        {"n": 9, "note": "last", "price": 2.5, "day": "2026-03-01"},
    ]
    assert (
        len(
            await database.rows(
                "SELECT indexrelid FROM pg_index WHERE indrelid = 'readings'::regclass"
            )
        )
        == 1
    )


async def test_a_fraction_widens_a_bigint_and_keeps_what_is_there(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    sink = database.sink()
    with caplog.at_level(logging.WARNING):
        await write(sink, from_rows([{"x": 20}]), from_rows([{"x": 21.0}]))
        assert not caplog.records
        await write(sink, from_rows([{"x": 20.5}, {"x": 3.0}]), from_rows([{"x": 4}]), seq=2)
    assert [r["x"] for r in await database.rows("SELECT x FROM readings ORDER BY x")] == [
        3,
        4,
        20,
        20.5,
        21,
    ]
    assert "x was bigint and now holds fractions" in caplog.text


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        ({"x": 1.5}, {"x": "warm"}, "invalid input syntax for type double precision"),
        ({"x": 1.5}, {"x": 2**53 + 1}, "a double precision would lose digits of it"),
        ({"x": True}, {"x": 1}, "a boolean holds no whole number"),
        ({"x": True}, {"x": 1.0}, "a boolean holds no number with a fraction"),
        ({"x": 1}, {"x": True}, "a bigint holds no true or false"),
        ({"x": 1}, {"x": STAMP}, "a bigint holds no time"),
        ({"x": STAMP}, {"x": 1}, "a timestamp with time zone holds no whole number"),
        ({"x": "a"}, {"x": "\ud800"}, "half a surrogate"),
        ({"x": "a"}, {"x": "a\0b"}, "NUL"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_with_a_reason(
    database: Database, first: dict[str, Any], then: dict[str, Any], why: str
) -> None:
    await write(database.sink(), from_rows([first]))
    reasons = await refused(database.sink(), from_rows([then]))
    assert list(reasons) == [0]
    assert why in reasons[0]
    await write(database.sink(), from_rows([first]), seq=2)
    assert len(await database.rows("SELECT * FROM readings")) == 2


async def test_a_row_without_the_value_that_does_not_fit_is_written(database: Database) -> None:
    await write(database.sink(), from_rows([{"x": STAMP, "n": 1}]))
    rows = from_rows([{"x": 1.5, "n": 2}, {"n": 3}])
    assert list(await refused(database.sink(), rows)) == [0]
    seen = await database.rows("SELECT n FROM readings ORDER BY n")
    assert [row["n"] for row in seen] == [1, 3]


async def test_a_key_that_does_not_fit_costs_all_its_rows(database: Database) -> None:
    await write(database.sink(), keyed([{"d": True, "n": 1}], "d"))
    reasons = await refused(database.sink(), keyed([{"d": 1.5, "n": 2}, {"n": 3}], "d"))
    assert reasons == {
        0: "'d': a boolean holds no number with a fraction",
        1: "the row has no key that the table can hold",
    }


async def test_text_is_read_as_what_the_column_holds(database: Database) -> None:
    await write(database.sink(), from_rows([{"x": 1.5, "s": "a"}]))
    rows = [{"x": "2.5", "s": 7.0}, {"x": None, "s": None}]
    await write(database.sink(), from_rows(rows), seq=2)
    assert await database.rows("SELECT * FROM readings ORDER BY x") == [
        {"x": 1.5, "s": "a"},
        {"x": 2.5, "s": "7"},
        {"x": None, "s": None},
    ]


async def test_times_out_of_range_are_refused(database: Database) -> None:
    times = np.array(["2026-03-01", "-9000-01-01", "NaT"], "datetime64[us]")
    rows = Batch({"t": times}, np.zeros(3, np.int64))
    reasons = await refused(database.sink(), rows)
    assert reasons == {1: "'t': PostgreSQL holds no time before 4713 BC"}
    assert len(await database.rows("SELECT t FROM readings")) == 2


HOSTILE = ['"; DROP TABLE readings; --', "a\0b", "x" * 64, "ctid", "", "\n", "1st"]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_column_name_costs_its_own_row(database: Database, name: str) -> None:
    rows = from_rows([{"n": 1}, {"n": 2, name: "x"}, {"n": 3}])
    reasons = await refused(database.sink(), rows)
    assert list(reasons) == [1]
    assert "no name for a column" in reasons[1]
    assert await database.rows("SELECT * FROM readings ORDER BY n") == [{"n": 1}, {"n": 3}]


async def test_hostile_text_is_stored_as_it_is(database: Database) -> None:
    text = "'; DROP TABLE readings; --\n\\x00%s{}"
    await write(database.sink(), keyed([{"d": text, "n": 1}], "d"))
    assert await database.rows("SELECT * FROM readings") == [{"d": text, "n": 1}]


async def test_a_flood_of_columns_stops_at_the_limit(database: Database) -> None:
    rows = from_rows([{"n": 1}, *({"n": 2, f"c{i}": 1} for i in range(10))])
    reasons = await refused(database.sink(max_columns=4), rows)
    assert sorted(reasons) == list(range(4, 11))
    assert "more than 4 columns" in reasons[4]
    assert len(await database.types("readings")) == 4


async def test_a_key_too_long_for_an_index_costs_its_own_row(database: Database) -> None:
    noise = "".join(map(chr, np.random.default_rng(1).integers(33, 0xD000, 8000)))
    rows = keyed([{"d": "a", "n": 1}, {"d": noise, "n": 2}, {"d": "b", "n": 3}], "d")
    reasons = await refused(database.sink(), rows)
    assert list(reasons) == [1]
    assert [r["n"] for r in await database.rows("SELECT n FROM readings ORDER BY n")] == [1, 3]


async def test_a_crash_of_the_server_loses_and_doubles_nothing(database: Database) -> None:
    sink = database.sink()
    await sink.open(context("p.s"))
    await sink.write(from_rows([{"n": 1}]))
    await sink.flush(Token("store", 1))
    await sink.write(from_rows([{"n": 2}]))
    database.server.kill()
    with pytest.raises(Disconnected):
        await sink.flush(Token("store", 2))
    await sink.close()
    with pytest.raises(Disconnected, match="is PostgreSQL running there"):
        await sink.open(context("p.s"))
    await sink.close()
    database.server.start()
    assert await sink.open(context("p.s")) == Token("store", 1)
    await sink.write(from_rows([{"n": 2}]))
    await sink.flush(Token("store", 2))
    await sink.close()
    assert await database.rows("SELECT n FROM readings ORDER BY n") == [{"n": 1}, {"n": 2}]


async def test_a_session_ended_by_the_administrator_is_a_disconnect(database: Database) -> None:
    sink = database.sink()
    await sink.open(context("p.s"))
    await sink.write(from_rows([{"n": 1}]))
    await database.do(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'edge'"
    )
    with pytest.raises(Disconnected):
        await sink.write(from_rows([{"n": 2}]))
    await sink.close()


async def test_a_deadlock_is_a_disconnect(database: Database) -> None:
    one, two = database.sink(), database.sink()
    a, b = keyed([{"d": "a", "n": 1}], "d"), keyed([{"d": "b", "n": 1}], "d")
    await write(one, a, b)
    await one.open(context("p.one"))
    await two.open(context("p.two"))
    await one.write(a)
    await two.write(b)

    async def go_on(sink: Postgres, rows: Batch) -> bool:
        try:
            await sink.write(rows)
        except Disconnected:
            return False
        finally:
            await sink.close()
        return True

    assert sorted(await asyncio.gather(go_on(one, b), go_on(two, a))) == [False, True]


async def test_an_older_worker_is_shut_out(database: Database) -> None:
    old, new = database.sink(), database.sink()
    await old.open(context("p.s", epoch=1))
    await old.write(from_rows([{"n": 0}]))
    await old.flush(Token("kit", 3, 1))
    await old.write(from_rows([{"n": 1}]))  # its transaction is open
    await new.open(context("p.s", epoch=2))
    await new.write(from_rows([{"n": 1}]))
    await new.flush(Token("kit", 5, 2))
    with pytest.raises(Fenced, match=r"another worker has taken over p\.s") as caught:
        await old.flush(Token("kit", 4, 1))
    await old.close()
    await new.close()
    assert caught.value.exit_code == 75
    assert len(await database.rows("SELECT * FROM readings")) == 2


async def test_one_that_is_in_the_middle_of_its_commit_is_waited_for(database: Database) -> None:
    new = database.sink()
    await new.open(context("p.s", epoch=1))
    await new.flush(Token("kit", 3, 1))
    await new.close()
    old = await database.connect()
    commit = old.transaction()
    await commit.start()
    await old.execute("UPDATE edgestream_commits SET seq = 4")
    with pytest.raises(Held, match="in the middle of a commit"):
        await new.open(context("p.s", epoch=2))
    await commit.commit()
    await old.close()
    assert await new.open(context("p.s", epoch=2)) == Token("kit", 4, 1)
    await new.close()


async def test_another_state_file_takes_over_and_knows_no_token(database: Database) -> None:
    first, second = database.sink(), database.sink()
    await first.open(context("p.s", epoch=9))
    await first.flush(Token("kit", 5, 9))
    await first.close()
    other = replace(context("p.s"), store="another", epoch=1)
    assert await second.open(other) is None
    await second.flush(Token("another", 1, 1))
    await second.close()
    assert await second.open(other) == Token("another", 1, 1)
    await second.close()


async def test_a_table_of_tokens_of_an_earlier_version_is_widened(database: Database) -> None:
    sink = database.sink()
    await sink.open(context("p.s"))
    await sink.flush(Token("kit", 5))
    await sink.close()
    await database.rows("ALTER TABLE edgestream_commits DROP COLUMN epoch, DROP COLUMN writer")
    assert await sink.open(context("p.s", epoch=1)) == Token("kit", 5)
    await sink.close()


async def test_no_permission_is_fatal_with_words(database: Database) -> None:
    await write(database.sink(), from_rows([{"n": 1}]))
    await database.do(
        "DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        f"GRANT USAGE ON SCHEMA {database.schema} TO guest;"
        "GRANT SELECT ON edgestream_commits, readings TO guest"
    )
    guest = database.sink(url=database.server.url(user="guest"))
    await guest.open(context("p.s"))
    with pytest.raises(Fatal, match="GRANT this user what it needs") as caught:
        await guest.write(from_rows([{"n": 2}]))
    await guest.close()
    assert caught.value.exit_code == 77


async def test_a_schema_that_is_not_there_is_fatal_with_words(database: Database) -> None:
    sink = database.sink(schema="nowhere")
    with pytest.raises(Fatal, match="CREATE SCHEMA"):
        await sink.open(context("p.s"))
    await sink.close()


async def test_rows_already_double_are_explained(database: Database) -> None:
    await write(database.sink(), from_rows([{"d": "a"}, {"d": "a"}]))
    with pytest.raises(Fatal, match="the same keys already"):
        await write(database.sink(), keyed([{"d": "a"}], "d"))


async def test_a_database_that_is_not_there_can_still_come(server: Server) -> None:
    sink = Postgres(server.url("nowhere"), "readings")
    with pytest.raises(Disconnected, match="there is no such database"):
        await sink.open(context())
    await sink.close()


async def test_a_wrong_password_is_said_and_no_password_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PG_RIGHT", "right-canary")
    monkeypatch.setenv("PG_WRONG", "wrong-canary")
    guarded = Server(password="right-canary").start()
    try:
        wrong = Postgres(guarded.url(), "readings", password="${PG_WRONG}")
        with pytest.raises(Disconnected, match="wrong user or password") as caught:
            await wrong.open(context())
        await wrong.close()
        assert "canary" not in repr(wrong) + str(caught.value)
        right = Postgres(guarded.url(), "readings", password="${PG_RIGHT}")
        assert await right.open(context()) is None
        await right.close()
    finally:
        guarded.remove()


async def test_many_shapes_of_batches_keep_few_temporary_tables(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgestream_connectors.postgres.session.STAGES", 3)
    sink = database.sink()
    await sink.open(context("p.s"))
    for _ in range(2):
        for i in range(1, 7):
            await sink.write(from_rows([{f"c{j}": 1.5 for j in range(i)}] * 2))
    await sink.flush(Token("store", 1))
    count = "SELECT count(*) AS n FROM pg_class WHERE relname ~ '^edgestream_[0-9]'"
    assert (await database.rows(count))[0]["n"] == 3
    await sink.close()
    assert len(await database.rows("SELECT * FROM readings")) == 24


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "mysql://h/db"}, "no URL of a database"),
        ({"url": "postgresql://h"}, "no URL of a database"),
        ({"url": "postgresql://u:p@h/db"}, "no place for a password"),
        ({"url": "postgresql://u@h/db?password=p"}, "no place for a password"),
        ({"table": 'a"b'}, "cannot be the name of a table"),
        ({"table": "x" * 64}, "cannot be the name of a table"),
        ({"schema": "a;b"}, "cannot be the name of a schema"),
        ({"mode": "replace"}, "not one of the choices"),
        ({"password": "hunter2"}, "a secret is not written here"),
    ],
)
def test_what_cannot_work_is_refused_at_load(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Postgres(**{"url": "postgresql://u@h/db", "table": "t", **options})


def test_an_upsert_needs_keys_and_names_that_can_be_columns() -> None:
    sink = Postgres("postgresql://u@h/db", "t", mode="upsert")
    sink.accepts(Schema({"n": "int"}), ["n"])
    with pytest.raises(ConfigError, match="no keys to update by"):
        sink.accepts(Schema({"n": "int"}), [])
    with pytest.raises(ConfigError, match="cannot be a column"):
        sink.accepts(Schema({"a;b": "int"}), ["a;b"])


def test_strings_are_not_looked_at_row_by_row() -> None:
    column = Strings.of(["a", "b\0", None, "b\0"])
    bad, _ = misfits(column, "text")
    assert bad.tolist() == [False, True, False, True]
