"""A table of a real PostgreSQL, read by a lookup."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgestream.batch import from_rows
from edgestream.cli.load import load_spec
from edgestream.config.secrets import secrets_in
from edgestream.errors import ConfigError, Retry
from edgestream.operators.lookup import Lookup
from edgestream.runtime.samples import samples
from edgestream.schema import Schema
from edgestream_connectors.postgres import PostgresTable
from tests.runtime.parts import Memory, Table, Wire
from tests.runtime.test_running import message, pipeline, running, until
from tests.servers.postgres import Postgres as Server

from .conftest import Database

SCHEMA = Schema.of_kinds({"device": "string", "value": "float"})
ROWS = from_rows([{"device": name, "value": 1.0} for name in ("a", "b", "c")])
SENSORS = """
CREATE TABLE sensors (
  id text, room varchar(20), floor smallint, height double precision, on_air boolean, price numeric,
  installed timestamptz, checked date, tag uuid, address inet, photo bytea);
INSERT INTO sensors VALUES
  ('a', 'attic', 3, 2.5, true, 9007199254740993, '2026-03-01 12:00:00.000001+01', '2026-03-02',
   '00000000-0000-0000-0000-000000000007', '10.0.0.1', 'x'),
  ('b', NULL, 0, NULL, false, 1.50, NULL, 'infinity', NULL, NULL, NULL)"""


def table(database: Database, **options: Any) -> PostgresTable:
    given = {"url": database.server.url(), "schema": database.schema, "table": "sensors"}
    return PostgresTable(**{**given, **options})


def added(lookup: Lookup) -> list[dict[str, Any]]:
    """What the rows get, without what they had."""
    ((_, batch),) = lookup.process(ROWS)
    return [
        {name: value for name, value in row.items() if name not in SCHEMA.fields}
        for row in batch.rows()
    ]


async def test_every_type_a_column_can_hold(database: Database) -> None:
    await database.do(SENSORS)
    names = ["id", "room", "floor", "height", "on_air", "price", "installed", "checked", "tag"]
    cells = table(database).read([*names, "address"])
    assert list(cells) == [*names, "address"]
    assert {name: values[0] for name, values in cells.items()} == {
        "id": "a",
        "room": "attic",
        "floor": 3,
        "height": 2.5,
        "on_air": True,
        "price": 9007199254740993,
        "installed": dt.datetime(2026, 3, 1, 11, 0, 0, 1, dt.UTC),
        "checked": dt.datetime(2026, 3, 2),
        "tag": "00000000-0000-0000-0000-000000000007",
        "address": "10.0.0.1",
    }
    assert cells["price"][1] == 1.5
    assert cells["room"][1] is None


async def test_a_lookup_adds_its_columns(database: Database) -> None:
    await database.do(SENSORS)
    lookup = Lookup(table(database), {"device": "id"}, columns=["room", "floor", "installed"])
    fields = lookup.infer(SCHEMA).fields
    assert {name: fields[name] for name in ("room", "floor", "installed")} == {
        "room": "string",
        "floor": "float",
        "installed": "time",
    }
    first, second, third = added(lookup)
    assert (first["room"], first["floor"]) == ("attic", 3)
    assert first["installed"] == dt.datetime(2026, 3, 1, 11, 0, 0, 1, dt.UTC)
    assert second == {"room": None, "floor": 0, "installed": None}
    assert third == {"room": None, "floor": None, "installed": None}


async def test_names_are_quoted_and_data_is_never_sql(database: Database) -> None:
    name = 'odd. "; DROP TABLE kept; --'
    with pytest.raises(ConfigError, match="cannot be the name of a table"):
        table(database, table=name)
    await database.do('CREATE TABLE kept (x int); CREATE TABLE "Odd name" ("a ""b" text, n int)')
    await database.do("INSERT INTO \"Odd name\" VALUES ('''; DROP TABLE kept; --', 7)")
    odd = table(database, table="Odd name")
    assert odd.read(['a "b', "n"]) == {'a "b': ["'; DROP TABLE kept; --"], "n": [7]}
    lookup = Lookup(odd, {"device": 'a "b'}, missing="drop")
    lookup.infer(SCHEMA)
    assert lookup.process(from_rows([{"device": "'; DROP TABLE kept; --"}]))[0][1].rows() == [
        {"device": "'; DROP TABLE kept; --", "n": 7}
    ]
    assert await database.rows("SELECT count(*) AS n FROM kept") == [{"n": 0}]


async def test_a_query_cannot_write(database: Database) -> None:
    await database.do(SENSORS)
    place = f"{database.schema}.sensors"
    query = f"SELECT id AS device, upper(room) AS room FROM {place} WHERE floor > 1"
    lookup = Lookup(table(database, table="", query=query), "device")
    lookup.infer(SCHEMA)
    assert [row["room"] for row in added(lookup)] == ["ATTIC", None, None]
    for bad, words in {
        f"DELETE FROM {place} RETURNING id": "read-only transaction",
        f"SELECT id FROM {place}; DROP TABLE {place}": "cannot insert multiple commands",
        f"SELECT id, id FROM {place}": "its columns need names, all different",
        f"SELECT photo FROM {place}": "'photo' holds more than text, numbers and times",
        "SELECT timestamp '4713-01-01 BC' AS t": "a value that cannot be read",
    }.items():
        with pytest.raises(Retry, match=words):
            table(database, table="", query=bad).read(())
    assert await database.rows("SELECT count(*) AS n FROM sensors") == [{"n": 2}]


async def test_a_table_that_is_too_large_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.do(SENSORS)
    monkeypatch.setattr(PostgresTable, "most_rows", 1)
    with pytest.raises(Retry, match=r"sensors.*: it has more than 1 rows"):
        table(database).read(["id"])


async def test_what_is_not_there_is_told(database: Database) -> None:
    await database.do(SENSORS)
    with pytest.raises(ConfigError, match=r'table: .*"nothing".*does not exist'):
        Lookup(table(database, table="nothing"), "device").infer(SCHEMA)
    with pytest.raises(ConfigError, match="has no column 'rom'; did you mean 'room'"):
        Lookup(table(database), {"device": "id"}, columns=["rom"]).infer(SCHEMA)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"table": "", "query": ""}, "either a table or a query"),
        ({"query": "SELECT 1"}, "either a table or a query"),
        ({"url": "mysql://x/y"}, "no URL of a database"),
        ({"url": "postgresql://u:p@h/d"}, "no place for a password"),
        ({"password": "hunter2"}, "a secret is not written here"),
    ],
)
def test_fields_are_checked(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PostgresTable(**{"url": "postgresql://h/d", "table": "t", **given})


@pytest.fixture(scope="module")
def locked() -> Iterator[Server]:
    server = Server(password="open sesame").start()
    yield server
    server.remove()


def test_a_pipeline_file_with_a_secret(
    locked: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.yaml").write_text(
        "name: p\nsource: {file: x.ndjson}\nsink: stdout\nsteps:\n"
        f"  - lookup: {{on: device, table: {{postgres: {{url: '{locked.url()}', "
        "password: '${PLANT}', query: \"SELECT 'a' AS device, 'attic' AS room\"}}}\n"
    )
    monkeypatch.setenv("PLANT", "open sesame")
    (lookup,) = load_spec(tmp_path / "p.yaml", ()).streams["steps"].steps
    assert [secret.reveal() for secret in secrets_in(lookup)] == ["open sesame"]
    assert "sesame" not in repr(lookup)
    monkeypatch.setenv("PLANT", "shut")
    with pytest.raises(ConfigError, match=r"p\.yaml:5:\d+: .*wrong user or password") as caught:
        load_spec(tmp_path / "p.yaml", ())
    assert "shut" not in str(caught.value)


def test_a_server_that_is_away_or_silent_is_told() -> None:
    nobody = PostgresTable("postgresql://127.0.0.1:1/plant", "t")
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1/plant .*is PostgreSQL running there"):
        Lookup(nobody, "device").infer(SCHEMA)


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slow = PostgresTable(f"postgresql://127.0.0.1:{port}/plant", "t", timeout="50ms")
    with pytest.raises(Retry, match="no answer in time"):
        await asyncio.to_thread(slow.read, ())
    server.close()


async def test_a_running_pipeline_reads_it_again_and_outlives_the_server(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(server, "public")
    await database.do(
        "CREATE TABLE rooms (id text, room text); INSERT INTO rooms VALUES ('a', 'x')"
    )
    rooms = table(database, table="rooms")
    lookup = Lookup(rooms, {"device": "id"}, refresh="20ms")
    wire, kept = Wire([[message("a", 1)]]), Table()
    try:
        async with running(pipeline(wire, Memory(kept), lookup), tmp_path) as made:

            def failures() -> float:
                found = [one for one in samples(made) if one.name == "edgestream_refresh_failures"]
                assert [one.labels["step"] for one in found] == ["steps.0"]
                return found[0].value

            async def room() -> object:
                wire.blocks.append([message("a", 1)])
                rows = len(kept.rows)
                await until(lambda: len(kept.rows) > rows)
                return kept.rows[-1]["room"]

            await until(lambda: len(kept.rows) == 1)
            assert kept.rows[0]["room"] == "x"
            assert failures() == 0
            await database.do("UPDATE rooms SET room = 'y'")
            while await room() != "y":
                await asyncio.sleep(0.01)
            server.stop()
            await until(lambda: failures() >= 2)
            assert await room() == "y"
            server.start()
            await database.do("UPDATE rooms SET room = 'z'")
            while await room() != "z":
                await asyncio.sleep(0.01)
        told = [record.getMessage() for record in caplog.records if "lookup" in record.getMessage()]
        assert len(told) == 2
        assert told[0].startswith("steps.0 lookup: 127.0.0.1/postgres ")
        assert told[0].endswith("; what was read before stays")
        assert told[1] == "steps.0 lookup: read again"
    finally:
        if not server._process.running:
            server.start()
        await database.do("DROP TABLE rooms")
